"""Keras layers of style-based networks: constant, blurred up-convolution, noise, bias, styles, labels. NHWC, HWIO.

Per-layer parameters stand apart from the convolution: its output is blurred, then gets noise, bias, activation,
normalization and style, in this order.
"""
import keras
import numpy as np
import tensorflow as tf

from networks.activations import activate, recorded
from networks.growth import shape_of
from networks.layers import WScaleConv

_KERNEL = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32)[:, :, None, None] / 16  # [3, 3, 1, 1]


def blur(x):
    """Convolves each channel with [1, 2, 1] x [1, 2, 1] / 16, zeros around the image, in float32. [N, H, W, C]"""
    return tf.cast(_blur(tf.cast(x, tf.float32)), x.dtype)


def _blur(x):
    def compute(x):
        # On a CPU two box filters take 1.2 to 1.8 times as long, sums of shifted images 2 to 6 times.
        kernel = tf.constant(np.tile(_KERNEL, [1, 1, x.shape[-1], 1]))
        return tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], 'SAME')
    return recorded(compute, lambda gradient: [_blur(gradient)], x)  # Symmetric: it is its own adjoint.


def instance_norm(x, epsilon=1e-8):
    """Each sample's channels with mean 0 and mean square 1, in float32. [N, H, W, C] -> float32 [N, H, W, C]"""
    x = tf.cast(x, tf.float32)
    x -= tf.reduce_mean(x, axis=[1, 2], keepdims=True)
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=[1, 2], keepdims=True) + epsilon)


def modulate(x, style):
    """x * (scale + 1) + shift. [N, H, W, C]; style [N, 2C]: scales, then shifts."""
    scale, shift = tf.split(tf.cast(style, x.dtype)[:, None, None], 2, axis=-1)  # [N, 1, 1, C]
    return x * (scale + 1) + shift


