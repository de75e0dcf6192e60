"""The small networks of ProGAN's test of MNIST's 1000 modes (paper, appendix E, after Metz et al., 2016). NHWC.

Batch norm is after the linear part and before bias and activation, as in ProGAN's own (norms.py); D's is always that of the
minibatch. Maps halve from nf(0) = 64 at 4x4, as in Metz et al.: 32, 16, 8. Where the paper is silent: latents have 128
components; stddev is appended to what is flattened; what grows has a 3x3 ToRGB and a 1x1 FromRGB at each resolution, the
latter with as many maps as the block above makes, fading as growth.py says.
"""
import math

import keras
import tensorflow as tf

from networks.growth import downscale, fading, lerp, upscale
from networks.layers import MinibatchStd, PixelNorm, WScaleConv, WScaleDense, run_layer
from networks.network import DiscriminatorNetwork
from networks.norms import BatchNormConv, BatchNormDense, BatchNormedGenerator, MinibatchNormConv
from presets import mnist1k
from presets.preset import WHOLE


@keras.saving.register_keras_serializable('mnist1k')
class Generator(BatchNormedGenerator):
    """4x4 of nf(0) maps from a dense layer, then per resolution 2^s nearest upscale and 3x3 to nf(s - 2) maps.

    Leaky ReLU has the slope 0.3. ToRGB is linear, 3x3; the picture is its tanh.
    """
    Settings = mnist1k.Network

    @property
    def max_level(self):
        return super().max_level if self.settings.grows else 0

    def build_layers(self):
        settings, self.latent_size = self.settings, self.settings.latent_size
        dense, conv = (BatchNormDense, BatchNormConv) if settings.use_batchnorm else (WScaleDense, WScaleConv)
        self.norm = tf.identity
        if settings.use_pixelnorm:
            self.norm = PixelNorm(settings.pixelnorm_epsilon, dtype=self.dtype_policy, name='pixel_norm')
        how, inputs = {'activation': 'leaky_relu_0.3', 'use_wscale': settings.use_wscale}, self.latent_size + self.label_size
        blocks, to_rgb = [], []
        for s in range(2, self.resolution_log2 + 1):
            level, size = self.resolution_log2 - s, 2 ** s
            fmaps = self.fmaps(s - 2)
            if s == 2:
                blocks.append(self._add('4x4/Dense', level, dense, fmaps, image_size=4, gain=math.sqrt(2) / 4, **how,
                                        input_shape=[inputs]))
            else:
                blocks.append(self._add(f'{size}x{size}/Conv', level, conv, fmaps, **how, input_shape=[size, size, inputs]))
            if level <= self.max_level:
                to_rgb.append(self._add(f'ToRGB_lod{level}', level, WScaleConv, self.num_channels, gain=1.0,
                                        use_wscale=settings.use_wscale, input_shape=[size, size, fmaps]))
            inputs = fmaps
        self.blocks, self.to_rgb = tuple(blocks), tuple(to_rgb[::-1])  # From 4x4 up; by level.

    def call(self, latents, labels=None, level=0, fade=0.0, run=run_layer):
        """-> images [N, r, r, C] of `level`; `labels` may be None when label_size is 0. `run`: see sharing_kernels."""
        self.check_level(level)
        x = self.norm(latents)
        if self.label_size:
            x = tf.concat([x, tf.cast(labels, x.dtype)], axis=-1)
        first, *others = self.blocks[:self.resolution_log2 - 1 - level]
        x = below = self.norm(run(first, x))
        for layer in others:
            below, x = x, self.norm(run(layer, upscale(x)))
        images = run(self.to_rgb[level], x)
        if level < self.max_level and fading(fade):
            images = lerp(images, upscale(run(self.to_rgb[level + 1], below)), fade)
        return tf.tanh(images)


@keras.saving.register_keras_serializable('mnist1k')
class Discriminator(DiscriminatorNetwork):
    """Per resolution 2^s, down to 8x8: 3x3 to nf(s - 2) / D_divisor maps, leaky ReLU of slope 0.2, 2x box downscale.

    Then, at 4x4, a dense layer to score and label logits.
    """
    Settings = mnist1k.Network

    @property
    def max_level(self):
        return super().max_level if self.settings.grows else 0

    @property
    def group_size(self):
        return WHOLE if self.settings.use_batchnorm else max(self.settings.mbstd_group_size, 1)

    def maps(self, stage):
        """nf(stage) / D_divisor, at least 1."""
        return max(self.fmaps(stage) // self.settings.D_divisor, 1)

    def build_layers(self):
        settings = self.settings
        how, linear = {'activation': 'leaky_relu', 'use_wscale': settings.use_wscale}, {'use_wscale': settings.use_wscale}
        conv = MinibatchNormConv if settings.use_batchnorm else WScaleConv
        blocks, from_rgb = [], []
        group_size = settings.mbstd_group_size
        self.mbstd = MinibatchStd(group_size, dtype=self.dtype_policy, name='minibatch_std') if group_size > 1 else None
        for s in range(self.resolution_log2, 1, -1):
            level, size = self.resolution_log2 - s, 2 ** s
            inputs = self.maps(s - 1) if settings.grows or level else self.num_channels
            if settings.grows:
                from_rgb.append(self._add(f'FromRGB_lod{level}', level, WScaleConv, inputs, kernel_size=1, **how,
                                          input_shape=[size, size, self.num_channels]))
            if s > 2:
                blocks.append(self._add(f'{size}x{size}/Conv', level, conv, self.maps(s - 2), **how,
                                        input_shape=[size, size, inputs]))
        self.blocks, self.from_rgb = tuple(blocks), tuple(from_rgb)  # By level: from full resolution down.
        self.last = self._add('4x4/Dense', level, WScaleDense, 1 + self.num_logits, gain=1.0, **linear,
                              input_shape=[4, 4, inputs + bool(self.mbstd)])

    def call(self, images, labels=None, level=0, fade=0.0, num_batches=1, run=run_layer):
        self.check_level(level)
        x = run(self.from_rgb[level], images) if self.from_rgb else images
        how = {'num_batches': num_batches} if self.settings.use_batchnorm else {}
        for i, layer in enumerate(self.blocks[level:], level):
            x = downscale(run(layer, x, **how))
            if i == level and level < self.max_level and fading(fade):
                x = lerp(x, run(self.from_rgb[level + 1], downscale(images)), fade)
        if self.mbstd:
            x = self.mbstd(x, num_batches=num_batches)
        outputs = tf.cast(run(self.last, x), tf.float32)
        return outputs[:, 0], outputs[:, 1:]
