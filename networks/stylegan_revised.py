"""StyleGAN with StyleGAN2's layers (its paper, configurations B to D): it grows as StyleGAN does. NHWC."""
import keras

from networks.discriminator import GrowingDiscriminator, JudgesLabels
from networks.growth import fading, lerp, upscale
from networks.layers import run_layer
from networks.modulated import FilteredConv
from networks.stylegan2 import RevisedGenerator, layer_arguments, style_of_image
from presets import stylegan_revised


@keras.saving.register_keras_serializable('stylegan_revised')
class Generator(RevisedGenerator):
    """StyleGAN2's layers, an image at every resolution, and fades between them as in ProGAN."""
    Settings = stylegan_revised.Network

    def build_synthesis(self):
        blocks, to_rgb = [], []
        for s in range(2, self.resolution_log2 + 1):
            level = self.resolution_log2 - s
            blocks.append(self.build_block(s, level))
            to_rgb.append(self.build_to_rgb(f'G_synthesis/ToRGB_lod{level}', s, level))
        self.blocks, self.to_rgb = tuple(blocks), tuple(to_rgb)  # From 4x4 up.

    def synthesize(self, w, level=0, fade=0.0, run=run_layer, noise=()):
        self.check_synthesis(w, noise, level)
        w, noise = self.inputs(w, noise)
        x, below, top = self.start(w), None, self.max_level - level
        for i, block in enumerate(self.blocks[:top + 1]):
            below, x = x, self.run_block(i, block, x, w, noise, run)
        images = run(self.to_rgb[top], x, style=w[style_of_image(top)])
        if top > 0 and fading(fade):
            lower = run(self.to_rgb[top - 1], below, style=w[style_of_image(top - 1)])
            images = lerp(images, upscale(lower), fade)
        return images


@keras.saving.register_keras_serializable('stylegan_revised')
class Discriminator(JudgesLabels, GrowingDiscriminator):
    """As StyleGAN's, with StyleGAN2's layers."""
    Settings = stylegan_revised.Network
    output_name = 'Output'

    @property
    def layer_arguments(self):
        return layer_arguments(self.settings)

    def build_downscaling(self, name, level, filters, **how):
        return self._add(f'{name}/Conv1_down', level, FilteredConv, filters, scaling='down',
                         resample_kernel=self.settings.resample_kernel, **how)

    def downscaled(self, layer, x, run):
        return run(layer, x)
