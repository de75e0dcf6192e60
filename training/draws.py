"""The random numbers of an update, functions of (seed, nimg): each replica draws those of the whole global minibatch and
takes its own rows, so that a run does not depend on the number of devices."""
import math

import tensorflow as tf


class Draws:
    """Random numbers for this replica's rows of one update's minibatch.

    `latents` are standard normal [n, latent_size], `factors` uniform [n] in [0, 1); `normal` and `shared` draw what else an
    objective or a network needs, each `stream` (an int) apart; networks take streams from 1000 on.
    """

    def __init__(self, latents, factors, seed, nimg, minibatch, first, step=1):
        self.latents, self.factors = latents, factors
        self._seed, self._nimg, self._minibatch, self._first, self._step = seed, nimg, minibatch, first, step

    def normal(self, stream, shape=()):
        """Standard normal numbers [n, *shape]."""
        n, groups = (self.latents.shape[0] - 1) * self._step + 1, -(-math.prod(shape) // 4)
        key, _ = tf.raw_ops.StatelessRandomGetKeyCounter(seed=self._stream(stream))
        # Philox makes four numbers per count: each replica starts to count at its own rows, and draws no others.
        counter = tf.stack([tf.cast(self._first, tf.int64) * groups, 0])
        numbers = tf.raw_ops.StatelessRandomNormalV2(shape=[n, 4 * groups], key=key, counter=tf.cast(counter, tf.uint64),
                                                     alg=tf.random.Algorithm.PHILOX.value)
        return tf.reshape(numbers[::self._step, :math.prod(shape)], [self.latents.shape[0], *shape])

    def shared(self, stream, shape=()):
        """Uniform numbers [*shape] in [0, 1), the same for all rows."""
        return tf.random.stateless_uniform(shape, self._stream(stream))

    def part(self, index, count):
        """The draws of part number `index` of `count` equal ones."""
        n = self.latents.shape[0] // count
        return Draws(rows(self.latents, index * n, n), rows(self.factors, index * n, n), self._seed, self._nimg,
                     self._minibatch, self._first + index * n * self._step, self._step)

    def every(self, step):
        """The draws of every so manieth row, from the first: the same rows of a minibatch, whatever the devices."""
        return Draws(self.latents[::step], self.factors[::step], self._seed, self._nimg, self._minibatch, self._first,
                     self._step * step)

    def anew(self, stream):
        """Other draws of the same rows, with other latents; `stream` as for `normal`."""
        return Draws(self.normal(stream, self.latents.shape[1:]), self.factors, self._seed ^ (stream + 1 << 48), self._nimg,
                     self._minibatch, self._first, self._step)

    def _stream(self, stream):
        seed = tf.stack([tf.convert_to_tensor(self._seed, tf.int64), self._nimg])
        return tf.random.experimental.stateless_fold_in(seed, stream)


def rows(x, first, n):
    """x[first:first + n], of which n is known when the graph is traced."""
    return tf.slice(x, [first, *[0] * (len(x.shape) - 1)], [n, *x.shape[1:]])


def draw_round(seed, nimg, updates, n, latent_size):
    """-> draws(i) -> Draws of update number i, an int or an int64 tensor, of the round that starts at nimg; call it in a
    replica, with its share n of a minibatch."""
    replicas = tf.distribute.get_replica_context()
    minibatch, first = n * replicas.num_replicas_in_sync, replicas.replica_id_in_sync_group * n
    latents = tf.random.stateless_normal([updates, minibatch, latent_size], [tf.constant(seed, tf.int64), nimg])
    factors = tf.random.stateless_uniform([updates, minibatch], [tf.constant(~seed, tf.int64), nimg])
    latents = tf.slice(latents, [0, first, 0], [updates, n, latent_size])
    factors = tf.slice(factors, [0, first], [updates, n])
    return lambda i: Draws(latents[i], factors[i], seed ^ (i + 1) * 2 ** 32, nimg, minibatch, first)
