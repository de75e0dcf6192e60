"""StyleGAN's generator and discriminator (paper, figure 1 and appendix C); growing as in networks/growth.py, NHWC."""
import math

import keras
import tensorflow as tf

from networks import style_layers as styles
from networks.discriminator import GrowingDiscriminator
from networks.growth import fading, lerp, split_lod, upscale
from networks.layers import WScaleConv, WScaleDense, run_layer
from networks.network import GeneratorNetwork
from presets import stylegan

_ACTIVATIONS = {'lrelu': 'leaky_relu_1', 'relu': 'relu'}  # Of layers.py.
_MIXING, _CUTOFF, _NOISE = 1000, 1001, 1002  # Streams of random numbers: second latents, cutoff, noise of each layer.
NOISES = ('stored', 'random', 'none')


@keras.saving.register_keras_serializable('stylegan')
class Generator(GeneratorNetwork):
    """Latents z [N, latent_size] -> w [N, num_layers, dlatent_size] -> images [N, r, r, C], r = resolution >> level.

    `map` and `synthesize` are the two networks. Each resolution has two style layers: a convolution (at 4x4 first a
    constant), then noise, bias, activation, instance norm and style. ToRGB is linear, 1x1, and fades as in ProGAN.
    `call` is the network itself: w is not truncated, the noise is the stored one.
    """
    Settings = stylegan.Network
    measured_with = {'truncation': 1.0, 'noise': 'random'}

    def build_layers(self):
        settings = self.settings
        self.latent_size, self.dlatent_size = settings.latent_size, settings.dlatent_size
        self.num_layers = styles.style_layers(self.resolution_log2)
        inputs = self.latent_size * (2 if self.label_size else 1)
        if settings.mapping_layers == 0 and self.dlatent_size != inputs:
            raise ValueError(f'Without mapping layers w has the {inputs} components of the latent and its labels, but '
                             f'dlatent_size is {self.dlatent_size}; make them equal.')
        self.dlatent_avg = self.add_weight(name='dlatent_avg', shape=[self.dlatent_size], initializer='zeros',
                                           trainable=False, autocast=False)
        self.noise = tuple(self._stored_noise(layer) for layer in range(self.num_layers if settings.use_noise else 0))
        self._build_synthesis()
        self._build_mapping(inputs)

    def _stored_noise(self, layer):
        size, seed = styles.noise_size(layer), None if self.seed is None else self.seed + 1000 + layer
        return self.add_weight(name=f'noise{layer}', shape=[1, 1, size, size], trainable=False, autocast=False,
                               initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed))

    def _build_synthesis(self):
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

    def _build_mapping(self, inputs):
        settings, level = self.settings, self.max_level
        self.label_concat = None
        if self.label_size:
            self.label_concat = self._add('G_mapping/LabelConcat', level, styles.LabelConcat, self.latent_size,
                                          input_shape=[self.label_size])
        mapping = []
        for i in range(settings.mapping_layers):
            width = self.dlatent_size if i == settings.mapping_layers - 1 else settings.mapping_fmaps
            mapping.append(self._add(f'G_mapping/Dense{i}', level, WScaleDense, width, lrmul=settings.mapping_lrmul,
                                     activation=_ACTIVATIONS[settings.nonlinearity], use_wscale=settings.use_wscale,
                                     input_shape=[inputs]))
            inputs = width
        self.mapping = tuple(mapping)

    def own_variables(self):
        # The reference stores the lod twice and copies the first to the second: here they are one.
        return {'lod': self.lod, 'dlatent_avg': self.dlatent_avg, 'G_synthesis/lod': self.lod} | {
            f'G_synthesis/{variable.name}': variable for variable in self.noise}

    @property
    def averages(self):
        beta = self.settings.dlatent_avg_beta
        return {} if beta is None else {'dlatent_avg': beta}

    def map(self, latents, labels=None, run=run_layer):
        """Latents [N, latent_size] and labels -> w float32 [N, num_layers, dlatent_size], alike in all layers, or in the one
        that there is without styles."""
        w = self._mapped(latents, labels, run)
        return tf.repeat(w[:, None], self.num_layers if self.settings.use_styles else 1, axis=1)

    def _mapped(self, latents, labels, run):
        x = tf.cast(latents, self.compute_dtype)
        if self.label_concat:
            x = self.label_concat(tf.cast(labels, self.compute_dtype), latents=x)
        if self.settings.normalize_latents:
            x = styles.pixel_norm(x)
        for layer in self.mapping:
            x = run(layer, x)
        return tf.cast(x, tf.float32)  # [N, dlatent_size]

    def synthesize(self, w, level=0, fade=0.0, run=run_layer, noise=()):
        """w [N, layers, dlatent_size], layers of `level` or more -> images [N, r, r, C].

        `noise` has a map [N or 1, size, size, 1] for each layer, or None for none; () is none in any.
        """
        self.check_level(level)
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

    def call(self, latents, labels=None, level=0, fade=0.0, run=run_layer):
        """-> images [N, r, r, C] of `level`; `labels` may be None when label_size is 0. `run`: see sharing_kernels."""
        return self.synthesize(self.map(latents, labels, run), level, fade, run, self.noise_of('stored', latents, level))

    def generate(self, latents, labels=None, lod=0.0, *, truncation=None, truncation_cutoff=None, noise='stored'):
        """As every generator's; w is truncated, and the noise one of NOISES.

        `truncation` is psi, how far w goes from its average (1: all the way), in the first `truncation_cutoff` layers; by
        default what the network was trained with says. 'random' noise is a function of the latents.
        """
        self.check_labels(labels)
        level, fade = split_lod(lod)
        w = self.truncate(self.map(latents, labels), truncation, truncation_cutoff)
        images = self.synthesize(w, level, fade, noise=self.noise_of(noise, latents, level))
        return self.at_full_resolution(images, level)

    def truncate(self, w, psi=None, cutoff=None):
        """w [N, layers, dlatent_size] nearer to its average, as `generate` says."""
        settings = self.settings
        psi = settings.truncation_psi if psi is None else psi
        cutoff = settings.truncation_cutoff if cutoff is None else cutoff
        if psi is None or cutoff is None or cutoff <= 0 or isinstance(psi, int | float) and psi == 1:
            return w
        return styles.truncated(w, tf.convert_to_tensor(self.dlatent_avg.value), psi, cutoff)

    def check_options(self, truncation=None, truncation_cutoff=None, noise='stored'):
        settings = self.settings
        if truncation_cutoff is not None and not 0 <= truncation_cutoff <= self.num_layers:
            raise ValueError(f'truncation_cutoff is {truncation_cutoff}, but this network has {self.num_layers} style '
                             f'layers; use 0 to {self.num_layers}.')
        if truncation not in (None, 1) and settings.dlatent_avg_beta is None:
            raise ValueError(f'truncation is {truncation:g}, but this network was trained without an average of w '
                             f'(network.dlatent_avg_beta); leave it out.')
        if truncation not in (None, 1) and not (truncation_cutoff or settings.truncation_cutoff):
            raise ValueError(f'truncation is {truncation:g}, but this network truncates no layer by itself; give '
                             f'truncation_cutoff too, e.g. {self.num_layers} for all.')
        if noise not in NOISES:
            raise ValueError(f'noise is {noise!r}; it must be one of {", ".join(NOISES)}.')

    def noise_of(self, kind, latents, level=0):
        """The noise of `synthesize` by its name in NOISES."""
        layers = range(self.num_layers - 2 * level)
        if kind == 'none' or not self.noise:
            return ()
        if kind == 'random':
            return styles.one_noise_each(latents, [styles.noise_size(layer) for layer in layers])
        return [tf.transpose(tf.convert_to_tensor(self.noise[layer].value), [0, 2, 3, 1]) for layer in layers]

    def training_images(self, draws, labels, level, fade, run):
        """Mixed styles and fresh noise, both as `draws` say; the mean of the first w, for the average."""
        settings, layers = self.settings, self.num_layers - 2 * level
        mixing = settings.use_styles and settings.style_mixing_prob > 0
        latents = draws.latents
        if mixing:
            latents = tf.concat([latents, draws.normal(_MIXING, [self.latent_size])], 0)
            labels = tf.concat([labels, labels], 0) if self.label_size else labels
        w, *other = tf.split(self._mapped(latents, labels, run), 2 if mixing else 1)
        by_layer = tf.repeat(w[:, None], layers if settings.use_styles else 1, axis=1)
        if mixing:
            by_layer = styles.mixed(by_layer, other[0][:, None], self._mixing_cutoff(draws, layers))
        noise = [draws.normal(_NOISE + layer, [styles.noise_size(layer)] * 2 + [1]) for layer in range(layers)]
        images = self.synthesize(by_layer, level, fade, run, noise if self.noise else ())
        return images, {name: tf.reduce_mean(tf.stop_gradient(w), axis=0) for name in self.averages}

    def _mixing_cutoff(self, draws, layers):
        """The first layer of the second w: uniform in [1, layers) with style_mixing_prob, else `layers`, none."""
        chosen, place = tf.unstack(draws.shared(_CUTOFF, [2]))
        cutoff = 1 + tf.cast(place * (layers - 1), tf.int32)
        return tf.where(chosen < self.settings.style_mixing_prob, tf.minimum(cutoff, layers - 1), layers)


@keras.saving.register_keras_serializable('stylegan')
class Discriminator(GrowingDiscriminator):
    """As ProGAN's, with a blur before each downscale; the score is that of an image with its labels [N, label_size]."""
    Settings = stylegan.Network
    judges_labels = True

    @property
    def activation(self):
        return _ACTIVATIONS[self.settings.nonlinearity]

    @property
    def num_outputs(self):
        return max(self.label_size, 1)

    def judged(self, outputs, labels):
        if self.label_size:
            if labels is None:
                raise ValueError(f'This discriminator judges images with their labels; give labels [N, {self.label_size}].')
            outputs = tf.reduce_sum(outputs * tf.cast(labels, tf.float32), axis=1, keepdims=True)
        return outputs[:, 0], outputs[:, 1:]

    def build_downscaling(self, name, level, filters, **how):
        return self._add(f'{name}/Conv1_down', level, WScaleConv, filters, scaling='down', **how)

    def downscaled(self, layer, x, run):
        return run(layer, styles.blur(x) if self.settings.use_blur else x)
