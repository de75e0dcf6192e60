"""Speed of the whole training step (D step, EMA, G step) by resolution: `python benchmarks/train_step.py`.

Method: each row runs in a process of its own, on synthetic images from the real pipeline: the first iteration is timed
from the start of the process, then iterations of 4 rounds for at least --seconds; img/s counts real images shown to D.
GFLOP counts convolutions and matrix products only, as 4*G + 14*D forward passes per image: G runs forward for the fakes
(1) and forward and backward for its own step (3); D forward and backward on reals and fakes (6), forward, to the images'
gradients and backward through both on the mixes (6), forward and back to the images in G's step (2). Fused scaling
convolutions count 16 taps per low-resolution pixel. `share` is the rate relative to 2048^3 float32 matrix products on all
cores in the same process; the two take turns of half a second, and medians are told. With --profile, also the share of the
kernels' own time that lies outside convolutions and matrix products, from a tf.profiler trace.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import runtime  # isort: skip (it must come before TensorFlow)

import collections
import json
import os
import statistics
import subprocess
import tempfile
import time

from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_list('resolutions', ['4', '8', '16', '32', '64'], 'Resolutions to measure.')
flags.DEFINE_integer('fmap_base', 1024, 'See config.')
flags.DEFINE_integer('fmap_max', 64, 'See config.')
flags.DEFINE_integer('minibatch', 16, 'Images per D step.')
flags.DEFINE_integer('network_resolution', None, 'Resolution of the networks; default: the one that is measured.')
flags.DEFINE_string('precision', 'fp32', 'fp32, fp16 or bf16.')
flags.DEFINE_bool('jit', False, 'Compile with XLA.')
flags.DEFINE_float('seconds', 5.0, 'Measure at least so long.')
flags.DEFINE_bool('profile', True, 'Also profile which kernels take the time.')
flags.DEFINE_bool('kernels', False, 'Print the kernels that take most time, too.')
flags.DEFINE_integer('one', None, 'Measure this resolution in this process and print JSON.')

STARTED = time.perf_counter()
ROUNDS = 4
SGEMM_SIZE = 2048


def main(argv):
    if FLAGS.one:
        print(json.dumps(measure(FLAGS.one)))
        return
    print(f'{"res":>4s}{"img/s":>9s}{"GFLOP/s":>9s}{"share":>7s}{"sgemm":>7s}{"first step":>12s}{"peak memory":>13s}'
          f'{"outside conv+matmul":>21s}')
    rows = []
    for resolution in FLAGS.resolutions:
        command = [sys.executable, __file__, *sys.argv[1:], f'--one={resolution}']
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise ValueError(f'measuring {resolution} failed: {result.stderr[-2000:]}')
        row = json.loads(result.stdout.splitlines()[-1])
        outside = f'{row["outside"]:20.0%}' if row['outside'] is not None else ''
        print(f'{row["resolution"]:4d}{row["images_per_sec"]:9.2f}{row["gflops"]:9.1f}{row["share"]:7.2f}'
              f'{row["sgemm_gflops"]:7.0f}{row["first_step_sec"]:10.1f} s{row["peak_memory_mib"]:9.0f} MiB {outside}')
        rows.append(row)
    print(json.dumps(rows))


def measure(resolution):
    """Measures one resolution -> dict of figures."""
    import dataclasses

    runtime.suit_threads_to(FLAGS.fmap_max)
    import tensorflow as tf

    import config as configs
    from data.pipeline import batches
    from data.tfrecords import SyntheticDataset
    from training.devices import POLICIES, make_strategy
    from training.report import peak_memory_mib
    from training.state import make_state
    from training.step import Iteration

    strategy = make_strategy()
    config = configs.resolve(['syn1024rgb'], [f'network.fmap_base={FLAGS.fmap_base}', f'network.fmap_max={FLAGS.fmap_max}'])
    sections = dataclasses.asdict(config)
    dataset = SyntheticDataset(FLAGS.network_resolution or resolution)
    state = make_state(dataset, sections['network'], sections['optimizer'], FLAGS.precision, POLICIES[FLAGS.precision], 1)
    iteration = Iteration(strategy, state, seed=1, rounds=ROUNDS, D_repeats=1, Gs_decay=0.999,
                          loss_kwargs=sections['loss'], jit=FLAGS.jit)
    level = (dataset.resolution // resolution).bit_length() - 1
    stream = iter(batches(dataset, level, FLAGS.minibatch, ROUNDS, 0, 1, False))

    def step(count=1):
        for _ in range(count):
            result = iteration(next(stream), tf.constant(0, tf.int64), 0, tf.constant(0.001),
                               tf.constant(0.001), level)
        return result.numpy()

    step(1)
    first_step = time.perf_counter() - STARTED
    step(2)
    peak = peak_memory_mib()
    gflop = 4 * forward_gflop(state.G, level) + 14 * forward_gflop(state.D, level)
    products = sgemm(tf)
    shares, rates, sgemm_rates, started = [], [], [], time.perf_counter()
    while time.perf_counter() - started < FLAGS.seconds or len(shares) < 3:
        seconds = timed(step, 0.5)
        rates.append(ROUNDS * FLAGS.minibatch / seconds)
        sgemm_rates.append(os.cpu_count() * 2 * SGEMM_SIZE ** 3 / timed(products, 0.3) / 1e9)
        shares.append(rates[-1] * gflop / sgemm_rates[-1])
    images_per_sec, sgemm_rate = statistics.median(rates), statistics.median(sgemm_rates)
    outside = None
    if FLAGS.profile:
        seconds = kernel_seconds(lambda: step(2))
        outside = 1 - sum(t for kind, t in seconds.items() if 'Conv2D' in kind or 'MatMul' in kind) / seconds.total()
        if FLAGS.kernels:
            for kind, t in seconds.most_common(30):
                print(f'{kind:40s}{t / seconds.total():7.1%}', file=sys.stderr)
    return {'resolution': resolution, 'fmap_base': FLAGS.fmap_base, 'fmap_max': FLAGS.fmap_max,
            'minibatch': FLAGS.minibatch, 'precision': FLAGS.precision, 'images_per_sec': images_per_sec,
            'gflops': images_per_sec * gflop, 'sgemm_gflops': sgemm_rate, 'share': statistics.median(shares),
            'first_step_sec': first_step, 'peak_memory_mib': peak,
            'outside': outside}


def forward_gflop(network, level):
    """GFLOP of convolutions and matrix products of one image's forward pass at `level`, without the fading path."""
    total = 0
    for name, layer in network.named_layers.items():
        block = name.split('/')[0]
        size = network.resolution >> int(block.split('_lod')[1]) if '_lod' in block else int(block.split('x')[0])
        used = size == network.resolution >> level if '_lod' in block else size <= network.resolution >> level
        if not used:
            continue
        *kernel, inputs, outputs = layer.weight.shape
        if not kernel:
            total += 2 * inputs * outputs
        elif getattr(layer, 'scaling', None):
            total += 2 * 16 * inputs * outputs * (size // 2) ** 2
        else:
            total += 2 * kernel[0] * kernel[1] * inputs * outputs * size ** 2
    return total / 1e9


def sgemm(tf):
    """A function that computes as many float32 matrix products 2048^3 at once as keep all cores busy."""
    matrices = tf.random.stateless_normal([os.cpu_count(), SGEMM_SIZE, SGEMM_SIZE], [0, 1])

    @tf.function
    def products(x):
        return [tf.reduce_sum(tf.matmul(x[i], x[i])) for i in range(os.cpu_count())]

    def run():
        return [product.numpy() for product in products(matrices)]
    run()
    return run


def timed(run, seconds):
    """Seconds that `run()` takes, the mean of as many runs as fit into `seconds`, at least one."""
    count, started = 0, time.perf_counter()
    while not count or time.perf_counter() - started < seconds:
        run()
        count += 1
    return (time.perf_counter() - started) / count


def kernel_seconds(run):
    """{kernel type: seconds} of what the CPU's kernels took during `run()`, from a tf.profiler trace."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            run()
        trace, = pathlib.Path(folder).rglob('*.xplane.pb')
        space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    seconds = collections.Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            _, colon, kind = plane.event_metadata[event.metadata_id].name.partition(':')  # 'name of the node:kernel'.
            if colon and kind.isidentifier() and kind not in ('While', 'If', 'PartitionedCall', 'StatefulPartitionedCall'):
                seconds[kind] += event.duration_ps / 1e12
    return seconds


if __name__ == '__main__':
    runtime.run(main)
