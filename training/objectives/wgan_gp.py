"""ProGAN's losses: WGAN-GP with the drift penalty, and AC-GAN label terms (paper, appendix A.1). Per example, float32."""
import tensorflow as tf

from networks.growth import lerp
from training.objectives.objective import Objective, label_penalty


class WGANGP(Objective):
    """Wasserstein loss with a gradient penalty, in ProGAN's rounds."""

    @property
    def statistics(self):
        labels = ['label_penalty_reals', 'label_penalty_fakes', 'G_label_penalty_fakes'] if self.label_size else []
        return ['D_loss', 'G_loss', 'real_scores', 'fake_scores', 'mixed_scores', 'mixed_norms', 'epsilon_penalty', *labels]

    def round(self):
        return self.D_then_G(self.discriminator_loss, self.generator_loss)

    def generator_loss(self, at, element, draws):
        """-score(G(z, y)) + cond_weight * xent(y, logits)."""
        labels = element.random_labels
        scores, logits = at.D(at.G(draws.latents, labels), labels)
        loss, terms = -scores, {}
        if self.label_size:
            terms['G_label_penalty_fakes'] = label_penalty(labels, logits)
            loss += self.settings.cond_weight * terms['G_label_penalty_fakes']
        return loss, terms

    def discriminator_loss(self, at, element, draws):
        """fake - real + lambda/target^2 (|grad| - target)^2 + epsilon real^2 + cond_weight (xent(reals) + xent(fakes)).

        The gradient is that of the score between each real and fake image, where draws.factors [N] in [0, 1) say.
        """
        settings, reals, labels = self.settings, element.reals, element.labels
        fakes = tf.cast(at.G(draws.latents, labels), reals.dtype)
        # One pass for both: their stddev groups stay apart. Larger matrices, half the calls.
        scores, logits = at.D(tf.concat([reals, fakes], 0), tf.concat([labels, labels], 0), num_batches=2)
        real_scores, fake_scores = tf.split(scores, 2)
        mixed = lerp(reals, fakes, draws.factors[:, None, None, None])
        mixed_scores, mixed_norms = _score_and_gradient_norm(at, mixed, labels)
        terms = {'real_scores': real_scores, 'fake_scores': fake_scores, 'mixed_scores': mixed_scores,
                 'mixed_norms': mixed_norms, 'epsilon_penalty': tf.square(real_scores)}
        loss = (fake_scores - real_scores
                + settings.wgan_lambda / settings.wgan_target ** 2 * tf.square(mixed_norms - settings.wgan_target)
                + settings.wgan_epsilon * terms['epsilon_penalty'])
        if self.label_size:
            real_logits, fake_logits = tf.split(logits, 2)
            terms['label_penalty_reals'] = label_penalty(labels, real_logits)
            terms['label_penalty_fakes'] = label_penalty(labels, fake_logits)
            loss += settings.cond_weight * (terms['label_penalty_reals'] + terms['label_penalty_fakes'])
        return loss, terms


def _score_and_gradient_norm(at, images, labels):
    """Scores [N] and the norms [N] of their gradients with respect to the images at full resolution."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        scores, _ = at.D(images, labels)
        total = tf.reduce_sum(scores) * at.loss_scale  # Which keeps the gradient from underflowing in float16.
    gradients = tape.gradient(total, images) / at.loss_scale
    squares = tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])
    # At a zero gradient sqrt has an infinite slope, which would skip the update; it gets the slope 0 instead.
    nonzero = squares > 0
    norms = tf.where(nonzero, tf.sqrt(tf.where(nonzero, squares, 1.0)), 0.0)
    # The norm is that of the full-resolution gradient: a pixel here spreads over 4^level pixels, 1/4^level to each.
    return scores, norms / 2 ** at.level
