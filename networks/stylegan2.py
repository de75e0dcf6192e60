"""StyleGAN2's generator and discriminator, which do not grow (paper, figures 2 and 7): images that add up, residual blocks,
or neither. NHWC."""
import math

import keras
import tensorflow as tf

from networks import style_layers as styles
from networks.activations import GAINED
from networks.discriminator import EndingDiscriminator, JudgesLabels
from networks.layers import WScaleConv, run_layer
from networks.modulated import FilteredConv, ModulatedConv
from networks.resampling import downsample, upsample
from networks.style_generator import StyleGenerator
from presets import stylegan2

_HALF = 1 / math.sqrt(2.0)  # Of a sum of two branches, so that it varies no more than each.


class RevisedGenerator(StyleGenerator):
    """What StyleGAN2's generators have in common: the layers of each resolution, and their noise.

    The constant has a style but no noise of its own; the last style of a resolution, that of its image, is also the first of
    the next.
    """

    noise_by_seed = True

    @property
    def noise_sizes(self):
        return [2 ** ((index + 5) // 2) for index in range(self.num_layers - 1)]  # 4, 8, 8, 16, 16, ...

    @property
    def mapping_arguments(self):
        return self.arguments()

    @property
    def default_cutoff(self):
        cutoff = self.settings.truncation_cutoff
        return self.num_layers if cutoff is None else cutoff

    def arguments(self, scale=1.0):
        """Arguments of an equalized layer whose result is also multiplied by `scale`."""
        return layer_arguments(self.settings, scale)

    def build_block(self, s, level, scale=1.0):
        """The styled layers of resolution 2^s, the last of which is multiplied by `scale`: one at 4x4, else two."""
        fmaps, below, scope = self.fmaps(s - 1), self.fmaps(s - 2), f'G_synthesis/{2 ** s}x{2 ** s}'
        if s == 2:
            self.constant = self._add(f'{scope}/Const', level, styles.Constant, fmaps, random=True,
                                      input_shape=[self.dlatent_size])
            return [self._styled(f'{scope}/Conv', level, fmaps, [4, 4, fmaps], **self.arguments(scale))]
        return [self._styled(f'{scope}/Conv0_up', level, fmaps, [2 ** (s - 1)] * 2 + [below], scaling='up',
                             resample_kernel=self.settings.resample_kernel, **self.arguments()),
                self._styled(f'{scope}/Conv1', level, fmaps, [2 ** s] * 2 + [fmaps], **self.arguments(scale))]

    def build_to_rgb(self, name, s, level):
        """The layer that makes images of maps of resolution 2^s."""
        return self._styled(name, level, self.num_channels, [2 ** s] * 2 + [self.fmaps(s - 1)], kernel_size=1, gain=1.0,
                            use_wscale=self.settings.use_wscale, demodulate=False, use_noise=False)

    def _styled(self, name, level, filters, input_shape, **how):
        return self._add(name, level, ModulatedConv, filters, self.dlatent_size, **how, input_shape=input_shape)

    def start(self, w):
        """The constant for each of w."""
        return self.constant(w[0])

    def run_block(self, i, block, x, w, noise, run):
        """The styled layers number `i` of those that `build_block` makes, from 4x4 up. `w`, `noise`: lists by layer."""
        first = max(2 * i - 1, 0)
        for index, layer in enumerate(block, first):
            x = run(layer, x, style=w[index], noise=noise[index])
        return x

    def inputs(self, w, noise):
        """(w by layer, noise by layer), of which () is none in any."""
        return tf.unstack(w, axis=1), [*noise] or [None] * len(self.noise_sizes)


def layer_arguments(settings, scale=1.0):
    """Arguments of an equalized layer with the activation of the settings, its result multiplied by `scale`."""
    activation, gain = GAINED[settings.nonlinearity]
    return {'gain': 1.0, 'activation': activation, 'activation_gain': gain * scale, 'use_wscale': settings.use_wscale}


def style_of_image(i):
    """Which layer of w the image of block `i`, from 4x4 up, is styled by."""
    return 2 * i + 1


@keras.saving.register_keras_serializable('stylegan2')
class Generator(RevisedGenerator):
    """'skip': images of all resolutions are upsampled and added up; 'resnet': each block's input is upsampled and added to
    its output; 'orig': neither. There is one level, and no fade."""
    Settings = stylegan2.Network
    grows, max_level = False, 0

    def build_synthesis(self):
        architecture, kernel = self.settings.G_architecture, self.settings.resample_kernel
        blocks, skips, to_rgb = [], [], []
        for s in range(2, self.resolution_log2 + 1):
            residual = architecture == 'resnet' and s > 2
            scope = f'G_synthesis/{2 ** s}x{2 ** s}'
            blocks.append(self.build_block(s, 0, _HALF if residual else 1.0))
            skips.append(self._add(f'{scope}/Skip', 0, FilteredConv, self.fmaps(s - 1), kernel_size=1, scaling='up',
                                   resample_kernel=kernel, gain=1.0, activation_gain=_HALF, use_bias=False,
                                   use_wscale=self.settings.use_wscale,
                                   input_shape=[2 ** (s - 1)] * 2 + [self.fmaps(s - 2)]) if residual else None)
            has_image = architecture == 'skip' or s == self.resolution_log2
            to_rgb.append(self.build_to_rgb(f'{scope}/ToRGB', s, 0) if has_image else None)
        self.blocks, self.skips, self.to_rgb = tuple(blocks), tuple(skips), tuple(to_rgb)  # From 4x4 up.

    def synthesize(self, w, level=0, fade=0.0, run=run_layer, noise=()):
        self.check_synthesis(w, noise, level)
        w, noise = self.inputs(w, noise)
        x, images = self.start(w), None
        for i, (block, skip, to_rgb) in enumerate(zip(self.blocks, self.skips, self.to_rgb, strict=True)):
            below, x = x, self.run_block(i, block, x, w, noise, run)
            if skip:
                x += run(skip, below)
            if to_rgb:
                image = run(to_rgb, x, style=w[style_of_image(i)])
                images = image if images is None else upsample(images, self.settings.resample_kernel) + image
        return images


@keras.saving.register_keras_serializable('stylegan2')
class Discriminator(JudgesLabels, EndingDiscriminator):
    """'resnet': each block's input is downsampled and added to its output; 'skip': the image is downsampled, and enters at
    every resolution; 'orig': neither. There is one level, and no fade."""
    Settings = stylegan2.Network
    max_level = 0
    output_name = 'Output'

    @property
    def layer_arguments(self):
        return layer_arguments(self.settings)

    def own_variables(self):
        return {}

    def build_layers(self):
        architecture, how, kernel = self.settings.D_architecture, self.layer_arguments, self.settings.resample_kernel
        from_rgb, blocks = [], []
        for s in range(self.resolution_log2, 1, -1):
            size, fmaps, fewer = 2 ** s, self.fmaps(s - 1), self.fmaps(s - 2)
            scope, shape = f'{size}x{size}', [size, size, fmaps]
            entered = architecture == 'skip' or s == self.resolution_log2
            from_rgb.append(self._add(f'{scope}/FromRGB', 0, WScaleConv, fmaps, kernel_size=1, **how,
                                      input_shape=[size, size, self.num_channels]) if entered else None)
            if s > 2:
                residual = architecture == 'resnet'
                down = {'scaling': 'down', 'resample_kernel': kernel, 'input_shape': shape}
                blocks.append((
                    self._add(f'{scope}/Conv0', 0, WScaleConv, fmaps, **how, input_shape=shape),
                    self._add(f'{scope}/Conv1_down', 0, FilteredConv, fewer,
                              **layer_arguments(self.settings, _HALF if residual else 1.0), **down),
                    self._add(f'{scope}/Skip', 0, FilteredConv, fewer, kernel_size=1, gain=1.0, activation_gain=_HALF,
                              use_bias=False, use_wscale=self.settings.use_wscale, **down) if residual else None))
        self.from_rgb, self.blocks = tuple(from_rgb), tuple(blocks)  # From full resolution down.
        self.build_end(0, fmaps)

    def call(self, images, labels=None, level=0, fade=0.0, num_batches=1, run=run_layer):
        self.check_level(level)
        x, images = None, tf.cast(images, self.compute_dtype)
        for i, from_rgb in enumerate(self.from_rgb):
            if from_rgb:
                entering = run(from_rgb, images)
                x = entering if x is None else x + entering
            if i < len(self.blocks):
                x = self._run_block(self.blocks[i], x, run)
                if self.settings.D_architecture == 'skip':
                    images = downsample(images, self.settings.resample_kernel)
        return self.end(x, labels, num_batches, run)

    def _run_block(self, block, x, run):
        first, second, skip = block
        y = run(second, run(first, x))
        return y + run(skip, x) if skip else y
