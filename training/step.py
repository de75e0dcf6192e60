"""Gradients of an update, the moving average, and the iteration that repeats an objective's rounds in one tf.function.

Everything here runs on any tf.distribute strategy, for any objective.
"""
import collections
import functools
import itertools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from networks.growth import lerp, process_reals, split_lod
from runtime import release_memory, two_at_a_time
from training.draws import draw_round, rows
from training.moment import Moment
from training.objectives.objective import Element
from training.optimizer import assign


def gradients_of(update, state, element, draws, level, fade, in_halves=False):
    """-> (gradients of an update's mean loss times the loss scale, None for variables without part in `level`; its terms;
    the means that the networks' averages follow, per evaluation of G). Of two networks: one's after the other's."""
    optimizers = {name: state.optimizer(name) for name in update.trains}
    scales = {name: tf.convert_to_tensor(optimizer.loss_scale) for name, optimizer in optimizers.items()}
    # D's step has two chains of kernels already, that of G's images and that of the penalty.
    halves = ('GD' if update.trains == 'G' else 'G') if in_halves else ''
    # The other network's variables would be traced for nothing.
    with tf.GradientTape(watch_accessed_variables=False, persistent=len(optimizers) > 1) as tape:
        tape.watch([optimizer.variables_ for optimizer in optimizers.values()])
        moment = Moment(state.G, state.D, level, fade, scales[update.trains[0]], halves)
        losses, terms = update.loss(moment, element, draws)
        losses = tf.nest.flatten(losses)
        scaled_losses = [tf.reduce_mean(loss) * scale for loss, scale in zip(losses, scales.values(), strict=True)]
        if update.every > 1:
            scaled_losses = [loss * update.every for loss in scaled_losses]
    gradients = []
    for (trained, optimizer), loss in zip(optimizers.items(), scaled_losses, strict=True):
        own = tape.gradient(loss, optimizer.variables_)
        if update.every > 1:
            # What a regularizer does not reach stays in place, but its moments decay as those of the others do.
            network = state.networks[trained]
            reached = network.variables_at(level).keys()
            own = [tf.zeros(variable.shape) if gradient is None and name in reached else gradient
                   for gradient, (name, variable) in zip(own, network.variables_at(0).items(), strict=True)]
        gradients += own
    return gradients, terms | dict(zip(tf.nest.flatten(update.name), losses, strict=True)), moment.means


def accumulated(compute, element, draws, slices):
    """gradients_of's result over `slices` equal parts of a minibatch, one after the other, so that one at a time is held."""
    if slices == 1:
        return compute(element, draws)
    n = element.labels.shape[0] // slices

    def part(index):
        gradients, terms, means = compute(Element(*(rows(x, index * n, n) for x in element)), draws.part(index, slices))
        return gradients, {name: tf.reduce_mean(term) for name, term in terms.items()}, means

    gradients, terms, means = part(0)
    active = [gradient for gradient in gradients if gradient is not None]

    def add(index, *sums):
        new, *told = part(index)
        new = [gradient for gradient in new if gradient is not None], *told
        return index + 1, *tf.nest.map_structure(tf.add, sums, new)

    _, active, terms, means = tf.while_loop(lambda index, *_: index < slices, add, (tf.constant(1), active, terms, means),
                                            parallel_iterations=1)
    summed = iter(active)
    gradients = [None if gradient is None else next(summed) / slices for gradient in gradients]
    return gradients, *tf.nest.map_structure(lambda total: total / slices, (terms, means))


def update_average(pairs, decay, copies=()):
    """Gs = lerp(G, Gs, decay) for each (G's variable, Gs's variable) in `pairs`, Gs = G in `copies`; in a replica."""
    for G_variable, Gs_variable in pairs:
        new = tf.convert_to_tensor(G_variable.value)
        assign(Gs_variable, lerp(new, tf.convert_to_tensor(Gs_variable.value), decay))
    for G_variable, Gs_variable in copies:
        assign(Gs_variable, tf.convert_to_tensor(G_variable.value))


def averaged_pairs(G, Gs):
    """{level: [(G's, Gs's variable)]} to average: of the blocks training has reached, and where the two differ."""
    sources, targets = G.variables_at(0), Gs.variables_at(0)
    differing = {name for name in sources if np.any(sources[name].numpy() != targets[name].numpy())}
    pairs = {}
    for level in range(G.max_level + 1):
        averaged = differing | G.variables_at(level).keys()
        pairs[level] = [(sources[name], targets[name]) for name in sources if name in averaged]
    return pairs


def copied_pairs(G, Gs):
    """[(G's, Gs's variable)] of what is not trained but moves or differs; the loop sets the lod of both."""
    sources, targets = G.own_variables(), Gs.own_variables()
    return [(sources[name], targets[name]) for name in sources if sources[name] is not G.lod and (
        name in G.averages or np.any(sources[name].numpy() != targets[name].numpy()))]


