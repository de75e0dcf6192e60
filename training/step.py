"""The gradients of the two steps, the moving average, and the iteration that repeats them in one tf.function.

Everything here runs on any tf.distribute strategy. All randomness is a function of (seed, nimg): each replica draws the
numbers of the whole global minibatch and takes its own rows, so that a run does not depend on the number of devices.
"""
import collections
import contextlib
import functools

import numpy as np
import tensorflow as tf

from networks.growth import fading, lerp, process_reals
from runtime import release_memory, two_at_a_time
from training.losses import discriminator_loss, generator_loss
from training.optimizer import assign


def d_gradients(state, loss_kwargs, reals, labels, latents, mixing_factors, level, fade, in_halves=False):
    """Gradients of D's mean loss, times the loss scale, None for variables without part in `level`; and named terms."""
    scale = tf.convert_to_tensor(state.D_optimizer.loss_scale)
    with _tape(state.D_optimizer) as tape:
        loss, terms = discriminator_loss(state.G, state.D, reals, labels, latents, mixing_factors, level, fade,
                                         loss_scale=scale, in_halves=in_halves, **loss_kwargs)
        scaled_loss = tf.reduce_mean(loss) * scale
    return tape.gradient(scaled_loss, state.D_optimizer.variables_), terms | {'D_loss': loss}


def g_gradients(state, loss_kwargs, labels, latents, level, fade, in_halves=False):
    """Gradients of G's mean loss; see d_gradients and generator_loss."""
    scale = tf.convert_to_tensor(state.G_optimizer.loss_scale)
    with _tape(state.G_optimizer) as tape:
        loss, terms = generator_loss(state.G, state.D, latents, labels, level, fade,
                                     cond_weight=loss_kwargs['cond_weight'], in_halves=in_halves)
        scaled_loss = tf.reduce_mean(loss) * scale
    return tape.gradient(scaled_loss, state.G_optimizer.variables_), terms | {'G_loss': loss}