class _Weights(keras.layers.Layer):
    """A layer with float32 weights that are cast as they are used."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    def _add(self, name, shape, initializer='zeros'):
        return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

    def get_config(self):
        return {**super().get_config(), 'seed': self.seed}


@keras.saving.register_keras_serializable('style')
class UpscaledConv(WScaleConv):
    """2x nearest upscale and an equalized 3x3 convolution, SAME, in one transposed convolution; weight [3, 3, in, filters].

    Stored for the fused form of the reference the weight is flipped in both spatial axes: `flipped` says which it is.
    """

    def __init__(self, filters, flipped=False, **kwargs):
        super().__init__(filters, **{'scaling': 'up', **kwargs})
        self.flipped = flipped

    def build(self, input_shape):
        k, channels = self.kernel_size, input_shape[-1]
        self._add_weights([k, k, channels, self.filters], k * k * channels, self.filters)

    def scaled_weight(self):
        weight = tf.transpose(super().scaled_weight(), [0, 1, 3, 2])
        return weight if self.flipped else tf.reverse(weight, [0, 1])  # A slice with steps of -1 takes 10 times as long.

    def get_config(self):
        return {**super().get_config(), 'flipped': self.flipped}


@keras.saving.register_keras_serializable('style')
class Constant(_Weights):
    """The learned image that all pictures start from. Anything of batch N -> [N, size, size, channels]; stored as CHW.

    It is 1 at first, or N(0, 1) where it is `random`.
    """

    def __init__(self, channels, size=4, random=False, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.size = size
        self.random = random

    def build(self, input_shape):
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed) if self.random else 'ones'
        self.const = self._add('const', [1, self.channels, self.size, self.size], initializer)

    def kernel(self):
        """The image. [1, size, size, channels]"""
        return tf.transpose(tf.convert_to_tensor(self.const.value), [0, 2, 3, 1])

    def call(self, x, kernel=None):
        image = tf.cast(self.kernel() if kernel is None else kernel, self.compute_dtype)
        return tf.tile(image, [shape_of(x)[0], 1, 1, 1])

    def get_config(self):
        return {**super().get_config(), 'channels': self.channels, 'size': self.size, 'random': self.random}


@keras.saving.register_keras_serializable('style')
class Noise(_Weights):
    """x + noise * weight; [N, H, W, C], noise [N or 1, H, W, 1] or None for none, weight [C] from 0 on."""

    def build(self, input_shape):
        self.weight = self._add('weight', [input_shape[-1]])

    def call(self, x, noise=None):
        if noise is None:
            return x
        weight = tf.cast(self.weight.value, self.compute_dtype)
        # A matrix product: its gradient sums in one pass over memory.
        return x + tf.tensordot(tf.cast(noise, self.compute_dtype), weight[None], 1)

    def get_config(self):
        return super().get_config()


@keras.saving.register_keras_serializable('style')
class Bias(_Weights):
    """activation(x + bias), the activation by its name in activations.py. [..., C]"""

    def __init__(self, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.activation = activation

    def build(self, input_shape):
        self.bias = self._add('bias', [input_shape[-1]])

    def call(self, x):
        return activate(x, tf.convert_to_tensor(self.bias.value), self.activation)

    def get_config(self):
        return {**super().get_config(), 'activation': self.activation}


@keras.saving.register_keras_serializable('style')
class LabelConcat(_Weights):
    """Latents [N, Z], labels [N, label_size] @ weight [label_size, Z] -> [N, 2Z]; the weight is N(0, 1), not equalized."""

    def __init__(self, latent_size, **kwargs):
        super().__init__(**kwargs)
        self.latent_size = latent_size

    def build(self, input_shape):
        self.weight = self._add('weight', [input_shape[-1], self.latent_size],
                                keras.initializers.RandomNormal(stddev=1.0, seed=self.seed))

    def call(self, labels, latents=None):
        y = tf.matmul(labels, tf.cast(self.weight.value, self.compute_dtype))
        return y if latents is None else tf.concat([tf.cast(latents, self.compute_dtype), y], axis=1)

    def get_config(self):
        return {**super().get_config(), 'latent_size': self.latent_size}


def style_layers(resolution_log2):
    """The number of style layers of a network of 2^resolution_log2 pixels: two per resolution."""
    return 2 * resolution_log2 - 2


def mixed(w, other, cutoff):
    """The layers of w from `cutoff` on replaced by those of another. [N, layers, W], an int or int32 scalar"""
    return tf.where((tf.range(w.shape[1]) < cutoff)[:, None], w, other)


def truncated(w, average, psi, cutoff=None):
    """lerp(average, w, psi) in the first `cutoff` layers (None: in all). [N, layers, W], average [W], psi scalar or [N]"""
    nearer = average + (w - average) * tf.reshape(tf.cast(psi, w.dtype), [-1, 1, 1])
    return nearer if cutoff is None else mixed(nearer, w, cutoff)


def check_w(w, layers, size):
    """ValueError unless w is [N, `layers` or more, `size`]."""
    if len(w.shape) != 3 or w.shape[1] < layers or w.shape[2] != size:
        raise ValueError(f'w has the shape {list(w.shape)}; these images of this network need [N, {layers}, {size}].')


def check_noise(noise, sizes):
    """ValueError unless `noise` has a map [N or 1, size, size, 1] for each of `sizes`, or None, or is empty: none at all."""
    if noise and len(noise) < len(sizes):
        raise ValueError(f'{len(noise)} noise maps were given; these images of this network need {len(sizes)}, of the sizes '
                         f'{", ".join(map(str, sizes))}.')
    for index, (given, size) in enumerate(zip(noise, sizes, strict=False)):
        if given is not None and list(given.shape[1:]) != [size, size, 1]:
            raise ValueError(f'Noise map {index} has the shape {list(given.shape)}; this network needs [N or 1, {size}, '
                             f'{size}, 1].')


def noise_size(layer):
    """The side of the noise of a style layer: 4, 4, 8, 8, 16, ..."""
    return 2 ** (layer // 2 + 2)


def pixel_norm(x, epsilon=1e-8):
    """x / sqrt(mean over the last axis of x^2 + epsilon), computed in float32."""
    y = tf.cast(x, tf.float32)
    return tf.cast(y * tf.math.rsqrt(tf.reduce_mean(tf.square(y), axis=-1, keepdims=True) + epsilon), x.dtype)


def one_noise_each(latents, sizes):
    """Standard normal maps float32 [N, size, size, 1], one per size: each row's a function of its latent alone.

    So they depend on neither the minibatch nor the devices, and no two latents share them.
    """
    seeds = tf.bitcast(tf.cast(latents, tf.float32)[:, :2], tf.int32)
    total = sum(size ** 2 for size in sizes)
    return noise_maps(tf.map_fn(lambda seed: tf.random.stateless_normal([total], seed), seeds,
                                fn_output_signature=tf.float32), sizes)


def noise_maps(numbers, sizes):
    """Maps float32 [N, size, size, 1], one per size, of numbers [N, sum of size^2 or more], map after map."""
    areas = [size ** 2 for size in sizes]
    parts = tf.split(numbers[:, :sum(areas)], areas, axis=1)
    return [tf.reshape(part, [-1, size, size, 1]) for part, size in zip(parts, sizes, strict=True)]
