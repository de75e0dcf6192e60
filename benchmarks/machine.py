"""The yardsticks of the other benchmarks, and the rates of this machine by them: `python benchmarks/machine.py`.

sgemm: float32 matrix products 2048^3, as many at once as there are cores, in GFLOP/s. `timed` repeats for a time, so
that two things can take turns and be compared although a machine is shared.

`--isa=AVX2` shows on a newer processor what an older one does: it is the limit of oneDNN, which computes convolutions and
matrix products, those of `sgemm` in the same process too. Eigen, which does the rest, was compiled for one set of
instructions and keeps to no limit.
"""
import os
import sys
import time

import _root  # noqa: F401  isort: skip
import runtime  # isort: skip (it must come before TensorFlow)
import json
import re
import statistics
import subprocess

from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_enum('isa', None, ['SSE41', 'AVX', 'AVX2', 'AVX512_CORE'], 'The newest instructions that oneDNN may use.')

SGEMM_SIZE = 2048


def limit_isa():
    """Follows --isa, in this process, if nothing was computed yet, and in those that it starts."""
    if FLAGS.isa:
        os.environ['ONEDNN_MAX_CPU_ISA'] = FLAGS.isa


def sgemm():
    """A function that computes the products once with TensorFlow, as the networks do, and `sgemm_rate` of its time."""
    import tensorflow as tf
    matrices = tf.random.stateless_normal([os.cpu_count(), SGEMM_SIZE, SGEMM_SIZE], [0, 1])

    @tf.function
    def products(x):
        return [tf.reduce_sum(tf.matmul(x[i], x[i])) for i in range(os.cpu_count())]

    def run():
        return [product.numpy() for product in products(matrices)]
    run()
    return run


def sgemm_gflops(seconds):
    """GFLOP/s of products that took so long."""
    return os.cpu_count() * 2 * SGEMM_SIZE ** 3 / seconds / 1e9


def numpy_sgemm_gflops():
    """GFLOP/s of one product by NumPy, for what runs without TensorFlow."""
    import numpy as np
    matrix = np.random.RandomState(0).randn(SGEMM_SIZE, SGEMM_SIZE).astype(np.float32)
    return 2 * SGEMM_SIZE ** 3 / timed(lambda: matrix @ matrix, 2) / 1e9


def timed(run, seconds):
    """Seconds that `run()` takes, the mean of as many runs as fit into `seconds`, at least one."""
    count, started = 0, time.perf_counter()
    while not count or time.perf_counter() - started < seconds:
        run()
        count += 1
    return (time.perf_counter() - started) / count


def against_sgemm(step, images, gflop, seconds):
    """`step()`, which handles so many images of `gflop` each, in turns with the products for at least `seconds`.

    -> dict of medians: `images_per_sec`, `sgemm_gflops`, and `share`, the step's GFLOP/s relative to the products'.
    """
    products, rates, sgemm_rates, started = sgemm(), [], [], time.perf_counter()
    while time.perf_counter() - started < seconds or len(rates) < 3:
        rates.append(images / timed(step, 0.5))
        sgemm_rates.append(sgemm_gflops(timed(products, 0.3)))
    return {'images_per_sec': statistics.median(rates), 'sgemm_gflops': statistics.median(sgemm_rates),
            'share': statistics.median(rate * gflop / other for rate, other in zip(rates, sgemm_rates, strict=True))}


def in_own_process(script, *arguments):
    """Lines that a benchmark prints in a process with threads and peak memory of its own; ValueError when it fails."""
    result = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
    if result.returncode:
        raise ValueError(f'{os.path.basename(script)} {" ".join(arguments)} failed: {result.stderr[-2000:]}')
    return result.stdout.splitlines()


def forward_gflop(network, level):
    """GFLOP of convolutions and matrix products of one image's forward pass at `level`, without the fading path.

    Convolutions that scale count their taps per low-resolution pixel: 16, of those that also filter those of the weight.
    """
    total = 0
    for name, layer in network.named_layers.items():
        if len(getattr(layer, 'weight', network.lod).shape) < 2:
            continue  # No product.
        of_lod, of_block = re.search(r'_lod(\d+)', name), re.search(r'(\d+)x\d+/', name)  # The mapping is of neither.
        size = network.resolution >> int(of_lod[1]) if of_lod else int(of_block[1]) if of_block else 1
        used = size == network.resolution >> level if of_lod else size <= network.resolution >> level
        if not used:
            continue
        *kernel, inputs, outputs = layer.weight.shape
        if not kernel:
            total += 2 * inputs * outputs
        elif getattr(layer, 'scaling', None):
            taps = kernel[0] * kernel[1] if hasattr(layer, 'resample_kernel') else 16
            total += 2 * taps * inputs * outputs * (size // 2) ** 2
        else:
            total += 2 * kernel[0] * kernel[1] * inputs * outputs * size ** 2
    return total / 1e9


def round_gflop(G, D, level, G_passes=4, D_passes=14):
    """GFLOP per image of a round of training, D step and G step, of so many forward passes (train_step.py tells why)."""
    return G_passes * forward_gflop(G, level) + D_passes * forward_gflop(D, level)


def main(argv):
    limit_isa()
    import numpy as np
    block = np.ones(2 ** 26, np.uint8)
    row = {'cores': os.cpu_count(), 'sgemm_gflops': sgemm_gflops(timed(sgemm(), 3)),
           'numpy_sgemm_gflops': numpy_sgemm_gflops(),
           'copy_gb_per_second': block.nbytes / timed(block.copy, 1) / 1e9, 'peak_memory_mib': runtime.peak_memory_mib()}
    print(f'{row["cores"]} cores: sgemm {row["sgemm_gflops"]:.0f} GFLOP/s in TensorFlow, {row["numpy_sgemm_gflops"]:.0f} in '
          f'NumPy; copying memory {row["copy_gb_per_second"]:.1f} GB/s; peak memory {row["peak_memory_mib"]:.0f} MiB')
    print(json.dumps(row))


if __name__ == '__main__':
    runtime.run(main)
