"""StyleGAN2's losses: logistic, path length regularization, regularizers that are due now and then. Per example, float32."""
import math

import tensorflow as tf

from training.objectives.adversarial import Adversarial, judge, judge_with_gradient, judge_with_penalties, root
from training.objectives.gradient_penalty import gradient_penalty
from training.objectives.objective import Update, keep, mean_over_devices

_LATENTS, _DIRECTIONS = 1, 2  # Streams of random numbers.


class StyleGAN2(Adversarial):
    """G steps before D, each followed by its regularizer where one is due; or losses and regularizers in one step.

    The mean of path lengths so far is kept in `variables`.
    """

    def __init__(self, settings, num_logits=0, D_repeats=1):
        super().__init__(settings, num_logits, D_repeats)
        if settings.pl_weight:
            self.variables = {'pl_mean': tf.Variable(0.0, trainable=False)}

    @property
    def penalties(self):
        settings = self.settings
        told = {'gp': ['mixed_scores', 'mixed_norms'], 'none': []}.get(settings.D_penalty, ['gradient_penalty'])
        return [*(['G_reg'] if self._G_is_lazy else []), *(['D_reg'] if self._D_is_lazy else []),
                *(['pl_lengths', 'pl_penalty'] if settings.pl_weight else []), *(told if settings.D_weight else []),
                *(['epsilon_penalty'] if settings.D_loss == 'wgan' else [])]

    @property
    def _G_is_lazy(self):
        return self.settings.lazy and bool(self.settings.pl_weight)

    @property
    def _D_is_lazy(self):
        return self.settings.lazy and bool(self.settings.D_weight)

    def round(self):
        """The G step, its regularizer, the average, then `D_repeats` D steps with theirs, each with reals of its own."""
        settings, kept = self.settings, self._keep if self.settings.pl_weight else None
        updates = [Update('G', 'G_loss', self.generator_loss, after=None if settings.lazy else kept)]
        if self._G_is_lazy:
            updates.append(Update('G', 'G_reg', self.path_lengths, every=settings.G_reg_interval, after=kept))
        for i in range(self.D_repeats):
            updates.append(Update('D', 'D_loss', self.discriminator_loss, averages=True, minibatch=i))
            if self._D_is_lazy:
                updates.append(Update('D', 'D_reg', self.penalty, every=settings.D_reg_interval, minibatch=i))
        return updates

    def generator_loss(self, at, element, draws):
        """As of scores and labels; with the path lengths of latents of their own where nothing is lazy."""
        loss, terms = super().generator_loss(at, element, draws)
        if self.settings.pl_weight and not self.settings.lazy:
            regularizer, lengths = self.path_lengths(at, element, draws)
            loss, terms = loss + tf.reduce_mean(regularizer), terms | lengths
        return loss, terms

    def of_fakes(self, scores):
        """softplus(-score), or -softplus(score), or -score."""
        return {'logistic_ns': lambda: tf.math.softplus(-scores), 'logistic': lambda: -tf.math.softplus(scores),
                'wgan': lambda: -scores}[self.settings.G_loss]()

    def of_both(self, at, reals, fakes, labels, draws):
        """softplus(fake) + softplus(-real), or fake - real + epsilon real^2; with the penalty where nothing is lazy."""
        settings, penalty, terms = self.settings, 0.0, {}
        if settings.lazy or settings.D_penalty in ('gp', 'none'):
            real, fake = judge(at, reals, fakes, labels)
            if not settings.lazy and settings.D_weight:
                penalty, terms = self._mixed_penalty(at, reals, fakes, labels, draws)
        else:
            gammas = [settings.gamma if settings.D_penalty == name else 0.0 for name in ('r1', 'r2')]
            real, fake, penalty, terms = judge_with_penalties(at, reals, fakes, labels, *gammas)
            terms = {'gradient_penalty': next(iter(terms.values()))} if terms else {}
        if settings.D_loss == 'wgan':
            terms |= {'epsilon_penalty': tf.square(real[0])}
            loss = fake[0] - real[0] + settings.wgan_epsilon * terms['epsilon_penalty']
        else:
            loss = tf.math.softplus(fake[0]) + tf.math.softplus(-real[0])
        return loss + penalty, terms, real, fake

    def penalty(self, at, element, draws):
        """gamma/2 |gradient at reals, or at fakes|^2, or WGAN-GP's penalty between them."""
        reals, labels, settings = element.reals, element.labels, self.settings
        if settings.D_penalty == 'r1':
            images = reals
        else:
            images = fakes = tf.cast(at.G(draws, labels), reals.dtype)
            if settings.D_penalty == 'gp':
                return self._mixed_penalty(at, reals, fakes, labels, draws)
        squares = judge_with_gradient(at, images, labels)[2]
        return settings.gamma / 2 * squares, {'gradient_penalty': squares}

    def _mixed_penalty(self, at, reals, fakes, labels, draws):
        return gradient_penalty(at, reals, fakes, labels, draws, self.settings.wgan_lambda, self.settings.wgan_target)

    def path_lengths(self, at, element, draws):
        """pl_weight (length - mean)^2 of latents of their own (paper, section 3.2).

        length^2 = mean over layers of |d sum(x y) / d w|^2 for images x and y ~ N(0, 1/(H W)). The mean is the one so far,
        moved toward that of these lengths by pl_decay; the gradient runs through it too.
        """
        settings = self.settings
        draws = draws.anew(_LATENTS).every(settings.pl_minibatch_shrink)
        w = at.w(draws, element.random_labels[::settings.pl_minibatch_shrink])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(w)
            images = at.images(w, draws)
            # At full resolution as much noise falls on each pixel here as its own, 4^level pixels, have together.
            directions = draws.normal(_DIRECTIONS, images.shape[1:]) / math.sqrt(math.prod(images.shape[1:3]))
            total = tf.reduce_sum(tf.cast(images, tf.float32) * directions) * at.loss_scale
        gradients = tape.gradient(total, w) / at.loss_scale  # [N, layers, dlatent_size]
        # Layers above the level have the gradient 0, and count.
        lengths = root(tf.reduce_sum(tf.square(gradients), axis=[1, 2]) / at.num_layers)
        penalty = tf.square(lengths - self._moved(tf.reduce_mean(lengths)))
        return settings.pl_weight * penalty, {'pl_lengths': lengths, 'pl_penalty': penalty}

    def _moved(self, mean):
        kept = tf.convert_to_tensor(self.variables['pl_mean'])
        return kept + self.settings.pl_decay * (mean - kept)

    def _keep(self, terms):
        """Moves the mean that is kept toward that of the lengths on all devices."""
        keep(self.variables['pl_mean'], self._moved(mean_over_devices(terms['pl_lengths'])))
