"""A classifier of handwritten digits, by which modes are counted: trained once on scans whose digits are known, then kept.

Its layers are those of appendix E of ProGAN's paper: two 3x3 convolutions to 32 channels, a pool, two to 55, a pool, two to
96 without padding, a pool, a dense layer; leaky ReLU of slope 0.1. Its training is ours, as are pools of the maximum.
"""
import dataclasses
import functools
import io
import json
import os

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from numpy.lib.stride_tricks import sliding_window_view

from data import sources
from data.archives import open_zip, read_member
from files import replacing, sha256_of
from networks.activations import leaky_relu
from progress import progress
from serving.generate import first_devices, shared_out

# Of the last two convolutions, by resolution. They see 4x4 of 16x16, of which nothing would be left without padding; the
# dense layer sees 2x2 either way.
_PADDING = {32: 'valid', 16: 'same'}
_MINIBATCH, _LEARNING_RATE = 64, 0.001
_RECIPE = 1  # To be raised with every change of the training, so that no classifier of an earlier one is taken from a cache.


@dataclasses.dataclass(frozen=True)
class Scans:
    """Digits to learn from, others to be tried on, and how."""

    name: str                 # Of where they come from.
    images: np.ndarray        # uint8 [N, R, R], R 16 or 32
    classes: np.ndarray       # int64 [N], 0 to 9
    test_images: np.ndarray   # uint8 [M, R, R]
    test_classes: np.ndarray  # int64 [M]
    num_shown: int            # Images of a training, repeats included.
    shift: int                # Pixels by which they are moved at most, in any direction.
    most_wrong: float         # Share of the test images that a good classifier gets wrong.

    @functools.cached_property
    def sha256(self):
        """Of all that a classifier depends on."""
        recipe = [_RECIPE, self.num_shown, self.shift, self.images.shape, self.test_images.shape]
        arrays = (self.images, self.classes, self.test_images, self.test_classes)
        return sha256_of([json.dumps(recipe).encode(), *(array.tobytes() for array in arrays)])


def mnist_scans(folder, expected_images=60000, expected_tests=10000):
    """MNIST's digits in 32x32 from a folder of its four files; the paper's classifier gets 0.4% of the tests wrong."""
    return Scans('MNIST', *_arrays(sources.mnist(folder, expected_images=expected_images)),
                 *_arrays(sources.mnist_test(folder, expected_tests)), num_shown=900_000, shift=2, most_wrong=0.004)


def small_scans():
    """scikit-learn's digits in 16x16, of which a quarter is left for tests; nothing is downloaded."""
    images, classes = _arrays(sources.digits())
    test = len(images) // 4
    return Scans("scikit-learn's digits", images[test:], classes[test:], images[:test], classes[:test], num_shown=60_000,
                 shift=1, most_wrong=0.02)


def _arrays(source):
    return np.stack(source.items)[:, 0], np.argmax(source.labels, axis=1)


