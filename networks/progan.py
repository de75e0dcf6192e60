"""ProGAN's generator and discriminator (paper, table 2); growing as in networks/growth.py, NHWC."""
import math

import keras
import tensorflow as tf

from networks.discriminator import GrowingDiscriminator
from networks.growth import downscale, fading, lerp, upscale
from networks.layers import PixelNorm, WScaleConv, WScaleDense, run_layer
from networks.minibatch_discrimination import INITIAL_IMAGES, MinibatchDiscrimination
from networks.norms import BatchNormConv, BatchNormDense, BatchNormedGenerator, LayerNormConv, LayerNormDense
from presets import progan
from presets.preset import WHOLE


@keras.saving.register_keras_serializable('progan')
class Generator(BatchNormedGenerator):
    """Latents [N, latent_size] and labels [N, label_size] -> images [N, r, r, C], r = resolution >> level, about [-1, 1].

    Block of resolution 2^s: 2x upscale, two 3x3 convolutions of nf(s - 1) maps, each with leaky ReLU and pixel norm;
    ToRGB is linear, 1x1. Output: lerp(rgb(level), up2(rgb(level + 1)), fade) (paper, section 2 and table 2), with `use_tanh`
    the tanh of it. Batch norm is that of norms.py.
    """
    Settings = progan.Network

    def build_layers(self):
        settings = self.settings
        self.latent_size = settings.latent_size or self.fmaps(0)
        norm = PixelNorm(settings.pixelnorm_epsilon, dtype=self.dtype_policy, name='pixel_norm')
        identity = keras.layers.Identity(dtype=self.dtype_policy, name='identity')
        self.latent_norm = norm if settings.normalize_latents else identity
        self.norm = norm if settings.use_pixelnorm else identity
        self.squash = tf.tanh if settings.use_tanh else tf.identity
        dense, conv = (BatchNormDense, BatchNormConv) if settings.use_batchnorm else (WScaleDense, WScaleConv)
        how = {'use_wscale': settings.use_wscale}
        act = how | {'activation': 'leaky_relu' if settings.use_leakyrelu else 'relu'}
        blocks, to_rgb = [], []

        for s in range(2, self.resolution_log2 + 1):
            level, size, fmaps, below = self.resolution_log2 - s, 2 ** s, self.fmaps(s - 1), self.fmaps(s - 2)
            name, shape = f'{size}x{size}', [size, size, fmaps]
            if s == 2:
                # Gain / 4: matches the Theano release, He's constant would not.
                first = self._add(f'{name}/Dense', level, dense, fmaps, image_size=4, gain=math.sqrt(2) / 4, **act,
                                  input_shape=[self.latent_size + self.label_size])
                second = 'Conv'
            elif settings.fused_scale:
                first = self._add(f'{name}/Conv0_up', level, conv, fmaps, scaling='up', **act,
                                  input_shape=[size // 2, size // 2, below])
                second = 'Conv1'
            else:
                first = self._add(f'{name}/Conv0', level, conv, fmaps, **act, input_shape=[size, size, below])
                second = 'Conv1'
            blocks.append((first, self._add(f'{name}/{second}', level, conv, fmaps, **act, input_shape=shape)))
            to_rgb.append(self._add(f'ToRGB_lod{level}', level, WScaleConv, self.num_channels, kernel_size=1, gain=1.0,
                                    **how, input_shape=shape))
        self.blocks, self.to_rgb = tuple(blocks), tuple(to_rgb)  # From 4x4 up.

    def call(self, latents, labels=None, level=0, fade=0.0, run=run_layer):
        """-> images [N, r, r, C] of `level`; `labels` may be None when label_size is 0. `run`: see sharing_kernels."""
        self.check_level(level)
        x, below = self._inputs(latents, labels), None
        top = self.max_level - level
        for i, block in enumerate(self.blocks[:top + 1]):
            below = x
            if i > 0 and not self.settings.fused_scale:
                x = upscale(x)
            for layer in block:
                x = self.norm(run(layer, x))
        images = run(self.to_rgb[top], x)
        if top > 0 and fading(fade):
            images = lerp(images, upscale(run(self.to_rgb[top - 1], below)), fade)
        return self.squash(images)

    def _inputs(self, latents, labels):
        """Latents and labels as the first layer sees them."""
        if self.label_size and self.settings.normalize_labels:
            return self.latent_norm(tf.concat([latents, tf.cast(labels, latents.dtype)], axis=-1))
        x = self.latent_norm(latents)
        return tf.concat([x, tf.cast(labels, x.dtype)], axis=-1) if self.label_size else x

    def build_arguments(self):
        return super().build_arguments() | {'latent_size': self.latent_size}


@keras.saving.register_keras_serializable('progan')
class Discriminator(GrowingDiscriminator):
    """Images [N, r, r, C] -> (scores [N], label logits [N, label_size]), both float32; labels are not looked at."""
    Settings = progan.Network

    @property
    def conv_class(self):
        return LayerNormConv if self.settings.use_layernorm else WScaleConv

    @property
    def dense_class(self):
        return LayerNormDense if self.settings.use_layernorm else WScaleDense

    @property
    def group_size(self):
        return WHOLE if self.settings.mbdisc_kernels else super().group_size

    @property
    def layer_arguments(self):
        return {'activation': 'leaky_relu', 'use_wscale': self.settings.use_wscale}

    def build_downscaling(self, name, level, filters, **how):
        suffix, scaling = ('_down', 'down') if self.settings.fused_scale else ('', None)
        return self._add(f'{name}/Conv1{suffix}', level, self.conv_class, filters, scaling=scaling, **how)

    def downscaled(self, layer, x, run):
        return run(layer, x) if self.settings.fused_scale else downscale(run(layer, x))

    def build_features(self, level, features):
        self.discrimination, kernels = None, self.settings.mbdisc_kernels
        if kernels:
            self.discrimination = self._add('4x4/MinibatchDiscrimination', level, MinibatchDiscrimination, kernels,
                                            self.settings.mbdisc_dims, input_shape=[features])
        return features + kernels

    def compared(self, x, num_batches):
        return self.discrimination(x, num_batches=num_batches) if self.discrimination else x

    @property
    def initial_images(self):
        return INITIAL_IMAGES if self.discrimination else 0

    def initialize(self, images, level):
        if self.discrimination:
            self.discrimination.initialize(self.features(self.at_4x4(images, level), 1, run_layer))
