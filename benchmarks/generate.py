"""Times generation: the shared iterator, the served signatures, and what PNG encoding and freezing change.

    python benchmarks/generate.py [--rows=64:64:8,1024:512:4] [--seconds=10] [--network=stylegan]

Rows are resolution:maps:minibatch, fmap_base is 16 maps. The ways and plain matrix products (2048^3, float32, on all
cores) take turns, round by round, so that a busy machine slows all of them alike: trust the ratios more than the figures.
`share` is the rate of G's convolutions and matrix products relative to the plain ones'. The last line is JSON.
"""
import os
import sys

import _root  # noqa: F401  isort: skip
import runtime  # isort: skip (it must come before TensorFlow)
import json
import time

import numpy as np
import tensorflow as tf
from absl import flags
from machine import forward_gflop, in_own_process, limit_isa, sgemm, sgemm_gflops

from networks.architectures import network_class
from serving.generate import generate_images
from serving.signatures import signatures

FLAGS = flags.FLAGS
flags.declare_key_flag('isa')
flags.DEFINE_list('rows', ['64:64:8', '1024:512:4'], 'What to time, each as resolution:maps:minibatch.')
flags.DEFINE_string('network', 'progan', 'Kind of the networks.')
flags.DEFINE_float('seconds', 10.0, 'Time for each way of generating, about.')
flags.DEFINE_bool('here', False, 'Internal: time the only row in this process.')


def ways(Gs, D, minibatch):
    """{name: function that generates one minibatch}"""
    seeds = np.arange(minibatch)
    latents = np.random.RandomState(0).randn(minibatch, Gs.latent_size).astype(np.float32)
    served, frozen = signatures(Gs, D, 0.0), signatures(Gs, D, 0.0, freeze=True)
    return {
        'serving_default': lambda: served['serving_default'](latents)['images'].numpy(),
        'generate_png': lambda: served['generate_png'](latents)['image_bytes'].numpy(),
        'generate_seeded': lambda: served['generate_seeded'](seeds)['images'].numpy(),
        'serving_default, frozen': lambda: frozen['serving_default'](latents)['images'].numpy()}


def iterator_rate(Gs, minibatch, seconds, rate):
    """Images per second of generate_images over about `seconds` at an expected rate, its own tracing left out."""
    count, ahead = max(int(seconds * rate / minibatch), 4), 4  # It is as far ahead when the clock stops as when it starts.
    latents = np.random.RandomState(0).randn((count + 2 * ahead) * minibatch, Gs.latent_size)
    batches = generate_images(Gs, latents, minibatch=minibatch)
    for _ in range(ahead):
        next(batches)
    start = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * minibatch / (time.perf_counter() - start)


def measure(resolution, maps, minibatch):
    """Prints the table of one row -> dict of figures."""
    runtime.suit_threads_to(maps)
    Gs, D = (network_class(FLAGS.network, role)(resolution=resolution, fmap_base=16 * maps, fmap_max=maps, seed=1)
             for role in ('G', 'D'))
    functions = ways(Gs, D, minibatch) | {'matrix products': sgemm()}
    for function in functions.values():
        function()  # Traces.
    times = {way: [] for way in functions}
    while min(map(sum, times.values())) < FLAGS.seconds:
        for way, function in functions.items():
            start = time.perf_counter()
            function()
            times[way].append(time.perf_counter() - start)
    sgemm_rate = sgemm_gflops(float(np.median(times.pop('matrix products'))))
    rates = {way: minibatch / float(np.median(values)) for way, values in times.items()}
    device = 'GPU' if tf.config.list_physical_devices('GPU') else f'{os.cpu_count()} CPU cores'
    rates['generate_images'] = iterator_rate(Gs, minibatch, FLAGS.seconds, rates['serving_default'])
    print(f'{resolution}x{resolution}, {maps} maps, minibatch {minibatch}, {device}, sgemm {sgemm_rate:.0f} GFLOP/s, peak '
          f'memory {runtime.peak_memory_mib():.0f} MiB:')
    for way, rate in rates.items():
        print(f'  {way:27s} {rate:9.2f} images/s  {rate / rates["serving_default"]:6.2f} x  share '
              f'{rate * forward_gflop(Gs, 0) / sgemm_rate:.2f}')
    png_ms = 1000 / rates['generate_png'] - 1000 / rates['serving_default']
    print(f'  PNG encoding: {png_ms:.2f} ms per image')
    return {'minibatch': minibatch, 'images_per_second': rates, 'png_ms_per_image': png_ms,
            'sgemm_gflops': sgemm_rate, 'peak_memory_mib': runtime.peak_memory_mib(),
            'share': rates['generate_images'] * forward_gflop(Gs, 0) / sgemm_rate}


def main(argv):
    limit_isa()
    if FLAGS.here:
        print(json.dumps(measure(*map(int, FLAGS.rows[0].split(':')))))
        return
    results = {}
    for row in FLAGS.rows:  # Each with the threads that suit it.
        *table, line = in_own_process(__file__, *sys.argv[1:], f'--rows={row}', '--here')
        print(*table, sep='\n', flush=True)
        results[row] = json.loads(line)
    print(json.dumps(results))


if __name__ == '__main__':
    runtime.run(main)