@contextlib.contextmanager
def _tape(optimizer):
    """A gradient tape for an optimizer's variables; the other network's would be traced for nothing."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(optimizer.variables_)
        yield tape


def update_average(pairs, decay):
    """Gs = lerp(G, Gs, decay) for each (G's variable, Gs's variable), in a replica."""
    for G_variable, Gs_variable in pairs:
        new = tf.convert_to_tensor(G_variable.value)
        assign(Gs_variable, lerp(new, tf.convert_to_tensor(Gs_variable.value), decay))


def averaged_pairs(G, Gs):
    """{level: [(G's, Gs's variable)]} to average: of the blocks training has reached, and where the two differ."""
    sources, targets = G.variables_at(0), Gs.variables_at(0)
    differing = {name for name in sources if np.any(sources[name].numpy() != targets[name].numpy())}
    pairs = {}
    for level in range(G.max_level + 1):
        averaged = differing | G.variables_at(level).keys()
        pairs[level] = [(sources[name], targets[name]) for name in sources if name in averaged]
    return pairs


def statistic_names(label_size):
    """The statistics that an iteration returns, in order."""
    labels = ['label_penalty_reals', 'label_penalty_fakes', 'G_label_penalty_fakes'] if label_size else []
    return ['D_loss', 'G_loss', 'real_scores', 'fake_scores', 'mixed_scores', 'mixed_norms', 'epsilon_penalty', *labels,
            'D_skipped', 'G_skipped', 'D_loss_scale', 'G_loss_scale']


class Iteration:
    """`rounds` times {`D_repeats` times {D step on the next reals, Gs update}, G step} in one call of a tf.function.

    iteration(batch, nimg, fade, G_learning_rate, D_learning_rate, level) -> statistics [S] (`statistic_names`), means over
    rounds and replicas. `batch` is an element of data.pipeline.batches over rounds * D_repeats minibatches; nimg an int64
    tensor, fade a float32 tensor or the number 0, the rates float32 tensors, `level` a Python int. There is one graph per
    level and minibatch, fading or not; `prepare` makes one ready ahead of its first call.
    """

    def __init__(self, strategy, state, *, seed, rounds, D_repeats, Gs_decay, loss_kwargs, jit=False):
        self._strategy, self._state, self._seed = strategy, state, seed
        self._rounds, self._D_repeats, self._Gs_decay = rounds, D_repeats, Gs_decay
        self._names = statistic_names(state.D.label_size)
        in_halves = two_at_a_time(state.G.fmap_max) and not tf.config.list_logical_devices('GPU')
        compute = [functools.partial(f, state, loss_kwargs, in_halves=in_halves) for f in (d_gradients, g_gradients)]
        if jit:  # Only what stays within a replica: XLA cannot compile the reduction over replicas.
            compute = [tf.function(f, jit_compile=True, autograph=False) for f in compute]
        self._compute_d, self._compute_g = compute
        self._pairs_at = averaged_pairs(state.G, state.Gs)
        # A tf.function is locked while it traces, so each graph has one of its own.
        self._functions = collections.defaultdict(lambda: tf.function(self._run))
        self._ready = set()

    def __call__(self, batch, nimg, fade, G_learning_rate, D_learning_rate, level):
        function = self._compiled(batch, level, fading(fade))
        return function(batch, tf.constant(self._rounds), nimg, fade, G_learning_rate, D_learning_rate, level)

    def prepare(self, batch_spec, level, fades):
        """Compiles the graph for one replica's `batch_spec`; safe in any thread."""
        self._compiled(self._strategy.experimental_distribute_values_from_function(
            lambda _: {key: tf.zeros(spec.shape, spec.dtype) for key, spec in batch_spec.items()}), level, fades)

    def _compiled(self, batch, level, fades):
        """The function of a graph, which TensorFlow traces and optimizes when it runs first: for no rounds, here."""
        key = level, self._minibatch(batch), fades
        function = self._functions[key]
        if key not in self._ready:
            zero = tf.constant(0.0)
            function(batch, tf.constant(0), tf.constant(0, tf.int64), zero if fades else 0, zero, zero, level)
            release_memory()  # Before the first round takes its own: the peak is lower by what compiling left behind.
            self._ready.add(key)
        return function

    def graphs(self):
        """What was traced so far: concrete functions."""
        return [graph for function in list(self._functions.values())
                for graph in function._list_all_concrete_functions()]  # Public only as SavedModel's.

    def _minibatch(self, batch):
        """Images per replica and D step."""
        return self._strategy.experimental_local_results(batch['images'])[0].shape[1]

    def _run(self, batch, rounds, nimg, fade, G_learning_rate, D_learning_rate, level):
        replicas, total = self._strategy.num_replicas_in_sync, tf.zeros([len(self._names)])
        shown_per_round = self._D_repeats * self._minibatch(batch) * replicas
        for index in tf.range(rounds):
            shown = nimg + tf.cast(index, tf.int64) * shown_per_round
            result = self._strategy.run(self._replica_round, args=(
                batch, index, shown, fade, G_learning_rate, D_learning_rate, level))
            total += self._strategy.reduce(tf.distribute.ReduceOp.SUM, result, axis=None) / replicas
        return total / tf.cast(rounds, tf.float32)

    @tf.autograph.experimental.do_not_convert  # Nothing in it needs converting, which took half of the time to trace.
    def _replica_round(self, batch, index, nimg, fade, G_learning_rate, D_learning_rate, level):
        state, D_repeats, n = self._state, self._D_repeats, batch['images'].shape[1]
        replicas = tf.distribute.get_replica_context()
        latents, mixing_factors = _draw(self._seed, nimg, D_repeats, n, n * replicas.num_replicas_in_sync,
                                        replicas.replica_id_in_sync_group, state.G.latent_size)
        statistics = {}
        for repeat in range(D_repeats):
            element = {key: value[index * D_repeats + repeat] for key, value in batch.items()}
            gradients, terms = self._compute_d(process_reals(element['images'], fade), element['labels'],
                                               latents[repeat], mixing_factors[repeat], level, fade)
            statistics |= terms | {'D_loss_scale': tf.identity(state.D_optimizer.loss_scale)}
            statistics['D_skipped'] = state.D_optimizer.apply(gradients, D_learning_rate)
            update_average(self._pairs_at[level], self._Gs_decay)
        with tf.control_dependencies([statistics['D_skipped']]):  # Earlier, it would hold memory while D's step needs most.
            fresh_latents = tf.identity(latents[D_repeats])
        gradients, terms = self._compute_g(element['random_labels'], fresh_latents, level, fade)
        statistics |= terms | {'G_loss_scale': tf.identity(state.G_optimizer.loss_scale)}
        statistics['G_skipped'] = state.G_optimizer.apply(gradients, G_learning_rate)
        return tf.stack([tf.reduce_mean(statistics[name]) for name in self._names])


def _draw(seed, nimg, D_repeats, n, minibatch, replica, latent_size):
    """This replica's rows of a round's latents [D_repeats + 1, n, latent_size] and mixing factors [D_repeats, n]."""
    latents = tf.random.stateless_normal([D_repeats + 1, minibatch, latent_size], [tf.constant(seed, tf.int64), nimg])
    factors = tf.random.stateless_uniform([D_repeats, minibatch], [tf.constant(~seed, tf.int64), nimg])
    return (tf.slice(latents, [0, replica * n, 0], [D_repeats + 1, n, latent_size]),
            tf.slice(factors, [0, replica * n], [D_repeats, n]))
