"""Convolutions, of stride 1 or 2, whose gradient to the kernel is computed as is quickest. NHWC, HWIO.

On processors without AVX-512 oneDNN computes that gradient at 0.2 to 0.7 of the rate of matrix products, and convolutions at
0.7 to 1. Two other ways give the same numbers (docs/performance.md has their rates):
- exchanged: with batch and channels in each other's place it is a convolution too, of the images [C, H, W, N] by the
  upstream gradient [h, w, N, filters], a kernel of the images' size, dilated by the stride. Small images gain by it.
- products: of the images and the upstream gradient as they lie in memory, zeros between the rows and the images; one for
  each row of the kernel, which begins a row of pixels later, all columns side by side. Networks of many maps gain by it.
"""
import functools
from typing import NamedTuple

import tensorflow as tf

import runtime
from networks.activations import recorded

_MOST = 4096  # Pixels of a minibatch that gain by the exchange; of more the transpositions cost as much.
_PART = 2048  # Pixels that products take at a time, or one image: a copy of these is held for each column of the kernel.
_BLOCK = 8    # oneDNN takes channels, there images, in blocks of so many.
_WIDE = 128   # Maps from which products gain, and the exchange with a stride.


class _How(NamedTuple):
    """A convolution: its kernel [side, side, ..], stride and zeros around the images."""
    side: int
    stride: int
    padding: str


def convolve(x, kernel, stride=1, padding='SAME'):
    """[N, H, W, in] by [k, k, in, filters] -> [N, h, w, filters]."""
    how = _How(kernel.shape[0], stride, padding)
    if _is_ours(x, how):
        cut = 0 if padding == 'SAME' else how.side - 1
        if _gains(x.shape, [x.shape[0], *(-(-(size - cut) // stride) for size in x.shape[1:3])], kernel, how):
            return _convolved(x, kernel, how)
    return tf.nn.conv2d(x, kernel, stride, padding)


def convolve_transposed(x, kernel, shape, stride=2, padding='SAME'):
    """[N, h, w, in] by [k, k, filters, in] -> images of `shape` [N, H, W, filters], whose convolution is of x's size."""
    how = _How(kernel.shape[0], stride, padding)
    if _is_ours(x, how) and _gains(shape, x.shape, kernel, how):
        return _to_images(x, kernel, how, shape)
    return tf.nn.conv2d_transpose(x, kernel, shape, stride, padding)


def _convolved(x, kernel, how):
    return recorded(lambda x, kernel: tf.nn.conv2d(x, kernel, how.stride, how.padding),
                    lambda upstream: [_to_images(upstream, kernel, how, x.shape), _to_kernel(x, upstream, how)], x, kernel)


def _to_images(gradient, kernel, how, shape):
    return recorded(lambda gradient, kernel: tf.nn.conv2d_transpose(gradient, kernel, shape, how.stride, how.padding),
                    lambda upstream: [_convolved(upstream, kernel, how), _to_kernel(upstream, gradient, how)],
                    gradient, kernel)


def _to_kernel(x, gradient, how):
    """The gradient to a kernel [k, k, in, filters], of images [N, H, W, in] and their convolution's [N, h, w, filters]."""
    way = exchanged if _is_small(gradient.shape) else products

    def compute(x, gradient):
        with tf.control_dependencies([gradient]):  # Earlier, images would be laid out anew as they come, and kept till now.
            return way(x, gradient, *how)
    return recorded(compute, lambda upstream: [
        _to_images(gradient, upstream, how, x.shape), _convolved(x, upstream, how)], x, gradient)


def exchanged(x, gradient, side, stride=1, padding='SAME'):
    """As `_to_kernel`, by a convolution with batch and channels exchanged."""
    pads = [[0, 0], *_pads(x.shape, gradient.shape, _How(side, stride, padding)), [0, 0]]
    found = tf.nn.conv2d(tf.transpose(x, [3, 1, 2, 0]), tf.transpose(gradient, [1, 2, 0, 3]), 1, pads, dilations=stride)
    return tf.transpose(found, [1, 2, 0, 3])


def products(x, gradient, side, stride=1, padding='SAME'):
    """As `_to_kernel`, by matrix products. SAME; `side` odd for stride 1, 4 for 2, of images of even size."""
    count, found = max(1, _PART // (gradient.shape[1] * gradient.shape[2])), None
    for first in range(0, x.shape[0], count):
        with tf.control_dependencies([] if found is None else [found]):  # So that one part is in memory at a time.
            part = _products(x[first:first + count], gradient[first:first + count], side, stride)
        found = part if found is None else found + part
    return found


def _products(x, gradient, side, stride):
    (c, filters), rows = (x.shape[3], gradient.shape[3]), side // stride
    zeros = rows // 2
    if stride == 2:  # Blocks of 2x2 pixels are convolved by as many blocks of the kernel.
        x = tf.nn.space_to_depth(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2)
    else:
        x = tf.pad(x, [[0, 0], [zeros, zeros], [0, zeros], [0, 0]])
    gradient = tf.pad(gradient, [[0, 0], [0, rows - 1], [zeros, 0], [0, 0]])
    width = x.shape[2]
    length = x.shape[0] * x.shape[1] * width - (rows - 1) * width
    x, gradient = tf.reshape(x, [-1, x.shape[3]]), tf.reshape(gradient, [-1, filters])
    columns = tf.concat([gradient[start:start + length] for start in reversed(range(rows))], 1)
    found = [tf.matmul(x[row * width:row * width + length], columns, transpose_a=True) for row in range(rows)]
    found = tf.reshape(tf.stack(found), [rows, stride, stride, c, rows, filters])  # Row, block's y, x, in, column, filters.
    return tf.reshape(tf.transpose(found, [0, 1, 4, 2, 3, 5]), [side, side, c, filters])


def _is_ours(x, how):
    return how.side > 1 and x.dtype == tf.float32 and None not in tuple(x.shape) and _is_for_this_processor()


def _gains(images, gradient, kernel, how):
    """Whether one of the two ways is open and quicker, by shapes: images [N, H, W, C] convolve to [N, h, w, ..]."""
    pads, half = _pads(images, gradient, how), (how.side - how.stride) // 2
    is_wide = min(kernel.shape[2:]) >= _WIDE
    if _is_small(gradient):
        return min(map(min, pads)) >= 0 and (how.stride == 1 or is_wide)
    fits = how.stride == 1 and how.side % 2 == 1 or how.stride == 2 and how.side == 4
    return fits and pads == [[half, half]] * 2 and is_wide


def _is_small(gradient):
    n, h, w, *_ = gradient
    return n % _BLOCK == 0 and n * h * w <= _MOST


def _pads(images, gradient, how):
    """[[above, below], [left, right]]: the zeros around images whose convolution has the size of `gradient`."""
    totals = [(out - 1) * how.stride + how.side - size for size, out in zip(images[1:3], gradient[1:3], strict=True)]
    return [[total // 2, total - total // 2] for total in totals]


@functools.cache
def _is_for_this_processor():
    return not runtime.has_avx512() and not tf.config.list_logical_devices('GPU')
