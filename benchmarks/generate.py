"""Times generation: the shared iterator, the served signatures, and what PNG encoding and freezing change.

    python benchmarks/generate.py [--configs=64,1024] [--seconds=10]

64: fmap_base 1024, fmap_max 64, minibatch 8. 1024: the default feature maps, minibatch 4. The ways take turns, round by
round, so that a busy machine slows all of them alike: trust the ratios more than the figures. The last line is JSON.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import runtime  # isort: skip (it must come before TensorFlow)
import json
import time

import numpy as np
import tensorflow as tf
from absl import flags

from networks.images import generate_images
from networks.progan import Discriminator, Generator
from networks.serving import signatures

FLAGS = flags.FLAGS
flags.DEFINE_list('configs', ['64', '1024'], 'Which of 64 and 1024 to time.')
flags.DEFINE_float('seconds', 10.0, 'Time for each way of generating, about.')

CONFIGS = {'64': ({'resolution': 64, 'fmap_base': 1024, 'fmap_max': 64}, 8), '1024': ({'resolution': 1024}, 4)}


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
    n = minibatch * max(int(seconds * rate / minibatch), 2)
    batches = generate_images(Gs, np.random.RandomState(0).randn(n + minibatch, Gs.latent_size), minibatch=minibatch)
    next(batches)
    start = time.perf_counter()
    return sum(map(len, batches)) / (time.perf_counter() - start)


def main(argv):
    results = {}
    for name in FLAGS.configs:
        if name not in CONFIGS:
            raise ValueError(f'--configs={name} is not known; use {" or ".join(CONFIGS)}.')
        arguments, minibatch = CONFIGS[name]
        Gs, D = Generator(**arguments, seed=1), Discriminator(**arguments, seed=1)
        functions = ways(Gs, D, minibatch)
        for function in functions.values():
            function()  # Traces.
        times = {way: [] for way in functions}
        while min(map(sum, times.values())) < FLAGS.seconds:
            for way, function in functions.items():
                start = time.perf_counter()
                function()
                times[way].append(time.perf_counter() - start)
        rates = {way: minibatch / float(np.median(values)) for way, values in times.items()}
        device = 'GPU' if tf.config.list_physical_devices('GPU') else f'{os.cpu_count()} CPU cores'
        print(f'{name}x{name}, minibatch {minibatch}, {device}:')
        for way, rate in rates.items():
            print(f'  {way:27s} {rate:9.2f} images/s  {rate / rates["serving_default"]:6.2f} x')
        rates['generate_images'] = iterator_rate(Gs, minibatch, FLAGS.seconds, rates['serving_default'])
        print(f'  {"generate_images, afterwards":27s} {rates["generate_images"]:9.2f} images/s')
        png_ms = 1000 / rates['generate_png'] - 1000 / rates['serving_default']
        print(f'  PNG encoding: {png_ms:.2f} ms per image')
        results[name] = {'minibatch': minibatch, 'images_per_second': rates, 'png_ms_per_image': png_ms}
    print(json.dumps(results))


if __name__ == '__main__':
    runtime.run(main)
