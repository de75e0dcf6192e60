"""Internal to startup.py: prints what stages a first step or a first picture consists of, in seconds, as JSON.

Runs in the root of a checkout, with its modules: `python _stages.py step|picture KIND DATASET NETWORK SECONDS`, the last
being the clock when it was started. A step leaves the snapshot NETWORK, of which the picture is.
"""
import os
import sys

sys.path[:0] = [os.getcwd(), os.path.join(os.getcwd(), 'benchmarks')]
import runtime  # isort: skip
import collections
import json
import time

MAPS, MINIBATCH, ROUNDS = 64, 16, 4


class Stages:
    """{stage: seconds}; each ends where the next one begins."""

    def __init__(self, started):
        self.seconds, self._last = {}, started

    def end(self, name, of_it=()):
        """Ends a stage; `of_it` are stages within, {name: seconds}, the rest is this one."""
        now = time.time()
        self.seconds |= dict(of_it) | {name: now - self._last - sum(dict(of_it).values())}
        self._last = now


class Timed:
    """A tf.function, which adds the seconds of tracing, and of its first call, which optimizes, to a dict."""

    def __init__(self, function, seconds):
        self._function, self._seconds, self._called = function, seconds, False

    def __call__(self, *args):
        if self._called:
            return self._function(*args)
        self._called, started = True, time.time()
        self._function.get_concrete_function(*args)
        traced = time.time()
        result = self._function(*args)
        self._seconds['tracing'] += traced - started
        self._seconds['optimizing graphs'] += time.time() - traced
        return result


def step(stages, kind, dataset, network):
    """To the end of the first iteration of training."""
    runtime.suit_threads_to(MAPS, one_device=True)
    import tensorflow  # noqa: F401
    stages.end('Python, TensorFlow')
    from _training import Training

    from data.tfrecords import Dataset
    from networks.snapshot import save_snapshot
    from training.devices import make_strategy
    stages.end('other modules')
    preset = {'progan': 'demo', 'stylegan': 'stylegan-1gpu', 'stylegan2': 'stylegan2-f'}[kind]
    training = Training(make_strategy(), Dataset(dataset), MAPS, MINIBATCH, ROUNDS, preset=preset)
    stages.end('networks and optimizers')
    stream, inner = training.stream(0), collections.Counter()
    make = training.iteration._functions.default_factory
    training.iteration._functions = collections.defaultdict(lambda: Timed(make(), inner))
    training.step(stream, 0)
    stages.end(f'{ROUNDS} rounds, with reading', inner)
    save_snapshot(network, training.state.G, training.state.D, training.state.Gs)


def picture(stages, kind, dataset, network):
    """To the first picture, in a file."""
    import tensorflow  # noqa: F401
    stages.end('Python, TensorFlow')
    import numpy as np

    from networks.snapshot import load_snapshot
    from pictures.pictures import save_picture
    from serving.generate import generate_images
    stages.end('other modules')
    Gs = load_snapshot(network, ['Gs']).Gs
    stages.end('the network')
    image, = generate_images(Gs, np.random.RandomState(0).randn(1, Gs.latent_size))
    stages.end('tracing, optimizing, one image')
    save_picture(image[0], f'{network}.png', 'png')
    stages.end('the file')


if __name__ == '__main__':
    what, kind, dataset, network, started = sys.argv[1:]
    stages = Stages(float(started))
    {'step': step, 'picture': picture}[what](stages, kind, dataset, network)
    print(json.dumps(stages.seconds))
