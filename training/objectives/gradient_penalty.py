"""WGAN-GP's gradient penalty (Gulrajani et al., 2017)."""
import tensorflow as tf

from networks.growth import lerp
from training.objectives.adversarial import judge_with_gradient


def gradient_penalty(at, reals, fakes, labels, draws, weight, target):
    """weight / target^2 (|gradient| - target)^2 -> ([N], {'mixed_scores', 'mixed_norms': [N]}); weight 0: (0, {}).

    The gradient is that of the score between each real and fake image, where draws.factors [N] in [0, 1) say.
    """
    if weight == 0:
        return 0.0, {}
    mixed = lerp(reals, fakes, draws.factors[:, None, None, None])
    scores, _, squares = judge_with_gradient(at, mixed, labels)
    # At a zero gradient sqrt has an infinite slope, which would skip the update; it gets the slope 0 instead.
    nonzero = squares > 0
    norms = tf.where(nonzero, tf.sqrt(tf.where(nonzero, squares, 1.0)), 0.0)
    return weight / target ** 2 * tf.square(norms - target), {'mixed_scores': scores, 'mixed_norms': norms}


def penalty_names(weight):
    """What `gradient_penalty` tells."""
    return ['mixed_scores', 'mixed_norms'] if weight else []
