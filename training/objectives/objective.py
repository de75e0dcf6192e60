"""What an objective tells the loop: its updates, its statistics, and what it keeps beside the networks."""
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from presets.preset import LossSection
from training.optimizer import assign


class Element(NamedTuple):
    """What an update sees of one minibatch, in a replica."""
    reals: tf.Tensor          # [n, r, r, C], in [-1, 1], faded as the level asks.
    labels: tf.Tensor         # [n, label_size], of the reals.
    random_labels: tf.Tensor  # [n, label_size], of images drawn at random, for G.


class Update(NamedTuple):
    """One optimizer step of a round, or one of each network from a single evaluation."""
    trains: str                     # 'D' or 'G', or 'DG': both, and then pairs of names and losses follow.
    name: str | tuple[str, ...]     # The statistic that tells its loss.
    loss: Callable                  # loss(at: Moment, element: Element, draws: Draws) -> (loss [N], {statistic: [N]}).
    every: int = 1                  # Lazy regularization: due every so many rounds, its gradient times as much.
    averages: bool = False          # Gs follows G after it.
    minibatch: int = 0              # Which of the round's minibatches it sees.
    after: Callable | None = None   # after({statistic: [N]}) in each replica when the step is done, for what is kept.


def mean_over_devices(values):
    """The mean of values [N] of all devices; in a replica."""
    replicas, mean = tf.distribute.get_replica_context(), tf.reduce_mean(values)
    return mean if replicas.num_replicas_in_sync == 1 else replicas.all_reduce(tf.distribute.ReduceOp.MEAN, mean)


def keep(variable, value):
    """Sets one of an objective's `variables` in each replica, unless the value is not finite."""
    assign(variable, tf.where(tf.math.is_finite(value), value, variable))


class Objective:
    """Losses and the order of the steps. Made of a loss section, the number of D's label logits and train.D_repeats."""

    def __init__(self, settings: LossSection, num_logits: int = 0, D_repeats: int = 1):
        self.settings, self.num_logits, self.D_repeats = settings, num_logits, D_repeats
        self.variables: dict[str, tf.Variable] = {}  # By name; kept beside the networks, in every checkpoint.

    @property
    def statistics(self) -> list[str]:
        """Names of what the updates tell, their losses among them, in the order in which they are shown."""
        raise NotImplementedError

    def round(self) -> list[Update]:
        """The updates in their order. A round shows D as many minibatches of reals as its updates see."""
        raise NotImplementedError
