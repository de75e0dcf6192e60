"""Keras layers of the paper's networks: equalized dense and convolution, pixel norm, minibatch stddev. NHWC, HWIO."""
import functools
import math

import keras
import tensorflow as tf

from networks.activations import HOMOGENEOUS, SQRT2, activate
from networks.convolution import convolve, convolve_transposed
from networks.growth import shape_of


class _WScale(keras.layers.Layer):
    """A linear layer with equalized learning rate: weight ~ N(0, 1), times gain / sqrt(fan_in) at run time.

    With `use_wscale=False` the same constant is the stddev of the initial weight instead (paper, section 4.1). With
    `lrmul` weight and bias are stored divided by it and multiplied at run time, so that they learn as much more slowly.
    `activation` is a name of activations.py; `activation_gain` multiplies its result. Without `use_bias` the layer is
    linear: activation and bias come later.
    """

    def __init__(self, gain=SQRT2, use_wscale=True, activation=None, lrmul=1.0, use_bias=True, activation_gain=1.0,
                 seed=None, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain
        self.use_wscale = use_wscale
        self.activation = activation
        self.lrmul = lrmul
        self.use_bias = use_bias
        self.activation_gain = activation_gain
        # What can be is multiplied into weight and bias: one pass over the activations less.
        self.folded = activation_gain if activation in HOMOGENEOUS else 1.0
        self.seed = seed

    def _add_weights(self, shape, fan_in, channels):
        self.weight, scale = self._add_scaled('weight', shape, self.gain / math.sqrt(fan_in), self.seed)
        self.weight_scale = scale * self.folded
        self._add_bias(channels)

    def _add_scaled(self, name, shape, he_constant, seed):
        """-> (variable, what multiplies it at run time)."""
        stddev, scale = (1.0, he_constant) if self.use_wscale else (he_constant, 1.0)
        # autocast=False: the product with the scale is taken in float32, where it cannot underflow.
        return self.add_weight(
            name=name, shape=shape, autocast=False,
            initializer=keras.initializers.RandomNormal(stddev=stddev / self.lrmul, seed=seed)), scale * self.lrmul

    def _add_bias(self, channels):
        if self.use_bias:
            self.bias = self.add_weight(name='bias', shape=[channels], autocast=False, initializer='zeros')

    def scaled_weight(self):
        """The weight times its constant, float32."""
        weight = tf.convert_to_tensor(self.weight.value)
        return weight * self.weight_scale if self.weight_scale != 1.0 else weight

    def kernel(self):
        """What multiplies the input at run time, float32: a linear function of the weight."""
        return self.scaled_weight()

    def call(self, x, kernel=None):
        return self._activated(self._linear(x, kernel))

    def _linear(self, x, kernel=None):
        return self._product(x, tf.cast(self.kernel() if kernel is None else kernel, self.compute_dtype))

    def _activated(self, y):
        if not self.use_bias:
            return y
        bias, scale = tf.convert_to_tensor(self.bias.value), self.lrmul * self.folded
        return activate(y, bias * scale if scale != 1.0 else bias, self.activation, self.activation_gain / self.folded)

    def get_config(self):
        return {**super().get_config(), 'gain': self.gain, 'use_wscale': self.use_wscale, 'activation': self.activation,
                'lrmul': self.lrmul, 'use_bias': self.use_bias, 'activation_gain': self.activation_gain, 'seed': self.seed}


def run_layer(layer, x, **others):
    """How networks run their equalized layers when they are called once; `others`: what a layer takes beside x."""
    return layer(x, **others)


def sharing_kernels():
    """Like `run_layer`, but each layer's kernel is computed once, however often it runs; for one step of training."""
    kernel_of = functools.cache(lambda layer: layer.kernel())
    return lambda layer, x, **others: layer(x, kernel=kernel_of(layer), **others)


@keras.saving.register_keras_serializable('progan')
class WScaleDense(_WScale):
    """Equalized dense layer. [N, in] or images [N, H, W, C] -> [N, units], or [N, S, S, units] with `image_size` = S.

    Images are flattened, and written, channel-major ([C, H, W]), the order of the reference's weights
    [in, units * S * S]; the bias is one number per unit.
    """

    def __init__(self, units, image_size=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.image_size = image_size

    def build(self, input_shape):
        fan_in = math.prod(input_shape[1:])
        self._add_weights([fan_in, self.units * (self.image_size or 1) ** 2], fan_in, self.units)

    def _product(self, x, kernel):
        if x.shape.rank == 4:
            x = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, self.weight.shape[0]])  # [N, C*H*W]
        x = tf.matmul(x, kernel)
        if self.image_size:
            x = tf.reshape(x, [-1, self.units, self.image_size, self.image_size])
            x = tf.transpose(x, [0, 2, 3, 1])  # [N, S, S, units]
        return x

    def get_config(self):
        return {**super().get_config(), 'units': self.units, 'image_size': self.image_size}


