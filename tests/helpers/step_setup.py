"""Steps of small networks of ProGAN without the loop around them."""
import dataclasses

import numpy as np
import tensorflow as tf

from config import resolve
from data.pipeline import batches
from data.tfrecords import Dataset
from training.devices import POLICIES
from training.objectives.wgan_gp import WGANGP
from training.schedule import Phase
from training.state import make_state
from training.step import Iteration

SMALL = ['network.fmap_base=64', 'network.fmap_max=8', 'optimizer.initial_loss_scale=1024.0']


class Setup:
    """A small run on 'blobs' under a strategy, without the loop."""

    def __init__(self, data_dir, strategy=None, precision='fp32', mbstd_group_size=1, rounds=2, jit=False, D_repeats=1,
                 objective=None):
        config = resolve(['demo'], [*SMALL, f'network.mbstd_group_size={mbstd_group_size}'])
        self.strategy = strategy or tf.distribute.get_strategy()
        self.dataset = Dataset(data_dir / 'blobs')
        with self.strategy.scope():
            self.state = make_state(self.dataset, config.network, POLICIES[precision], 7,
                                    **dataclasses.asdict(config.optimizer))
            objective = objective or WGANGP(config.loss, self.state.D.num_logits, D_repeats)
        self.iteration = Iteration(self.strategy, self.state, objective, seed=3, rounds=rounds, jit=jit)
        self.minibatches = rounds * self.iteration.minibatches
        self.nimg = 0

    def run(self, count, level=1, fade=0.5, minibatch=8, learning_rate=0.001, slices=1):
        """Runs iterations -> {statistic: [value of each]}."""
        stream = iter(self.strategy.distribute_datasets_from_function(lambda context: batches(
            self.dataset, level, minibatch, self.minibatches, self.nimg, 5, True, context)))
        phase = Phase(level + fade, level, self.dataset.resolution >> level, minibatch, learning_rate, learning_rate, 1,
                      Gs_decay=0.9, slices=slices)
        rows = []
        for _ in range(count):
            sums = self.iteration(next(stream), self.nimg, phase)
            rows.append(sums.values.numpy() / sums.counts)
            self.nimg += minibatch * self.minibatches
        return dict(zip(self.iteration.names, np.transpose(rows), strict=True))

    def variables(self):
        return {f'{name}/{key}': variable for name in ('G', 'D', 'Gs')
                for key, variable in getattr(self.state, name).named_variables().items()}

    def weights(self):
        return {name: variable.numpy() for name, variable in self.variables().items()}


def cpus(count):
    # Collectives allow groups of one size only in a process; copying to one device has no such limit.
    return tf.distribute.MirroredStrategy([f'CPU:{i}' for i in range(count)], tf.distribute.ReductionToOneDevice())
