"""Projection: the point of a generator's latent space whose image comes nearest to a given one (StyleGAN2, appendix D).

    minimize distance(image(w + noise), target) + 1e5 * regularizer(noise maps), Adam, 1000 steps

StyleGAN's networks are searched in w, one w for all layers, and in their noise maps; networks without w in z.
"""
import math

import keras
import numpy as np
import tensorflow as tf

from networks.growth import at_most, downscale, split_lod
from serving.generate import map_latents, to_uint8
from serving.latents import labels_of

STEPS = 1000
_REGULARIZER = 1e5
_RATE, _RAMP_UP, _RAMP_DOWN = 0.1, 0.05, 0.25
_STRENGTH, _STRENGTH_UNTIL = 0.05, 0.75
_SAMPLES, _SAMPLES_SEED = 10000, 123
_LARGEST = 256  # Pixels of the images that are compared.
_CANDIDATES = 1000  # Latents among which a search in z chooses its start.


def learning_rate(t):
    """Of the moment t in 0..1: 0.1, rising over the first 5 %, falling as a cosine over the last quarter."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / _RAMP_DOWN))
    return _RATE * down * min(1.0, t / _RAMP_UP)


def strength(t):
    """How far w is moved at random at the moment t in 0..1, in standard deviations: from 0.05 to 0 at three quarters."""
    return _STRENGTH * max(0.0, 1 - t / _STRENGTH_UNTIL) ** 2


def noise_regularizer(maps):
    """How much noise maps [N, r, r, 1] are like themselves one pixel further, at scales down to 8x8. -> float32 [N]"""
    terms = []
    for x in maps:
        while True:
            for axis in 1, 2:
                terms.append(tf.square(tf.reduce_mean(x * tf.roll(x, 1, axis), axis=[1, 2, 3])))
            if x.shape[1] <= 8:
                break
            x = downscale(x)
    return tf.add_n(terms) if terms else 0.0


def normalized(maps):
    """Of mean 0 and standard deviation 1 each. [N, r, r, 1]"""
    mean, variance = tf.nn.moments(maps, [1, 2, 3], keepdims=True)
    return (maps - mean) / tf.sqrt(variance)


class WSpace:
    """The w of a StyleGAN: `points` float32 [N, dlatent_size], alike in all layers.

    A conditional network's average is that of `label` [label_size], or of classes drawn at random.
    """
    file = 'w'

    def __init__(self, Gs, label=None):
        self.Gs = Gs
        self.level, self.fade = split_lod(Gs.stored_lod)
        random = np.random.RandomState(_SAMPLES_SEED)
        latents = random.randn(_SAMPLES, Gs.latent_size).astype(np.float32)
        labels = None
        if Gs.label_size:
            drawn = labels_of(random.randint(Gs.label_size, size=_SAMPLES), Gs.label_size)
            labels = drawn if label is None else np.tile(label, [_SAMPLES, 1])
        w = map_latents(Gs, latents, labels, truncation=1.0)[:, 0]
        self.mean = w.mean(axis=0)
        self.deviation = float(np.sqrt(np.square(w - self.mean).sum() / _SAMPLES))
        self.noise_sizes = Gs.noise_sizes_at(self.level)

    def start(self, distance, target, count):
        """Where a search begins: float32 [count, dlatent_size]"""
        return np.repeat(self.mean[None], count, axis=0)

    def images(self, points, noise):
        """-> float32 [N, R, R, C], about -1..1; differentiable. `noise`: maps [N or 1, r, r, 1]"""
        images = self.Gs.synthesize(self.latents(points), self.level, self.fade, noise=noise)
        return self.Gs.at_full_resolution(images, self.level)

    def latents(self, points):
        """What generate.py takes: w float32 [N, layers, dlatent_size]"""
        return tf.repeat(points[:, None], self.Gs.layers_at(0), axis=1)


class ZSpace:
    """The latents of a network without w: `points` float32 [N, latent_size]. `label` as for WSpace, by default the first."""
    file, noise_sizes, deviation = 'z', (), 1.0

    def __init__(self, Gs, label=None):
        self.Gs, self._lod = Gs, Gs.stored_lod
        self._label = labels_of([0], Gs.label_size)[0] if label is None and Gs.label_size else label

    def start(self, distance, target, count):
        """The nearest of 1000 latents to each target: float32 [count, latent_size]"""
        latents = np.random.RandomState(_SAMPLES_SEED).randn(_CANDIDATES, self.Gs.latent_size).astype(np.float32)

        @tf.function
        def distances(points):
            made = distance.describe(compared(self.images(points, ())))
            return tf.stack([distance.between(made, [x[i:i + 1] for x in target]) for i in range(count)])

        found = np.concatenate([distances(latents[i:i + 20]) for i in range(0, _CANDIDATES, 20)], axis=1)
        return latents[found.argmin(axis=1)]

    def images(self, points, noise):
        """As WSpace's."""
        labels = None
        if self.Gs.label_size:
            labels = tf.repeat(tf.constant(self._label, tf.float32)[None], tf.shape(points)[0], axis=0)
        return self.Gs.generate(points, labels, self._lod)

    def latents(self, points):
        """What generate.py takes: float32 [N, latent_size]"""
        return points


