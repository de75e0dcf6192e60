"""What an objective tells the loop: its updates, its statistics, and what it keeps beside the networks."""
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from presets.preset import LossSection


class Element(NamedTuple):
    """What an update sees of one minibatch, in a replica."""
    reals: tf.Tensor          # [n, r, r, C], in [-1, 1], faded as the level asks.
    labels: tf.Tensor         # [n, label_size], of the reals.
    random_labels: tf.Tensor  # [n, label_size], of images drawn at random, for G.


class Update(NamedTuple):
    """One optimizer step of a round."""
    trains: str                     # 'D' or 'G'.
    name: str                       # The statistic that tells its loss.
    loss: Callable                  # loss(at: Moment, element: Element, draws: Draws) -> (loss [N], {statistic: [N]}).
    every: int = 1                  # Lazy regularization: due every so many rounds, its gradient times as much.
    averages: bool = False          # Gs follows G after it.
    minibatch: int = 0              # Which of the round's minibatches it sees.
    after: Callable | None = None   # after({statistic: [N]}) in each replica when the step is done, for what is kept.


class Objective:
    """Losses and the order of the steps. Made of a loss section, the number of label components and train.D_repeats."""

    def __init__(self, settings: LossSection, label_size: int = 0, D_repeats: int = 1):
        self.settings, self.label_size, self.D_repeats = settings, label_size, D_repeats
        self.variables: dict[str, tf.Variable] = {}  # By name; kept beside the networks, in every checkpoint.

    @property
    def statistics(self) -> list[str]:
        """Names of what the updates tell, their losses among them, in the order in which they are shown."""
        raise NotImplementedError

    def round(self) -> list[Update]:
        """The updates in their order. A round shows D as many minibatches of reals as its updates see."""
        raise NotImplementedError

    def D_then_G(self, discriminator_loss, generator_loss):
        """ProGAN's round: `D_repeats` D steps, each with reals of its own and followed by the average, then one G step."""
        return [*(Update('D', 'D_loss', discriminator_loss, averages=True, minibatch=i) for i in range(self.D_repeats)),
                Update('G', 'G_loss', generator_loss, minibatch=self.D_repeats - 1)]


def label_penalty(labels, logits):
    """AC-GAN's cross entropy of label logits. [N, label_size], [N, label_size] -> [N]"""
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)
