"""numpy.random.RandomState(seed).randn(size) as a TensorFlow graph, so that a served model knows the same seeds.

The Mersenne Twister of Matsumoto and Nishimura (1998) with its 2002 initialization, 53-bit uniforms, and Marsaglia's
polar method, as NumPy's frozen legacy generator specifies them; float64 until the end.
"""
import math

import tensorflow as tf

_WORDS, _SHIFT = 624, 397  # State of MT19937, in 32-bit words, and the offset of its recurrence.


def randn(seeds, size):
    """Standard normal numbers. Seeds int64 [N], 0 to 2^32 - 1 (taken modulo 2^32) -> float32 [N, size]."""
    with tf.device('CPU:0'):  # 600 tiny steps one after the other: nothing for a GPU.
        pairs = -(-size // 2)
        # A try gives a pair with probability pi/4; 12 standard deviations more than enough on average.
        tries = math.ceil(4 / math.pi * pairs + 12 * math.sqrt(pairs)) + 16
        words = _random_words(_initial_state(tf.bitwise.bitwise_and(seeds, 0xffffffff)), 4 * tries)
        words = tf.cast(tf.reshape(words, [-1, tries, 2, 2]), tf.float64)  # [N, tries, x1 and x2, two words]
        high, low = tf.floor(words[..., 0] / 2 ** 5), tf.floor(words[..., 1] / 2 ** 6)
        x = 2.0 * ((high * 2 ** 26 + low) / 2 ** 53) - 1.0
        r2 = tf.reduce_sum(tf.square(x), axis=-1)
        accepted = (r2 < 1.0) & (r2 != 0.0)
        first = tf.argsort(tf.cast(~accepted, tf.int32), axis=1, stable=True)[:, :pairs]  # The first accepted ones.
        x, r2 = tf.gather(x, first, batch_dims=1), tf.gather(r2, first, batch_dims=1)
        normal = x * tf.sqrt(-2.0 * tf.math.log(r2) / r2)[..., None]
        # The second of a pair comes out first.
        return tf.cast(tf.reshape(tf.reverse(normal, [2]), [-1, 2 * pairs])[:, :size], tf.float32)


def _initial_state(seeds):
    """x[0] = seed, x[i] = 1812433253 * (x[i-1] ^ (x[i-1] >> 30)) + i modulo 2^32. -> int64 [N, 624]"""
    def following(x, i):
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, 30))
        return tf.bitwise.bitwise_and(1812433253 * x + i, 0xffffffff)  # Below 2^63: no overflow.
    later = tf.scan(following, tf.range(1, _WORDS, dtype=tf.int64), initializer=seeds)
    return tf.transpose(tf.concat([seeds[None], later], 0))


def _random_words(state, count):
    """The first `count` 32-bit words that follow an initial state. int64 [N, 624] -> int64 [N, count]"""
    blocks = []
    for _ in range(-(-count // _WORDS)):
        state = _next_state(state)
        blocks.append(state)
    return _temper(tf.concat(blocks, axis=1)[:, :count])


def _next_state(old):
    """x[i] = x[i-227] ^ mix(x[i-624], x[i-623]), in runs that only need what is there already."""
    shift = tf.bitwise.right_shift
    run = _WORDS - _SHIFT       # 227
    rest = _WORDS - 1 - 2 * run  # 169

    def recurrence(far, current, following):
        y = tf.bitwise.bitwise_or(tf.bitwise.bitwise_and(current, 0x80000000),
                                  tf.bitwise.bitwise_and(following, 0x7fffffff))
        return tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(far, shift(y, 1)), (y % 2) * 0x9908b0df)

    a = recurrence(old[:, _SHIFT:], old[:, :run], old[:, 1:run + 1])                          # 0 .. 226
    b = recurrence(a, old[:, run:2 * run], old[:, run + 1:2 * run + 1])                       # 227 .. 453
    c = recurrence(b[:, :rest], old[:, 2 * run:-1], old[:, 2 * run + 1:])                # 454 .. 622
    d = recurrence(b[:, rest:rest + 1], old[:, -1:], a[:, :1])                           # 623
    return tf.concat([a, b, c, d], axis=1)


def _temper(y):
    xor, mask, shift = tf.bitwise.bitwise_xor, tf.bitwise.bitwise_and, tf.bitwise.right_shift
    y = xor(y, shift(y, 11))
    y = xor(y, mask(y * 2 ** 7, 0x9d2c5680))
    y = xor(y, mask(y * 2 ** 15, 0xefc60000))
    return xor(y, shift(y, 18))