@keras.saving.register_keras_serializable('progan')
class WScaleConv(_WScale):
    """Equalized convolution, SAME. [N, H, W, in] -> [N, H, W, filters]; twice or half the size with `scaling`.

    `scaling='up'` is a 2x nearest upscale and a convolution in one stride-2 transposed convolution (weight
    [k, k, filters, in]), `'down'` a convolution and a 2x box downscale in one stride-2 convolution (weight
    [k, k, in, filters], as without scaling). Both apply the sum of the kernel's four one-pixel shifts.
    """

    def __init__(self, filters, kernel_size=3, scaling=None, **kwargs):
        super().__init__(**kwargs)
        if scaling not in (None, 'up', 'down'):
            raise ValueError(f"scaling is {scaling!r}; use None, 'up' or 'down'.")
        self.filters = filters
        self.kernel_size = kernel_size
        self.scaling = scaling

    def build(self, input_shape):
        k, channels = self.kernel_size, input_shape[-1]
        maps = [self.filters, channels] if self.scaling == 'up' else [channels, self.filters]
        self._add_weights([k, k, *maps], k * k * channels, self.filters)

    def kernel(self):
        kernel = self.scaled_weight()
        if self.scaling:
            kernel = _sum_of_shifts(kernel * 0.25 if self.scaling == 'down' else kernel)
        return kernel

    def _product(self, x, kernel):
        if self.scaling == 'up':
            n, h, w, _ = shape_of(x)
            return convolve_transposed(x, kernel, [n, 2 * h, 2 * w, self.filters])
        return convolve(x, kernel, 2 if self.scaling else 1)

    def get_config(self):
        return {**super().get_config(), 'filters': self.filters, 'kernel_size': self.kernel_size,
                'scaling': self.scaling}


def _sum_of_shifts(kernel):
    """The kernel added to itself shifted by one pixel down, right, and both. [k, k, ...] -> [k + 1, k + 1, ...]."""
    return tf.add_n([tf.pad(kernel, [[y, 1 - y], [x, 1 - x], [0, 0], [0, 0]]) for y in (0, 1) for x in (0, 1)])


@keras.saving.register_keras_serializable('progan')
class PixelNorm(keras.layers.Layer):
    """x / sqrt(mean over channels of x^2 + epsilon). [..., C] -> [..., C] (paper, section 4.2)."""

    def __init__(self, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, x):
        return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + self.epsilon)

    def get_config(self):
        return {**super().get_config(), 'epsilon': self.epsilon}


@keras.saving.register_keras_serializable('progan')
class MinibatchStd(keras.layers.Layer):
    """Appends each group's mean stddev as more channels. [N, H, W, C] -> [N, H, W, C + num_features] (paper, section 3).

    A group holds `group_size` samples i, i + N/g, i + 2N/g, ... A feature is the mean over one of `num_features` equal runs
    of channels. `call(x, num_batches=b)` takes b minibatches stacked along N and keeps their groups apart.
    """

    def __init__(self, group_size=4, num_features=1, **kwargs):
        super().__init__(**kwargs)
        self.group_size = group_size
        self.num_features = num_features

    def call(self, x, num_batches=1):
        n, h, w, c = shape_of(x)
        features = self.num_features
        if c % features:
            raise ValueError(f'Minibatch stddev cannot cut {c} channels into {features} equal runs; change '
                             f'network.mbstd_num_features.')
        minibatch = n // num_batches
        if isinstance(n, int):
            group_size = min(self.group_size, minibatch)
            if minibatch % group_size:
                raise ValueError(f'The minibatch per device is {minibatch}, but minibatch stddev needs a multiple of its '
                                 f'group size {group_size}; change the minibatch or network.mbstd_group_size.')
        else:
            group_size = tf.minimum(self.group_size, minibatch)
        y = tf.reshape(tf.cast(x, tf.float32), [num_batches, group_size, -1, h, w, c])  # [b, g, M, H, W, C]
        y -= tf.reduce_mean(y, axis=1, keepdims=True)
        y = tf.sqrt(tf.reduce_mean(tf.square(y), axis=1) + 1e-8)  # [b, M, H, W, C]
        y = tf.reduce_mean(tf.reshape(y, [num_batches, -1, h, w, features, c // features]), axis=[2, 3, 5])  # [b, M, F]
        y = tf.reshape(tf.cast(y, x.dtype), [num_batches, 1, -1, 1, 1, features])
        y = tf.broadcast_to(y, [num_batches, group_size, minibatch // group_size, h, w, features])
        return tf.concat([x, tf.reshape(y, [n, h, w, features])], axis=-1)

    def get_config(self):
        return {**super().get_config(), 'group_size': self.group_size, 'num_features': self.num_features}
