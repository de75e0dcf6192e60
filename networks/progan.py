"""The generator and the discriminator of the paper: all blocks exist from the start, `level` selects those that run.

`lod` ("level of detail") is a float, 0 at full resolution; `level = floor(lod)` is a Python int, `fade = lod - level`
a tensor, or the number 0, with which the layers of the lower resolution do not run at all. A network at `level` works on
images of `resolution >> level` pixels, in NHWC.
"""
import math

import keras
import tensorflow as tf

from networks.growth import downscale, fading, lerp, split_lod, upscale
from networks.layers import MinibatchStd, PixelNorm, WScaleConv, WScaleDense, run_layer


class _Network(keras.Model):
    """What both networks share: feature map counts, layers under the reference's names, the stored lod."""

    def __init__(self, resolution, num_channels, label_size, fmap_base, fmap_decay, fmap_max, use_wscale, fused_scale,
                 seed, **kwargs):
        super().__init__(autocast=False, **kwargs)  # lod arithmetic stays in float32, the layers cast for themselves.
        if resolution < 4 or resolution & (resolution - 1):
            raise ValueError(f'The resolution is {resolution}; the networks need a power of two, 4 or more.')
        self.resolution = resolution
        self.resolution_log2 = int(math.log2(resolution))
        self.num_channels = num_channels
        self.label_size = label_size
        self.fmap_base = fmap_base
        self.fmap_decay = fmap_decay
        self.fmap_max = fmap_max
        self.use_wscale = use_wscale
        self.fused_scale = fused_scale
        self.seed = seed
        self.named_layers = {}  # E.g. '8x8/Conv0_up'; in the order of creation.

    @property
    def max_level(self):
        """The level of 4x4."""
        return self.resolution_log2 - 2

    def fmaps(self, stage):
        """nf(stage) = min(fmap_base / 2^(stage * fmap_decay), fmap_max)."""
        return min(int(self.fmap_base / 2.0 ** (stage * self.fmap_decay)), self.fmap_max)

    def _add(self, name, layer_class, *args, input_shape, **kwargs):
        """Makes and builds a layer; Keras forbids the slash of the reference's names in its own."""
        seed = None if self.seed is None else self.seed + len(self.named_layers)
        layer = layer_class(*args, use_wscale=self.use_wscale, seed=seed, dtype=self.dtype_policy,
                            name=name.replace('/', '_'), **kwargs)
        layer.build([None, *input_shape])
        self.named_layers[name] = layer
        return layer

    def _add_lod(self):
        self.lod = self.add_weight(name='lod', shape=(), initializer='zeros', trainable=False, autocast=False)

    def named_variables(self):
        """{reference name: keras.Variable}, 'lod' first, e.g. '8x8/Conv0_up/weight'."""
        layers = self.named_layers.items()
        return {'lod': self.lod} | {f'{name}/{v.name}': v for name, layer in layers for v in (layer.weight, layer.bias)}

    def variables_at(self, level):
        """{reference name: keras.Variable} of the trainables that training has reached at `level`."""
        def reached(name):
            block = name.split('/')[0]
            if '_lod' in block:
                return int(block.split('_lod')[1]) >= level
            return int(block.split('x')[0]) <= self.resolution >> level
        return {name: v for name, v in self.named_variables().items() if name != 'lod' and reached(name)}

    def check_level(self, level):
        if not 0 <= level <= self.max_level:
            raise ValueError(f'Level {level} was asked for; this {self.resolution}x{self.resolution} network has '
                             f'levels 0 (full resolution) to {self.max_level} (4x4).')

    def check_lod(self, lod):
        """The lod as a float; ValueError if the network has no such level."""
        if not 0 <= lod <= self.max_level:
            raise ValueError(f'lod {lod} was asked for; this network of resolution {self.resolution} has 0 (full '
                             f'resolution) to {self.max_level} (4x4).')
        return float(lod)

    @property
    def stored_lod(self):
        """The lod that the network was saved at, as a float."""
        return float(self.lod.numpy())

    def get_config(self):
        # Not keras.Model's: it would record the arguments of the outermost constructor a second time.
        return {'name': self.name, 'dtype': keras.saving.serialize_keras_object(self.dtype_policy)} | {
            key: getattr(self, key) for key in ('resolution', 'num_channels', 'label_size', 'fmap_base', 'fmap_decay',
                                                'fmap_max', 'use_wscale', 'fused_scale', 'seed')}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable('progan')
