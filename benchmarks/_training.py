"""The training that train_step.py, phases.py and devices.py measure; they import it once the threads are chosen."""
import collections
import dataclasses
import math

import config as configs
from data.pipeline import batches
from training.devices import POLICIES
from training.objectives.table import OBJECTIVES
from training.schedule import Phase
from training.state import make_state
from training.step import Iteration


class Training:
    """Networks of `maps` feature maps (fmap_base 16 times as many) for a data set, and iterations of `rounds` with them."""

    def __init__(self, strategy, dataset, maps, minibatch, rounds, precision='fp32', jit=False, preset='demo',
                 overrides=()):
        config = configs.resolve([preset], [f'network.fmap_base={16 * maps}', f'network.fmap_max={maps}', *overrides])
        self.loss = config.loss
        with strategy.scope():
            self.state = make_state(dataset, config.network, POLICIES[precision], 1, **dataclasses.asdict(config.optimizer),
                                    lazy_intervals=config.loss.lazy_intervals)
            objective = OBJECTIVES[config.loss.kind](config.loss, self.state.D.num_logits)
        self.iteration = Iteration(strategy, self.state, objective, seed=1, rounds=rounds, jit=jit)
        self.images = rounds * minibatch  # Per iteration, as `batches` has them.
        self._strategy, self._dataset, self._minibatch, self._rounds = strategy, dataset, minibatch, rounds

    def batches(self, level, context=None):
        """The pipeline at a level, a tf.data.Dataset."""
        return batches(self._dataset, level, self._minibatch, self._rounds, 0, 1, mirror=True, input_context=context)

    def stream(self, level):
        """An iterator of the pipeline at a level, for all devices."""
        return iter(self._strategy.distribute_datasets_from_function(lambda context: self.batches(level, context)))

    def phase(self, level, fade=0.0):
        """A moment of training."""
        resolution = self._dataset.resolution >> level
        return Phase(level + fade, level, resolution, self._minibatch, 0.001, 0.001, tick_nimg=1, Gs_decay=0.999)

    def step(self, stream, level, fade=0.0, nimg=0):
        """Runs the next iteration, to its end -> statistics. After how many images, tells which lazy updates are due."""
        return self.iteration(next(stream), nimg, self.phase(level, fade)).values.numpy()

    def kinds(self):
        """[(nimg, how many)] of the iterations that differ in which lazy updates are due, until all of them recur."""
        intervals = self.loss.lazy_intervals.values()
        kinds = collections.defaultdict(list)
        for start in range(0, math.lcm(self._rounds, *intervals), self._rounds):
            due = tuple(number % every == 0 for number in range(start, start + self._rounds) for every in intervals)
            kinds[due].append(start * self._minibatch)
        return [(starts[0], len(starts)) for starts in kinds.values()]

    def nodes(self):
        """The NodeDefs of the graphs that were traced: one, or of lazy updates one for each."""
        found = []
        for concrete in self.iteration.graphs():
            graph = concrete.graph.as_graph_def()
            found += [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        return found