class DigitClassifier:
    """A function of images: which digit is in each of their channels? uint8 [N, C, R, R] -> int64 [N, C]

    It is trained when it is first called, unless the folder `cache` holds what was trained on the same scans.
    """

    def __init__(self, scans, cache, devices=None):
        self._scans, self._devices = scans, devices or first_devices()
        self._path = os.path.join(cache, 'digits', f'{scans.sha256[:32]}.npz')
        self.resolution, self.sha256 = scans.images.shape[-1], scans.sha256

    def __call__(self, images):
        digits = images.reshape(-1, self.resolution, self.resolution)
        return shared_out(self._devices, self._graph, digits).reshape(images.shape[:2])

    @functools.cached_property
    def wrong(self):
        """The share of the test images that it gets wrong."""
        tests = self._scans.test_images
        found = [np.argmax(self._network(normalized(tests[i:i + 512])), axis=1) for i in range(0, len(tests), 512)]
        return float(np.mean(np.concatenate(found) != self._scans.test_classes))

    @functools.cached_property
    def _network(self):
        network = make_network(self.resolution)
        if not self._load(network):
            train(network, self._scans)
            self._save(network)
        return network

    @functools.cached_property
    def _graph(self):
        network = self._network
        self._tell()

        @tf.function(input_signature=[tf.TensorSpec([None, self.resolution, self.resolution], tf.uint8)])
        def classify(images):
            return tf.argmax(network(normalized(images)), axis=1)
        return classify

    def _tell(self):
        scans = self._scans
        logging.info('The classifier of digits gets %.2f%% of %d test images of %s wrong', 100 * self.wrong,
                     len(scans.test_images), scans.name)
        if self.wrong > scans.most_wrong:
            logging.warning('the classifier of digits gets %.2f%% of %s wrong, where %.1f%% are expected; modes and KL are '
                            'less certain than they should be.', 100 * self.wrong, scans.name, 100 * scans.most_wrong)

    def _load(self, network):
        """Whether the network got the weights in the cache."""
        if not os.path.exists(self._path):
            return False
        try:
            with open_zip(self._path) as archive:
                network.set_weights([
                    np.load(io.BytesIO(read_member(archive, archive.getinfo(f'arr_{i}.npy'))), allow_pickle=False)
                    for i in range(len(network.weights))])
        except Exception as error:  # A damaged header can raise anything.
            logging.warning('the classifier of digits in %s is damaged (%s); it is trained anew', self._path, error)
            return False
        return True

    def _save(self, network):
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with replacing(self._path) as partial, open(partial, 'wb') as file:
                np.savez(file, *network.get_weights())
        except OSError as error:  # What is measured with it counts all the same.
            logging.warning('the classifier of digits is not kept: %s', error)


def make_network(resolution, seed=0):
    """The untrained network: float32 [N, R, R, 1], R 16 or 32 -> logits [N, 10]."""
    seeds = iter(range(seed, seed + 7))
    layers = [keras.Input([resolution, resolution, 1])]
    for filters, padding in (32, 'same'), (55, 'same'), (96, _PADDING[resolution]):
        for _ in range(2):
            initial = keras.initializers.HeNormal(next(seeds))
            layers += [keras.layers.Conv2D(filters, 3, padding=padding, kernel_initializer=initial),
                       keras.layers.Activation(functools.partial(leaky_relu, slope=0.1))]
        layers.append(keras.layers.MaxPooling2D())
    layers += [keras.layers.Flatten(), keras.layers.Dense(10, kernel_initializer=keras.initializers.HeNormal(next(seeds)))]
    return keras.Sequential(layers)


def normalized(images):
    """uint8 [N, R, R] -> float32 [N, R, R, 1] in -1..1."""
    return tf.cast(images, tf.float32)[..., tf.newaxis] / 127.5 - 1


def train(network, scans, seed=0):
    """Trains by cross-entropy and Adam, whose learning rate falls to 0 on a cosine, with images moved at random."""
    steps, n, size = scans.num_shown // _MINIBATCH, len(scans.images), scans.images.shape[-1]
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps))
    optimizer.build(network.trainable_variables)
    random = np.random.RandomState(seed)
    order = np.concatenate([random.permutation(n) for _ in range(-(-scans.num_shown // n))])
    around = [(0, 0), (scans.shift, scans.shift), (scans.shift, scans.shift)]
    moved = sliding_window_view(np.pad(scans.images, around), (size, size), axis=(1, 2))  # [N, places, places, R, R]

    @tf.function(input_signature=[tf.TensorSpec([_MINIBATCH, size, size], tf.uint8), tf.TensorSpec([_MINIBATCH], tf.int64)])
    def step(images, classes):
        with tf.GradientTape() as tape:
            logits = network(normalized(images), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits))
        optimizer.apply_gradients(zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables,
                                      strict=True))

    with progress(total=scans.num_shown, what='training a classifier of digits') as bar:
        for i in range(steps):
            chosen = order[i * _MINIBATCH:(i + 1) * _MINIBATCH]
            y, x = random.randint(2 * scans.shift + 1, size=[2, _MINIBATCH])
            step(moved[chosen, y, x], scans.classes[chosen])
            bar.update(_MINIBATCH)