class Generator(_Network):
    """Latents [N, latent_size] and labels [N, label_size] -> images [N, r, r, C], r = resolution >> level, about [-1, 1].

    Block of resolution 2^s: 2x upscale, two 3x3 convolutions of nf(s - 1) maps, each with leaky ReLU and pixel norm;
    ToRGB is linear, 1x1. Output: lerp(rgb(level), up2(rgb(level + 1)), fade) (paper, section 2 and table 2).
    """

    def __init__(self, resolution=1024, num_channels=3, label_size=0, latent_size=None, fmap_base=8192, fmap_decay=1.0,
                 fmap_max=512, normalize_latents=True, use_wscale=True, use_pixelnorm=True, use_leakyrelu=True,
                 pixelnorm_epsilon=1e-8, fused_scale=True, seed=None, **kwargs):
        super().__init__(resolution, num_channels, label_size, fmap_base, fmap_decay, fmap_max, use_wscale,
                         fused_scale, seed, **kwargs)
        self.latent_size = latent_size or self.fmaps(0)
        self.normalize_latents = normalize_latents
        self.use_pixelnorm = use_pixelnorm
        self.use_leakyrelu = use_leakyrelu
        self.pixelnorm_epsilon = pixelnorm_epsilon
        self.build()

    def build(self, input_shape=None):
        self._add_lod()
        norm = PixelNorm(self.pixelnorm_epsilon, dtype=self.dtype_policy, name='pixel_norm')
        identity = keras.layers.Identity(dtype=self.dtype_policy, name='identity')
        self.latent_norm = norm if self.normalize_latents else identity
        self.norm = norm if self.use_pixelnorm else identity
        act = {'activation': 'leaky_relu' if self.use_leakyrelu else 'relu'}
        blocks, to_rgb = [], []

        for s in range(2, self.resolution_log2 + 1):
            size, fmaps, below = 2 ** s, self.fmaps(s - 1), self.fmaps(s - 2)
            name = f'{size}x{size}'
            if s == 2:
                # Gain / 4: matches the Theano release, He's constant would not.
                first = self._add(f'{name}/Dense', WScaleDense, fmaps, image_size=4, gain=math.sqrt(2) / 4, **act,
                                  input_shape=[self.latent_size + self.label_size])
                second = 'Conv'
            elif self.fused_scale:
                first = self._add(f'{name}/Conv0_up', WScaleConv, fmaps, scaling='up', **act,
                                  input_shape=[size // 2, size // 2, below])
                second = 'Conv1'
            else:
                first = self._add(f'{name}/Conv0', WScaleConv, fmaps, **act, input_shape=[size, size, below])
                second = 'Conv1'
            shape = [size, size, fmaps]
            blocks.append((first, self._add(f'{name}/{second}', WScaleConv, fmaps, **act, input_shape=shape)))
            to_rgb.append(self._add(f'ToRGB_lod{self.resolution_log2 - s}', WScaleConv, self.num_channels,
                                    kernel_size=1, gain=1.0, input_shape=shape))
        self.blocks, self.to_rgb = tuple(blocks), tuple(to_rgb)  # From 4x4 up.
        self.built = True

    def call(self, latents, labels=None, level=0, fade=0.0, run=run_layer):
        """-> images [N, r, r, C] of `level`; `labels` may be None when label_size is 0. `run`: see sharing_kernels."""
        self.check_level(level)
        if self.label_size:
            latents = tf.concat([latents, tf.cast(labels, latents.dtype)], axis=-1)
        x, below = self.latent_norm(latents), None
        top = self.max_level - level
        for i, block in enumerate(self.blocks[:top + 1]):
            below = x
            if i > 0 and not self.fused_scale:
                x = upscale(x)
            for layer in block:
                x = self.norm(run(layer, x))
        images = run(self.to_rgb[top], x)
        if top > 0 and fading(fade):
            images = lerp(images, upscale(run(self.to_rgb[top - 1], below)), fade)
        return images

    def generate(self, latents, labels=None, lod=0.0):
        """Images at full resolution as the network of `lod` makes them. -> float32 [N, R, R, C], about [-1, 1]."""
        level, fade = split_lod(lod)
        return tf.cast(upscale(self(latents, labels, level=level, fade=fade), 2 ** level), tf.float32)

    def get_config(self):
        return super().get_config() | {
            key: getattr(self, key) for key in ('latent_size', 'normalize_latents', 'use_pixelnorm', 'use_leakyrelu',
                                                'pixelnorm_epsilon')}


@keras.saving.register_keras_serializable('progan')
class Discriminator(_Network):
    """Images [N, r, r, C] -> (scores [N], label logits [N, label_size]), both float32.

    Block of resolution 2^s: two 3x3 convolutions to nf(s - 1) and nf(s - 2) maps with leaky ReLU, 2x downscale; at 4x4
    minibatch stddev, a convolution and two dense layers (paper, section 2 and table 2).
    """

    def __init__(self, resolution=1024, num_channels=3, label_size=0, fmap_base=8192, fmap_decay=1.0, fmap_max=512,
                 use_wscale=True, mbstd_group_size=4, fused_scale=True, seed=None, **kwargs):
        super().__init__(resolution, num_channels, label_size, fmap_base, fmap_decay, fmap_max, use_wscale,
                         fused_scale, seed, **kwargs)
        self.mbstd_group_size = mbstd_group_size
        self.build()

    def build(self, input_shape=None):
        self._add_lod()
        act = {'activation': 'leaky_relu'}
        blocks, from_rgb = [], []

        for s in range(self.resolution_log2, 1, -1):
            size, fmaps = 2 ** s, self.fmaps(s - 1)
            name, shape = f'{size}x{size}', [size, size, fmaps]
            from_rgb.append(self._add(f'FromRGB_lod{self.resolution_log2 - s}', WScaleConv, fmaps, kernel_size=1,
                                      **act, input_shape=[size, size, self.num_channels]))
            if s > 2:
                suffix, scaling = ('_down', 'down') if self.fused_scale else ('', None)
                blocks.append((
                    self._add(f'{name}/Conv0', WScaleConv, fmaps, **act, input_shape=shape),
                    self._add(f'{name}/Conv1{suffix}', WScaleConv, self.fmaps(s - 2), scaling=scaling, **act,
                              input_shape=shape)))

        self.blocks, self.from_rgb = tuple(blocks), tuple(from_rgb)  # By level: from full resolution down.

        self.mbstd, stddev_channels = None, 0
        if self.mbstd_group_size > 1:
            self.mbstd = MinibatchStd(self.mbstd_group_size, dtype=self.dtype_policy, name='minibatch_std')
            stddev_channels = 1
        self.head = (
            self._add('4x4/Conv', WScaleConv, fmaps, **act, input_shape=[4, 4, fmaps + stddev_channels]),
            self._add('4x4/Dense0', WScaleDense, self.fmaps(0), **act, input_shape=shape),
            self._add('4x4/Dense1', WScaleDense, 1 + self.label_size, gain=1.0, input_shape=[self.fmaps(0)]))
        self.built = True

    def call(self, images, level=0, fade=0.0, num_batches=1, run=run_layer):
        """`num_batches` minibatches may be stacked along N; minibatch stddev keeps them apart. `run`: as G's."""
        self.check_level(level)
        x = run(self.from_rgb[level], images)
        for i, block in enumerate(self.blocks[level:]):
            for layer in block:
                x = run(layer, x)
            if not self.fused_scale:
                x = downscale(x)
            if i == 0 and fading(fade):
                x = lerp(x, run(self.from_rgb[level + 1], downscale(images)), fade)
        if self.mbstd:
            x = self.mbstd(x, num_batches=num_batches)
        *hidden, last = self.head
        for layer in hidden:
            x = run(layer, x)
        # One minibatch at a time: the gradient of the score's bias is a difference of sums near 1, and keeps more digits
        # when reals and fakes are summed apart.
        x = tf.concat([run(last, part) for part in tf.split(x, num_batches)], 0) if num_batches > 1 else run(last, x)
        x = tf.cast(x, tf.float32)
        return x[:, 0], x[:, 1:]

    def discriminate(self, images, lod=0.0):
        """Judges full-resolution images [N, R, R, C] as the network of `lod` sees them."""
        level, fade = split_lod(lod)
        return self(downscale(images, 2 ** level), level=level, fade=fade)

    def get_config(self):
        return super().get_config() | {'mbstd_group_size': self.mbstd_group_size}
