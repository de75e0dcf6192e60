"""StyleGAN's losses: logistic, with gradient penalties at reals and fakes (Mescheder et al., 2018). Per example, float32."""
import tensorflow as tf

from training.objectives.adversarial import Adversarial, judge_with_penalties


class Logistic(Adversarial):
    """softplus losses of scores; G's is non-saturating unless the settings say otherwise."""

    @property
    def penalties(self):
        return [name for name, gamma in (('r1_penalty', self.settings.r1_gamma), ('r2_penalty', self.settings.r2_gamma))
                if gamma]

    def of_fakes(self, scores):
        """softplus(-score), or -softplus(score)."""
        return -tf.math.softplus(scores) if self.settings.saturating else tf.math.softplus(-scores)

    def of_both(self, at, reals, fakes, labels, draws):
        """softplus(fake) + softplus(-real) + r1_gamma/2 |gradient at reals|^2 + r2_gamma/2 |gradient at fakes|^2."""
        real, fake, penalty, terms = judge_with_penalties(
            at, reals, fakes, labels, self.settings.r1_gamma, self.settings.r2_gamma)
        return tf.math.softplus(fake[0]) + tf.math.softplus(-real[0]) + penalty, terms, real, fake
