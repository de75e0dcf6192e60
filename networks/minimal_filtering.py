"""3x3 convolutions by two thirds of the multiplications: minimal filtering F(2, 3) along columns. NHWC, HWIO, SAME.

Two rows of an output, one below the other, are sums of four convolutions by one row each, [1, 3], instead of six (Winograd;
Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, section 4.1). Each sum has a third of the terms, so
rounding errors are smaller, too. The images' height must be even. The four take turns: what each takes and gives is half as
large as the images, so that all at once would hold four times the images.
"""
import functools

import tensorflow as tf


def convolve(x, kernel):
    """[N, H, W, in] by [3, 3, in, filters] -> [N, H, W, filters]."""
    def convolved(rows, weight):
        return tf.nn.conv2d(rows(), weight(), 1, 'SAME')
    (even, odd), (above, middle, below) = _parted(x), tf.split(kernel, 3)
    # The weights wait, too: they would stay in memory from one use of the kernel to the next.
    plus = _after([x], convolved, lambda: even() + odd(), lambda: (above + below + middle) * 0.5)
    minus = _after([plus], convolved, lambda: odd() - even(), lambda: (above + below - middle) * 0.5)
    upper, lower = plus + minus, plus - minus
    upper += _after([upper, lower], convolved, lambda: _difference(odd, 1), lambda: above)
    lower += _after([upper], convolved, lambda: _difference(even, -1), lambda: below)
    n, h, w, filters = upper.shape
    return tf.reshape(tf.stack([upper, lower], axis=2), [n, 2 * h, w, filters])


def to_images(gradient, kernel):
    """Its adjoint: gradients [N, H, W, filters] -> those of the images, [N, H, W, in]."""
    return convolve(gradient, tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]))


def to_kernel(x, gradient, of_rows):
    """The gradient to the kernel, of x [N, H, W, in]: three rows, each as of_rows(rows, gradients) has one along axis 0."""
    def product(rows, gradients):
        return of_rows(rows(), gradients())
    (even, odd), (upper, lower) = _parted(x), _parted(gradient)
    plus = _after([], product, lambda: even() + odd(), lambda: upper() + lower())
    minus = _after([plus], product, lambda: odd() - even(), lambda: upper() - lower())
    half, middle = (plus + minus) * 0.5, (plus - minus) * 0.5
    above = half + _after([half, middle], product, lambda: _difference(odd, 1), upper)
    below = half + _after([above], product, lambda: _difference(even, -1), lower)
    return tf.concat([above, middle, below], 0)


def _after(before, product, *inputs):
    """product(*inputs), all of it computed once the tensors `before` are."""
    with tf.control_dependencies(before):
        return product(*inputs)


def _parted(x):
    """[N, H, W, C] -> functions to its even rows and to its odd ones, [N, H/2 - cut, W, C] from `first` on."""
    n, h, w, c = x.shape
    pairs = tf.reshape(x, [n, h // 2, 2 * w, c])

    def rows(i, first=0, cut=0):
        return pairs[:, first:first + h // 2 - cut, i * w:(i + 1) * w]
    return functools.partial(rows, 0), functools.partial(rows, 1)


def _difference(rows, by):
    """Rows moved down by 1, or up by -1, zeros coming in, less the rows themselves."""
    first, pads = (0, [1, 0]) if by > 0 else (1, [0, 1])
    return tf.pad(rows(first, 1), [[0, 0], pads, [0, 0], [0, 0]]) - rows()