def move_averages(G, evaluations):
    """Moves G's averages toward the means over all replicas, one evaluation of G after the other; in a replica."""
    replicas, variables = tf.distribute.get_replica_context(), G.own_variables()
    for means in evaluations:
        for name, mean in means.items():
            if replicas.num_replicas_in_sync > 1:
                mean = replicas.all_reduce(tf.distribute.ReduceOp.MEAN, mean)
            assign(variables[name], lerp(mean, tf.convert_to_tensor(variables[name].value), G.averages[name]))


class Sums(NamedTuple):
    """Statistics of an iteration, each summed over the rounds in which it was taken."""
    values: tf.Tensor   # [S]
    counts: np.ndarray  # [S], the number of those rounds.


class Iteration:
    """`rounds` rounds of an objective: each of its updates in order, on the next minibatches of reals.

    iteration(batch, nimg, phase) -> Sums of the statistics `names`, means over replicas. `batch` is an element of
    data.pipeline.batches over rounds * `minibatches` minibatches, nimg the number of images shown before. Which updates of
    a round are due is a function of nimg, decided here: there is one graph per level, minibatch, slices and part of the
    round, fading or not. A part is what is always due together, in a row: the whole round without lazy updates. In it, an
    update that is done several times in a row is traced once. `prepare` makes the graphs of a phase ready ahead of its
    first call.
    """

    def __init__(self, strategy, state, objective, *, seed, rounds, jit=False):
        self._strategy, self._state, self._seed, self._rounds, self._jit = strategy, state, seed, rounds, jit
        self._updates = objective.round()
        self._parts = [tuple(part) for _, part in itertools.groupby(range(len(self._updates)),
                                                                    lambda i: self._updates[i].every)]
        self._stretches = {part: self._stretches_of(part) for part in self._parts}
        self.minibatches = 1 + max(update.minibatch for update in self._updates)  # Of reals, per round.
        own = [f'{name}_{what}' for what in ('skipped', 'loss_scale') for name in ('D', 'G')]
        self.names = [*objective.statistics, *own]
        self._in_halves = two_at_a_time(state.G.settings.fmap_max) and not tf.config.list_logical_devices('GPU')
        self._pairs_at, self._copies = averaged_pairs(state.G, state.Gs), copied_pairs(state.G, state.Gs)
        # A tf.function is locked while it traces, so each graph has one of its own.
        # Nothing in it needs converting, which took half of the time to trace.
        self._functions = collections.defaultdict(lambda: tf.function(self._run, autograph=False))
        self._told = {}  # {updates: the statistics that they tell}, known once traced.
        self._ready = set()

    def __call__(self, batch, nimg, phase):
        _, fade = split_lod(phase.lod)
        settings = self._settings(phase)
        values, counts = [], np.zeros(len(self.names))
        for first, count, part in self._calls(nimg // (self.minibatches * phase.minibatch)):
            function = self._compiled(batch, phase, part)
            values.append(function(batch, tf.constant(first), tf.constant(count), tf.constant(nimg, tf.int64),
                                   fade and tf.constant(fade), settings, phase.level, part, phase.slices))
            counts += count * sum(np.isin(self.names, self._told[updates]) for updates, _ in self._stretches[part])
        return Sums(values[0] if len(values) == 1 else tf.add_n(values), counts)

    def prepare(self, batch_spec, phase):
        """Compiles the graphs of a phase for one replica's `batch_spec`; safe in any thread."""
        batch = self._strategy.experimental_distribute_values_from_function(
            lambda _: {key: tf.zeros(spec.shape, spec.dtype) for key, spec in batch_spec.items()})
        for part in self._parts:
            self._compiled(batch, phase, part)

    @property
    def num_graphs(self):
        """How many were compiled so far."""
        return len(self._ready)

    def graphs(self):
        """What was traced so far: concrete functions."""
        return [graph for function in list(self._functions.values())
                for graph in function._list_all_concrete_functions()]  # Public only as SavedModel's.

    def _due(self, number):
        """The parts, as indices of updates, that are due in round `number`."""
        return [part for part in self._parts if number % self._updates[part[0]].every == 0]

    def _stretches_of(self, part):
        """[(updates, as indices, that are traced together; how often they are done, each time on the next minibatch)]"""
        groups = [tuple(group) for _, group in itertools.groupby(part, lambda i: self._updates[i]._replace(minibatch=0))]
        if len(groups) == len(part):
            return [(part, 1)]
        return [(group[:1], len(group)) for group in groups]

    def _calls(self, number):
        """(first round of the iteration, rounds, part) of each call of a graph, in order; `number`: of the first round."""
        if len(self._parts) == 1:
            return [(0, self._rounds, self._parts[0])]
        return [(index, 1, part) for index in range(self._rounds) for part in self._due(number + index)]

    def _settings(self, phase):
        """What changes without a new graph: learning rates and the decay of Gs."""
        return {'G': tf.constant(phase.G_learning_rate), 'D': tf.constant(phase.D_learning_rate),
                'Gs_decay': tf.constant(phase.Gs_decay)}

    def _compiled(self, batch, phase, part):
        """The function of a graph, which TensorFlow traces and optimizes when it runs first: for no rounds, here."""
        n = self._strategy.experimental_local_results(batch['images'])[0].shape[1]  # Images per replica and update.
        key = phase.level, n, phase.slices, phase.fading, part
        function = self._functions[key]
        if key not in self._ready:
            nothing, fade = tf.constant(0), tf.constant(0.0) if phase.fading else 0
            function(batch, nothing, nothing, tf.constant(0, tf.int64), fade, self._settings(phase), phase.level, part,
                     phase.slices)
            release_memory()  # Before the first round takes its own: the peak is lower by what compiling left behind.
            self._ready.add(key)
        return function

    def _run(self, batch, first, rounds, nimg, fade, settings, level, part, slices):
        replicas = self._strategy.num_replicas_in_sync
        n = self._strategy.experimental_local_results(batch['images'])[0].shape[1]
        shown_per_round = self.minibatches * n * replicas

        def update(updates, repeats, index, repeat, total):
            with tf.control_dependencies([total]):  # Earlier, it would hold memory beside the one before.
                begin = nimg + tf.cast(index, tf.int64) * shown_per_round
                result = self._strategy.run(self._replica_updates, args=(
                    batch, index, begin, fade, settings, level, updates, repeat, slices))
            return repeat + 1, total + self._strategy.reduce(tf.distribute.ReduceOp.SUM, result, axis=None) / (
                replicas * repeats)

        def one_round(index, total):
            for updates, repeats in self._stretches[part]:
                again = functools.partial(update, updates, repeats, index)
                _, total = again(0, total) if repeats == 1 else tf.while_loop(
                    lambda repeat, _, repeats=repeats: repeat < repeats, again, (tf.constant(0), total))
            return index + 1, total

        _, total = tf.while_loop(lambda index, _: index < first + rounds, one_round, (first, tf.zeros([len(self.names)])))
        return total

    def _replica_updates(self, batch, index, nimg, fade, settings, level, updates, repeat, slices):
        state, n = self._state, batch['images'].shape[1]
        draws_of = draw_round(self._seed, nimg, len(self._updates), n, state.G.latent_size)
        elements, statistics = {}, {}
        done = []  # What the next update waits for: earlier, its kernels would be in memory beside those of this one.
        for i in updates:
            update, draws = self._updates[i], draws_of(i + tf.cast(repeat, tf.int64))
            if update.minibatch not in elements:
                elements[update.minibatch] = _element(batch, index * self.minibatches + update.minibatch + repeat, fade)
            with tf.control_dependencies(done):
                gradients, terms, means = self._gradients(update, elements[update.minibatch], draws, level, fade, slices)
            statistics |= terms
            for name in update.trains:
                optimizer = state.optimizer(name)
                statistics[f'{name}_loss_scale'] = tf.identity(optimizer.loss_scale)
                own, gradients = gradients[:len(optimizer.variables_)], gradients[len(optimizer.variables_):]
                statistics[f'{name}_skipped'] = optimizer.apply(own, settings[name])
            done = [statistics[f'{name}_skipped'] for name in update.trains]
            move_averages(state.G, means)
            if update.averages:
                with tf.control_dependencies(done):
                    update_average(self._pairs_at[level], settings['Gs_decay'], self._copies)
            if update.after:
                update.after(terms)
        self._told[updates] = [name for name in self.names if name in statistics]
        return tf.stack([tf.reduce_mean(statistics.get(name, 0.0)) for name in self.names])

    def _gradients(self, update, element, draws, level, fade, slices):
        def compute(element, draws):
            return gradients_of(update, self._state, element, draws, level, fade, self._in_halves)

        if self._jit:  # Only what stays within a replica: XLA cannot compile the reduction over replicas.
            return tf.function(lambda: accumulated(compute, element, draws, slices), jit_compile=True, autograph=False)()
        return accumulated(compute, element, draws, slices)


def _element(batch, index, fade):
    """Minibatch number `index` of a batch, as updates see it."""
    part = {key: value[index] for key, value in batch.items()}
    return Element(process_reals(part['images'], fade), part['labels'], part['random_labels'])
