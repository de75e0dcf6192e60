"""The hinge loss, with or without a gradient penalty. Per example, float32."""
import tensorflow as tf

from training.objectives.adversarial import Adversarial, judge
from training.objectives.gradient_penalty import gradient_penalty, penalty_names


class Hinge(Adversarial):
    """D pushes scores beyond -1 and 1, G raises them."""

    @property
    def penalties(self):
        return penalty_names(self.settings.wgan_lambda)

    def of_fakes(self, scores):
        """-score."""
        return -scores

    def of_both(self, at, reals, fakes, labels, draws):
        """relu(1 + fake) + relu(1 - real) + lambda/target^2 (|gradient| - target)^2."""
        settings = self.settings
        real, fake = judge(at, reals, fakes, labels)
        penalty, terms = gradient_penalty(at, reals, fakes, labels, draws, settings.wgan_lambda, settings.wgan_target)
        return tf.nn.relu(1 + fake[0]) + tf.nn.relu(1 - real[0]) + penalty, terms, real, fake
