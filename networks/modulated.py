"""StyleGAN2's layers: convolutions that a style modulates, and convolutions that resample by a filter. NHWC, HWIO."""
import keras
import tensorflow as tf

from networks.convolution import convolve
from networks.growth import shape_of
from networks.layers import WScaleConv
from networks.resampling import conv_downsample, upsample_conv


@keras.saving.register_keras_serializable('stylegan2')
class FilteredConv(WScaleConv):
    """Equalized convolution that also resamples by `resample_kernel`, to twice ('up') or half ('down') the size.

    The weight is [k, k, in, filters] in both directions.
    """

    def __init__(self, filters, resample_kernel=None, **kwargs):
        super().__init__(filters, **kwargs)
        self.resample_kernel = resample_kernel

    def build(self, input_shape):
        k, channels = self.kernel_size, input_shape[-1]
        self._add_weights([k, k, channels, self.filters], k * k * channels, self.filters)

    def kernel(self):
        return self.scaled_weight()

    def _product(self, x, kernel):
        if self.scaling:
            return {'up': upsample_conv, 'down': conv_downsample}[self.scaling](x, kernel, self.resample_kernel)
        return convolve(x, kernel)

    def get_config(self):
        return {**super().get_config(), 'resample_kernel': self.resample_kernel}


@keras.saving.register_keras_serializable('stylegan2')
class ModulatedConv(FilteredConv):
    """A convolution whose inputs the style scales, with noise, bias and activation. [N, H, W, in] -> [N, H, W, filters]

    Channel a of sample n is multiplied by s = style @ mod_weight + mod_bias + 1. With `demodulate`, output b is divided by
    sqrt(sum of (weight * s)^2 + 1e-8) over all that it sums (paper, section 2.2). Then `noise` [N or 1, H, W, 1], if any,
    is added, times one learned number. `style` [N, dlatent_size]; None is the style 0.
    """

    def __init__(self, filters, dlatent_size, demodulate=True, use_noise=True, **kwargs):
        super().__init__(filters, autocast=False, **kwargs)  # Style and noise keep their digits.
        self.dlatent_size = dlatent_size
        self.demodulate = demodulate
        self.use_noise = use_noise

    def build(self, input_shape):
        k, channels = self.kernel_size, input_shape[-1]
        seed = None if self.seed is None else self.seed + 5000
        self.weight, self.weight_scale = self._add_scaled(
            'weight', [k, k, channels, self.filters], self.gain / (k * k * channels) ** 0.5, self.seed)
        self.mod_weight, self.mod_scale = self._add_scaled(
            'mod_weight', [self.dlatent_size, channels], self.dlatent_size ** -0.5, seed)
        self.mod_bias = self.add_weight(name='mod_bias', shape=[channels], autocast=False, initializer='zeros')
        if self.use_noise:
            self.noise_strength = self.add_weight(name='noise_strength', shape=(), autocast=False, initializer='zeros')
        self._add_bias(self.filters)

    def kernel(self):
        """-> (the weight, for each pair of channels the sum of its squares), float32."""
        weight = self.scaled_weight()
        return weight, tf.reduce_sum(tf.square(weight), axis=[0, 1]) if self.demodulate else None  # [in, filters]

    def scales(self, style=None):
        """The style's factors of the input channels, float32 [N or 1, in]."""
        ones = tf.convert_to_tensor(self.mod_bias.value)[None] + 1
        if style is None:
            return ones
        return tf.matmul(tf.cast(style, tf.float32), tf.convert_to_tensor(self.mod_weight.value) * self.mod_scale) + ones

    def call(self, x, kernel=None, style=None, noise=None):
        weight, squares = self.kernel() if kernel is None else kernel
        x = tf.cast(x, self.compute_dtype)
        scales = self.scales(style)
        if not self.demodulate and self.kernel_size == 1 and not self.scaling:
            return self._activated(self._per_sample(x, weight, scales))
        factors = tf.math.rsqrt(tf.matmul(tf.square(scales), squares) + 1e-8) * self.folded if self.demodulate else None
        if self.compute_dtype == 'float16' and self.demodulate:
            # What a style multiplies all channels by, demodulation divides by again; in between it could overflow.
            largest = tf.stop_gradient(tf.reduce_max(tf.abs(scales), axis=1, keepdims=True)) + 1e-8
            scales, factors = scales / largest, factors * largest
        y = self._product(x * self._of_channels(scales), tf.cast(weight, self.compute_dtype))
        if self.demodulate:
            y *= self._of_channels(factors)
        elif self.folded != 1.0:
            y *= tf.cast(self.folded, y.dtype)
        if self.use_noise and noise is not None:
            strength = tf.convert_to_tensor(self.noise_strength.value) * self.folded
            y += tf.cast(noise * strength, self.compute_dtype)
        return self._activated(y)

    def _of_channels(self, factors):
        return tf.cast(factors, self.compute_dtype)[:, None, None]  # [N, 1, 1, C]

    def _per_sample(self, x, weight, scales):
        """The 1x1 convolution of few filters: to scale its weight saves a pass over the input."""
        n, height, width, channels = shape_of(x)
        weights = tf.cast(scales[:, :, None] * (weight[0, 0] * self.folded), self.compute_dtype)  # [N, in, filters]
        return tf.reshape(tf.matmul(tf.reshape(x, [n, height * width, channels]), weights), [n, height, width, self.filters])

    def get_config(self):
        return {**super().get_config(), 'dlatent_size': self.dlatent_size, 'demodulate': self.demodulate,
                'use_noise': self.use_noise}
