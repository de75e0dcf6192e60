"""Layer norm and batch norm of what equalized layers make, before bias and activation (ProGAN, table 1, a to c). NHWC."""
import keras
import tensorflow as tf

from networks.layers import WScaleConv, WScaleDense, run_layer
from networks.network import GeneratorNetwork
from presets.preset import WHOLE

EPSILON = 1e-4       # Added to variances. The paper gives that of layer norm; batch norm has the same here.
_DECAY = 0.9         # Of the averages of batch norm, per evaluation. The paper gives none.


def normalized(y, mean, variance, gain):
    """gain (y - mean) / sqrt(variance + EPSILON), of the type of y."""
    mean, variance, gain = (tf.cast(x, tf.float32) for x in (mean, variance, gain))
    return tf.cast((tf.cast(y, tf.float32) - mean) * (gain * tf.math.rsqrt(variance + EPSILON)), y.dtype)


def moments(y, axes):
    """Means and variances over axes, float32, of which the sizes stay 1."""
    y = tf.cast(y, tf.float32)
    mean = tf.reduce_mean(y, axes, keepdims=True)
    return mean, tf.reduce_mean(tf.square(y - mean), axes, keepdims=True)


def minibatch_moments(y, num_batches=1):
    """The same of each channel over the examples and pixels of each of `num_batches` minibatches stacked along N.

    [N, ..., C] -> two of [num_batches, 1, .., C], and y as [num_batches, N / num_batches, ..., C].
    """
    y = tf.reshape(y, [num_batches, -1, *y.shape[1:]])
    return *moments(y, [*range(1, len(y.shape) - 1)]), y


class _Normed:
    """What is put before an equalized layer: a gain of shape `gains(channels)`, 1 at the start."""

    def build(self, input_shape):
        super().build(input_shape)
        shape = self.gains(self.bias.shape[0])
        self.norm_gain = self.add_weight(name='gain', shape=shape, initializer='ones', autocast=False)

    def gains(self, channels):
        return [channels]


class _LayerNormed(_Normed):
    """Each example is normalized over all its channels and pixels; one gain per layer, a bias per channel."""

    def gains(self, channels):
        return []

    def _activated(self, y):
        return super()._activated(normalized(y, *moments(y, [*range(1, len(y.shape))]), self.norm_gain))


class BatchNormed(_Normed):
    """Each channel is normalized by averages of means and variances, with `of_minibatch` by those of the minibatch.

    call(x) -> y; call(x, of_minibatch=True) -> (y, means [C], variances [C]). Gain and bias per channel.
    """

    def build(self, input_shape):
        super().build(input_shape)
        for name, start in (('mean', 'zeros'), ('variance', 'ones')):
            setattr(self, name, self.add_weight(name=name, shape=self.bias.shape, initializer=start, trainable=False,
                                                autocast=False))

    def call(self, x, kernel=None, of_minibatch=False):
        y = self._linear(x, kernel)
        if not of_minibatch:
            return self._activated(normalized(y, self.mean, self.variance, self.norm_gain))
        mean, variance = (tf.reshape(x, [-1]) for x in minibatch_moments(y)[:2])
        return self._activated(normalized(y, mean, variance, self.norm_gain)), mean, variance


class _MinibatchNormed(_Normed):
    """Each channel is normalized by mean and variance of its minibatch, always; call(x, num_batches) as D's."""

    def call(self, x, kernel=None, num_batches=1):
        y = self._linear(x, kernel)
        mean, variance, stacked = minibatch_moments(y, num_batches)
        return self._activated(tf.reshape(normalized(stacked, mean, variance, self.norm_gain), tf.shape(y)))


@keras.saving.register_keras_serializable('progan')
class LayerNormConv(_LayerNormed, WScaleConv):
    """A WScaleConv with layer norm."""


@keras.saving.register_keras_serializable('progan')
class LayerNormDense(_LayerNormed, WScaleDense):
    """A WScaleDense with layer norm."""


@keras.saving.register_keras_serializable('progan')
class BatchNormConv(BatchNormed, WScaleConv):
    """A WScaleConv with batch norm."""


@keras.saving.register_keras_serializable('progan')
class BatchNormDense(BatchNormed, WScaleDense):
    """A WScaleDense with batch norm."""


@keras.saving.register_keras_serializable('progan')
class MinibatchNormConv(_MinibatchNormed, WScaleConv):
    """A WScaleConv with batch norm that keeps no averages."""


class BatchNormedGenerator(GeneratorNetwork):
    """A generator that may have batch norm: minibatches are normalized by their own statistics in training.

    Pictures are made with their averages, decay 0.9 per evaluation in training, so that an image is a function of its latent
    alone; Gs has those of G.
    """

    @property
    def normed_layers(self):
        """{layer with batch norm: its name}."""
        return {layer: name for name, layer in self.named_layers.items() if isinstance(layer, BatchNormed)}

    @property
    def group_size(self):
        return WHOLE if self.normed_layers else 1

    @property
    def averages(self):
        return {f'{name}/{what}': _DECAY for name in self.normed_layers.values() for what in ('mean', 'variance')}

    def own_variables(self):
        return super().own_variables() | {f'{name}/{variable.name}': variable for layer, name in self.normed_layers.items()
                                          for variable in (layer.mean, layer.variance)}

    def training_images(self, draws, labels, level, fade, run=run_layer):
        names, means = self.normed_layers, {}

        def normalizing(layer, x):
            if layer not in names:
                return run(layer, x)
            y, means[f'{names[layer]}/mean'], means[f'{names[layer]}/variance'] = run(layer, x, of_minibatch=True)
            return y
        return self(draws.latents, labels, level=level, fade=fade, run=normalizing), tf.nest.map_structure(
            tf.stop_gradient, means)
