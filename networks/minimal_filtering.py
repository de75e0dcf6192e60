"""3x3 convolutions by two thirds of the multiplications: minimal filtering F(2, 3) along columns. NHWC, HWIO, SAME.

Two rows of an output, one below the other, are sums of four convolutions by one row each, [1, 3], instead of six (Winograd;
Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, section 4.1). Each sum has a third of the terms, so
rounding errors are smaller, too. The images' height must be even. What each of the four takes is computed once the one
before is done: together they would need four times the memory.
"""
import functools

import tensorflow as tf


def convolve(x, kernel):
    """[N, H, W, in] by [3, 3, in, filters] -> [N, H, W, filters]."""
    upper, lower = _pair(lambda rows, weight: tf.nn.conv2d(rows, weight, 1, 'SAME'), *_parted(x), 1, kernel, x)
    return _woven(upper, lower)


def to_images(gradient, kernel, shape):
    """Its adjoint: gradients [N, H, W, filters] -> those of the images, [N, H, W, in], which is `shape`."""
    n, h, w, c = shape
    upper, lower = _parted(gradient)
    odd, even = _pair(lambda rows, weight: tf.nn.conv2d_transpose(rows, weight, [n, h // 2, w, c], 1, 'SAME'),
                      lower, upper, -1, kernel, gradient)
    return _woven(even, odd)


def to_kernel(x, gradient, of_rows):
    """The gradient to the kernel, of x [N, H, W, in]: three rows, each as of_rows(rows, gradients) has one along axis 0."""
    def product(rows, gradients, *before):
        with tf.control_dependencies(before):
            return of_rows(rows(), gradients())
    (even, odd), (upper, lower) = _parted(x), _parted(gradient)
    plus = product(lambda: even() + odd(), lambda: upper() + lower())
    minus = product(lambda: odd() - even(), lambda: upper() - lower(), plus)
    half, middle = (plus + minus) * 0.5, (plus - minus) * 0.5
    above = product(lambda: _step(odd, 1), upper, half, middle) + half
    return tf.concat([above, middle, product(lambda: _step(even, -1), lower, above) + half], 0)


def _pair(product, a, b, by, kernel, first):
    """Every other row of an output and the rows between, of images whose rows are the functions a and b; after `first`."""
    def convolved(rows, weight, *before):
        with tf.control_dependencies(before):  # Weights too: they would stay from one use of the kernel to the next.
            return product(rows(), weight())
    above, middle, below = tf.split(kernel, 3)
    plus = convolved(lambda: a() + b(), lambda: (above + below + middle) * 0.5, first)
    minus = convolved(lambda: b() - a(), lambda: (above + below - middle) * 0.5, plus)
    one, other = plus + minus, plus - minus
    one += convolved(lambda: _step(b, by), lambda: above, one, other)
    return one, other + convolved(lambda: _step(a, -by), lambda: below, one)


def _parted(x):
    """[N, H, W, C] -> functions to its even rows and to its odd ones, [N, H/2 - cut, W, C] from `first` on."""
    n, h, w, c = x.shape
    pairs = tf.reshape(x, [n, h // 2, 2 * w, c])

    def rows(i, first=0, cut=0):
        return tf.slice(pairs, [0, first, i * w, 0], [n, h // 2 - cut, w, c])
    return functools.partial(rows, 0), functools.partial(rows, 1)


def _woven(even, odd):
    """`_parted` undone."""
    n, h, w, c = even.shape
    return tf.reshape(tf.stack([even, odd], axis=2), [n, 2 * h, w, c])


def _step(rows, by):
    """Rows moved down by 1, or up by -1, zeros coming in, less the rows themselves."""
    first, pads = (0, [1, 0]) if by > 0 else (1, [0, 1])
    return tf.pad(rows(first, 1), [[0, 0], pads, [0, 0], [0, 0]]) - rows()
