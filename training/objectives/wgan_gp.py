"""ProGAN's losses: WGAN-GP with the drift penalty, and AC-GAN label terms (paper, appendix A.1). Per example, float32."""
import tensorflow as tf

from training.objectives.adversarial import Adversarial, judge
from training.objectives.gradient_penalty import gradient_penalty, penalty_names


class WGANGP(Adversarial):
    """Wasserstein loss with a gradient penalty, in ProGAN's rounds."""

    @property
    def penalties(self):
        return [*penalty_names(self.settings.wgan_lambda), 'epsilon_penalty']

    def of_fakes(self, scores):
        """-score."""
        return -scores

    def of_both(self, at, reals, fakes, labels, draws):
        """fake - real + lambda/target^2 (|gradient| - target)^2 + epsilon real^2."""
        settings = self.settings
        real, fake = judge(at, reals, fakes, labels)
        penalty, terms = gradient_penalty(at, reals, fakes, labels, draws, settings.wgan_lambda, settings.wgan_target)
        terms |= {'epsilon_penalty': tf.square(real[0])}
        return fake[0] - real[0] + penalty + settings.wgan_epsilon * terms['epsilon_penalty'], terms, real, fake
