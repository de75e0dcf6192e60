"""StyleGAN's generator and discriminator (paper, figure 1 and appendix C); growing as in networks/growth.py, NHWC."""
import math

import keras
import tensorflow as tf

from networks import style_layers as styles
from networks.discriminator import GrowingDiscriminator, JudgesLabels
from networks.growth import fading, lerp, upscale
from networks.layers import WScaleConv, WScaleDense, run_layer
from networks.style_generator import StyleGenerator
from presets import stylegan

_ACTIVATIONS = {'lrelu': 'leaky_relu_1', 'relu': 'relu'}  # Of activations.py.


@keras.saving.register_keras_serializable('stylegan')
class Generator(StyleGenerator):
    """Each resolution has two style layers: a convolution (at 4x4 first a constant), then noise, bias, activation, instance
    norm and style. ToRGB is linear, 1x1, and fades as in ProGAN.
    """
    Settings = stylegan.Network

    @property
    def noise_sizes(self):
        return [styles.noise_size(layer) for layer in range(self.num_layers if self.settings.use_noise else 0)]

    @property
    def mapping_arguments(self):
        return {'activation': _ACTIVATIONS[self.settings.nonlinearity], 'use_wscale': self.settings.use_wscale}

    @property
    def default_cutoff(self):
        return self.settings.truncation_cutoff or 0

    def layers_at(self, level):
        """All, or the one that there is without styles."""
        return super().layers_at(level) if self.settings.use_styles else 1

    def build_synthesis(self):
        settings, how = self.settings, {'use_wscale': self.settings.use_wscale}
        linear = how | {'use_bias': False}
        blocks, to_rgb = [], []
        for s in range(2, self.resolution_log2 + 1):
            level, size, fmaps, below = self.resolution_log2 - s, 2 ** s, self.fmaps(s - 1), self.fmaps(s - 2)
            scope, shape = f'G_synthesis/{size}x{size}', [size, size, fmaps]
            if s > 2:
                first, second = f'{scope}/Conv0_up', f'{scope}/Conv1'
                flipped = size >= 128 if settings.fused_scale == 'auto' else settings.fused_scale
                layer = self._add(first, level, styles.UpscaledConv, fmaps, flipped=flipped, **linear,
                                  input_shape=[size // 2, size // 2, below])
            else:
                first, second = f'{scope}/Const' if settings.const_input_layer else f'{scope}/Dense', f'{scope}/Conv'
                if settings.const_input_layer:
                    layer = self._add(first, level, styles.Constant, fmaps, input_shape=[self.dlatent_size])
                else:
                    layer = self._add(first, level, WScaleDense, fmaps, image_size=4, gain=math.sqrt(2) / 4, **linear,
                                      input_shape=[self.dlatent_size])
            block = [(layer, *self._build_epilogue(first, level, shape))]
            layer = self._add(second, level, WScaleConv, fmaps, **linear, input_shape=shape)
            blocks.append((*block, (layer, *self._build_epilogue(second, level, shape))))
            to_rgb.append(self._add(f'G_synthesis/ToRGB_lod{level}', level, WScaleConv, self.num_channels, kernel_size=1,
                                    gain=1.0, **how, input_shape=shape))
        self.blocks, self.to_rgb = tuple(blocks), tuple(to_rgb)  # From 4x4 up.
        self.blur = styles.blur if settings.use_blur else tf.identity
        self.norms = (styles.pixel_norm,) * settings.use_pixel_norm + (styles.instance_norm,) * settings.use_instance_norm

    def _build_epilogue(self, name, level, shape):
        """-> (noise or None, bias, style or None), what follows the linear layer `name`."""
        settings, noise, style = self.settings, None, None
        if settings.use_noise:
            noise = self._add(f'{name}/Noise', level, styles.Noise, input_shape=shape)
        bias = self._add(f'{name}/Bias', level, styles.Bias, _ACTIVATIONS[settings.nonlinearity], under=name,
                         input_shape=shape)
        if settings.use_styles:
            style = self._add(f'{name}/StyleMod', level, WScaleDense, 2 * shape[-1], gain=1.0,
                              use_wscale=settings.use_wscale, input_shape=[self.dlatent_size])
        return noise, bias, style

    def synthesize(self, w, level=0, fade=0.0, run=run_layer, noise=()):
        self.check_synthesis(w, noise, level)
        by_layer, noise, below = tf.unstack(w, axis=1), [*noise] or [None] * self.num_layers, None
        x, top = by_layer[0], self.max_level - level
        for i, block in enumerate(self.blocks[:top + 1]):
            below = x
            for j, (layer, *epilogue) in enumerate(block):
                x = run(layer, x)
                if i > 0 and j == 0:
                    x = self.blur(x)
                x = self._finish(epilogue, x, by_layer, noise, 2 * i + j, run)
        images = run(self.to_rgb[top], x)
        if top > 0 and fading(fade):
            images = lerp(images, upscale(run(self.to_rgb[top - 1], below)), fade)
        return images

    def _finish(self, epilogue, x, by_layer, noise, index, run):
        """What follows the linear part of style layer `index`."""
        add_noise, bias, style = epilogue
        if add_noise:
            x = add_noise(x, noise=noise[index])
        x = bias(x)
        for norm in self.norms:
            x = norm(x)
        if style:
            x = styles.modulate(x, run(style, by_layer[index]))
        return tf.cast(x, self.compute_dtype)


@keras.saving.register_keras_serializable('stylegan')
class Discriminator(JudgesLabels, GrowingDiscriminator):
    """As ProGAN's, with a blur before each downscale."""
    Settings = stylegan.Network

    @property
    def layer_arguments(self):
        return {'activation': _ACTIVATIONS[self.settings.nonlinearity], 'use_wscale': self.settings.use_wscale}

    def build_downscaling(self, name, level, filters, **how):
        return self._add(f'{name}/Conv1_down', level, WScaleConv, filters, scaling='down', **how)

    def downscaled(self, layer, x, run):
        return run(layer, styles.blur(x) if self.settings.use_blur else x)
