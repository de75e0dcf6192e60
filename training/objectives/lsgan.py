"""LSGAN with multiplicative noise in D whose strength follows D's scores (ProGAN, appendix B). Per example, float32."""
import itertools
import math

import tensorflow as tf

from training.objectives.adversarial import Adversarial, judge
from training.objectives.objective import keep, mean_over_devices

_DECAY = 0.9  # Of the average of the fakes' scores, per D step.


class LSGAN(Adversarial):
    """D takes reals to 0 and fakes to 1, G fakes to 0. Noise in D grows where D wins, which keeps its gradients meaningful.

    Its strength is noise_weight max(0, d - 0.5)^2, d the average over D steps of the fakes' mean score clipped to [0, 1].
    Of a minibatch's scores the paper says only "the discriminator output"; those of the fakes are what comes near 1 where
    D wins. d is kept in `variables`, and starts at 0: without noise.
    """

    def __init__(self, settings, num_logits=0, D_repeats=1):
        super().__init__(settings, num_logits, D_repeats)
        if settings.noise_weight:
            self.variables = {'fake_average': tf.Variable(0.0, trainable=False)}

    @property
    def penalties(self):
        return ['noise_strength'] if self.settings.noise_weight else []

    @property
    def strength(self):
        """That of the noise, a scalar."""
        excess = tf.nn.relu(tf.convert_to_tensor(self.variables['fake_average']) - 0.5)
        return self.settings.noise_weight * tf.square(excess)

    def round(self):
        """ProGAN's; each D step moves the average of scores."""
        after = self._keep if self.settings.noise_weight else None
        return [update._replace(after=after) if update.trains == 'D' else update for update in super().round()]

    def generator_loss(self, at, element, draws):
        return super().generator_loss(self._with_noise(at, draws), element, draws)

    def discriminator_loss(self, at, element, draws):
        return super().discriminator_loss(self._with_noise(at, draws), element, draws)

    def of_fakes(self, scores):
        """score^2."""
        return tf.square(scores)

    def of_both(self, at, reals, fakes, labels, draws):
        """real^2 + fake_weight (fake - 1)^2."""
        real, fake = judge(at, reals, fakes, labels)
        loss = tf.square(real[0]) + self.settings.fake_weight * tf.square(fake[0] - 1)
        terms = {name: tf.fill(tf.shape(loss), self.strength) for name in self.penalties}
        return loss, terms, real, fake

    def _with_noise(self, at, draws):
        return at.with_D_inputs(noise(self.strength, draws)) if self.settings.noise_weight else at

    def _keep(self, terms):
        """Moves the average toward the scores of the fakes on all devices."""
        average = self.variables['fake_average']
        scores = tf.clip_by_value(mean_over_devices(terms['fake_scores']), 0.0, 1.0)
        keep(average, _DECAY * tf.convert_to_tensor(average) + (1 - _DECAY) * scores)


def noise(strength, draws):
    """A function (layer, x) -> x (1 + strength sqrt(C) n), n ~ N(0, 1) per example and channel, of images x [N, H, W, C].

    As it is before each layer that sees neighbours: convolutions of 3x3, and the dense layer that sees 4x4 as one of 4x4
    does. Other layers get x as it is. x may hold several minibatches, each of which has noise of its own.
    """
    streams = itertools.count()

    def multiplied(layer, x):
        if x.shape.rank != 4 or getattr(layer, 'kernel_size', None) == 1:
            return x
        n, channels = x.shape[0] // draws.latents.shape[0], x.shape[-1]
        numbers = tf.concat([draws.normal(next(streams), [1, 1, channels]) for _ in range(n)], 0)
        return x * tf.cast(1 + strength * math.sqrt(channels) * numbers, x.dtype)
    return multiplied
