"""WGAN-GP's gradient penalty (Gulrajani et al., 2017), and what the losses that take it share."""
import tensorflow as tf

from networks.growth import lerp
from training.objectives.adversarial import Adversarial, judge, judge_with_gradient, root


class Penalized(Adversarial):
    """A subclass gives D's loss of scores; G's is -score. The settings say wgan_lambda, 0: no penalty, and wgan_target."""

    @property
    def penalties(self):
        return ['mixed_scores', 'mixed_norms'] if self.settings.wgan_lambda else []

    def of_fakes(self, scores):
        """-score."""
        return -scores

    def of_scores(self, real, fake):
        """D's loss without the penalty. [N], [N] -> [N]"""
        raise NotImplementedError

    def of_both(self, at, reals, fakes, labels, draws):
        """of_scores(real, fake) + lambda/target^2 (|gradient| - target)^2."""
        settings = self.settings
        real, fake = judge(at, reals, fakes, labels)
        penalty, terms = gradient_penalty(at, reals, fakes, labels, draws, settings.wgan_lambda, settings.wgan_target)
        return self.of_scores(real[0], fake[0]) + penalty, terms, real, fake


def gradient_penalty(at, reals, fakes, labels, draws, weight, target):
    """weight / target^2 (|gradient| - target)^2 -> ([N], {'mixed_scores', 'mixed_norms': [N]}); weight 0: (0, {}).

    The gradient is that of the score between each real and fake image, where draws.factors [N] in [0, 1) say.
    """
    if weight == 0:
        return 0.0, {}
    # Where G is trained by the same evaluation, nothing of the penalty is for it.
    mixed = lerp(reals, tf.stop_gradient(fakes), draws.factors[:, None, None, None])
    scores, _, squares = judge_with_gradient(at, mixed, labels)
    norms = root(squares)
    return weight / target ** 2 * tf.square(norms - target), {'mixed_scores': scores, 'mixed_norms': norms}
