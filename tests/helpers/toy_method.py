"""A method of its own, as one is added: networks, an objective, a preset, and a line in each table.

`python tests/helpers/toy_method.py train.py --config=toy ...` runs a command of the project that knows it.
"""
import runpy
import sys
from dataclasses import dataclass

import keras
import tensorflow as tf

from networks import architectures, progan
from networks.growth import fading, lerp, upscale
from networks.layers import WScaleConv, WScaleDense, run_layer
from networks.network import GeneratorNetwork
from presets import progan as progan_presets
from presets import table
from presets.preset import LossSection, Preset
from training.objectives import table as objectives
from training.objectives.objective import Objective, Update


@dataclass(frozen=True)
class Network(progan_presets.Network):
    kind: str = 'toy'


@dataclass(frozen=True)
class Loss(LossSection):
    kind: str = 'hinge'
    weight: float = 5.0  # Of the penalty on gradients at reals.


@keras.saving.register_keras_serializable('toy')
class Generator(GeneratorNetwork):
    Settings = Network

    def build_layers(self):
        self.latent_size = self.settings.latent_size or self.fmaps(0)
        maps, inputs = self.fmaps(1), [self.latent_size + self.label_size]
        self.blocks = [self._add('4x4/Dense', self.max_level, WScaleDense, maps, image_size=4, input_shape=inputs)]
        for level in range(self.max_level - 1, -1, -1):
            self.blocks.append(self._add(f'{self.resolution >> level}/Conv', level, WScaleConv, maps,
                                         activation='relu', input_shape=[None, None, maps]))
        self.to_rgb = [self._add(f'ToRGB{level}', level, WScaleConv, self.num_channels, kernel_size=1, gain=1.0,
                                 input_shape=[None, None, maps]) for level in range(self.max_level + 1)]

    def call(self, latents, labels=None, level=0, fade=0.0, run=run_layer):
        x = below = run(self.blocks[0], tf.concat([latents, labels], 1) if self.label_size else latents)
        for block in self.blocks[1:len(self.blocks) - level]:
            below, x = x, run(block, upscale(x))
        images = run(self.to_rgb[level], x)
        if level < self.max_level and fading(fade):
            images = lerp(images, upscale(run(self.to_rgb[level + 1], below)), fade)
        return images


@keras.saving.register_keras_serializable('toy')
class Discriminator(progan.Discriminator):
    Settings = Network


class Hinge(Objective):
    statistics = ['D_loss', 'G_loss', 'penalty']

    def round(self):
        return [Update('D', 'D_loss', self.discriminator), Update('D', 'penalty', self.penalty, every=3),
                Update('G', 'G_loss', self.generator), Update('G', 'G_loss', self.generator, averages=True)]

    def discriminator(self, at, element, draws):
        fakes = at.G(draws, element.labels)
        return tf.nn.relu(1 - at.D(element.reals, element.labels)[0]) + tf.nn.relu(1 + at.D(fakes, element.labels)[0]), {}

    def generator(self, at, element, draws):
        return -at.D(at.G(draws, element.random_labels), element.random_labels)[0], {}

    def penalty(self, at, element, draws):
        moved = element.reals + 0.01 * draws.normal(0, element.reals.shape[1:])
        with tf.GradientTape() as tape:
            tape.watch(moved)
            score = tf.reduce_sum(at.D(moved, element.labels)[0])
        return self.settings.weight * tf.reduce_sum(tf.square(tape.gradient(score, moved)), [1, 2, 3]), {}


def register():
    architectures.ARCHITECTURES['toy'] = Generator, Discriminator
    objectives.OBJECTIVES['hinge'] = Hinge
    table.NETWORKS['toy'], table.LOSSES['hinge'] = Network, Loss
    table.PRESETS['toy'] = Preset('preset', 'a toy', {'network.kind': 'toy', 'loss.kind': 'hinge'})


if __name__ == '__main__':
    register()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name='__main__')