def space_of(Gs, label=None):
    """The space in which a network is searched: that of w where it has one."""
    return (WSpace if Gs.has_w else ZSpace)(Gs, label)


def compared(images):
    """About -1..1 -> about 0..255, box-filtered to what is compared if they are larger. float32 [N, <= 256, <= 256, C]"""
    return at_most(images, _LARGEST) * 127.5 + 127.5


class PixelDistance:
    """The mean squared difference of pixels, as parts of 255."""

    def describe(self, images):
        """What `between` compares. float32 [N, r, r, C], 0..255 -> [float32 [N, r, r, C]]"""
        return [images / 255]

    def between(self, a, b):
        """-> float32 [N]"""
        return tf.reduce_mean(tf.square(a[0] - b[0]), axis=[1, 2, 3])


class Projection:
    """The search for several targets at once, each as if it were alone.

    `targets` are uint8 [N, R, R, C], `seeds` N lists of numbers that random numbers follow from; `distance` has `describe`
    and `between`, as PixelDistance and metrics' LPIPS; it sees at most 256x256 pixels. `step`: how many of `steps` are done.
    """

    def __init__(self, space, distance, targets, seeds, steps=STEPS):
        self.space, self.steps, self.step = space, steps, 0
        self._distance, self._seeds = distance, [*seeds]
        self._target = [tf.constant(x) for x in distance.describe(at_most(targets, _LARGEST))]
        draws = [np.random.RandomState(seed) for seed in self._seeds]
        self._points = keras.Variable(space.start(distance, self._target, len(targets)))
        self._noise = [keras.Variable(np.stack([random.randn(size, size, 1) for random in draws]), dtype='float32')
                       for size in space.noise_sizes]
        self._variables = [self._points, *self._noise]
        self._optimizer = keras.optimizers.Adam(0.0, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
        self._optimizer.build(self._variables)
        self._update, self._show = tf.function(self._update_once), tf.function(self._made)

    def advance(self):
        """One step -> the distances that it found, float32 [N]."""
        t, shape = self.step / self.steps, [len(self._seeds), self._points.shape[1]]
        moves = np.stack([np.random.RandomState([*seed, self.step]).randn(shape[1]) for seed in self._seeds])
        self._optimizer.learning_rate = learning_rate(t)
        found = self._update(tf.constant(self.space.deviation * strength(t) * moves, tf.float32))
        self.step += 1
        return found.numpy()

    def _update_once(self, moves):
        with tf.GradientTape() as tape:
            made = compared(self._made(self._points + moves))
            found = self._distance.between(self._distance.describe(made), self._target)
            loss = tf.reduce_sum(found + _REGULARIZER * noise_regularizer([tf.convert_to_tensor(x) for x in self._noise]))
        gradients = tape.gradient(loss, [variable.value for variable in self._variables],
                                  unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self._optimizer.apply(gradients, self._variables)
        for maps in self._noise:
            maps.assign(normalized(maps.value))
        return found

    def _made(self, points):
        return self.space.images(points, [tf.convert_to_tensor(maps) for maps in self._noise])

    @property
    def points(self):
        """Where the search is: float32 [N, components]"""
        return self._points.numpy()

    @property
    def noise(self):
        """The noise maps: [float32 [N, r, r, 1]]"""
        return [maps.numpy() for maps in self._noise]

    def images(self, points=None):
        """The images of the search's points, or of others, with its noise maps: uint8 [N, R, R, C]"""
        made = self._show(tf.constant(self.points if points is None else points))
        return to_uint8(made, self.space.Gs.half_up).numpy()

    def distances(self):
        """Of `images` as they are, not rounded: float32 [N]"""
        made = compared(self._show(tf.constant(self.points)))
        return self._distance.between(self._distance.describe(made), self._target).numpy()

    def state(self):
        """{name: array}, all that the search goes on with."""
        arrays = [variable.numpy() for variable in self._variables + self._optimizer.variables]
        return {'step': np.array(self.step), **{f'{number:04d}': array for number, array in enumerate(arrays)}}

    def restore(self, state):
        """Takes up what `state` gave; ValueError if it was that of another search."""
        variables = self._variables + self._optimizer.variables
        arrays = [state[key] for key in sorted(state) if key.isdecimal()]
        if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
            raise ValueError('it is that of another network')
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        self.step = int(state['step'])
