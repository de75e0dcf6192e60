"""ProGAN's losses: WGAN-GP with the drift penalty, and AC-GAN label terms (paper, appendix A.1). Per example, float32."""
import tensorflow as tf

from training.objectives.gradient_penalty import Penalized


class WGANGP(Penalized):
    """Wasserstein loss with a gradient penalty, in ProGAN's rounds."""

    @property
    def penalties(self):
        return [*super().penalties, 'epsilon_penalty']

    def of_scores(self, real, fake):
        """fake - real."""
        return fake - real

    def of_both(self, at, reals, fakes, labels, draws):
        """The penalized loss + epsilon real^2."""
        loss, terms, real, fake = super().of_both(at, reals, fakes, labels, draws)
        terms |= {'epsilon_penalty': tf.square(real[0])}
        return loss + self.settings.wgan_epsilon * terms['epsilon_penalty'], terms, real, fake
