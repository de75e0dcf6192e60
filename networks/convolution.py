"""Convolutions, of stride 1 or 2, and their gradients, each computed in the quickest way there is. NHWC, HWIO.

On x86 processors, in float32, where all shapes are known, as they are in training. The same numbers but for rounding
(docs/performance.md has what each way gains):
- minimal: 3x3 by two thirds of the multiplications (networks/minimal_filtering.py). Networks of many maps gain by it.

Without AVX-512 oneDNN computes the gradient to the kernel at 0.2 to 0.7 of the rate of matrix products, so there also:
- exchanged: with batch and channels in each other's place it is a convolution too, of the images [C, H, W, N] by the
  upstream gradient [h, w, N, filters], a kernel of the images' size, dilated by the stride. Small images gain by it.
- products: of the images and the upstream gradient as they lie in memory, zeros between the rows and the images; one for
  each row of the kernel, which begins a row of pixels later, all columns side by side. 4x4 of stride 2 with many maps gain.
"""
import functools
import platform
from typing import NamedTuple

import tensorflow as tf

import runtime
from networks import minimal_filtering
from networks.activations import recorded

_LEAST = 2048  # Pixels of a minibatch that gain by minimal filtering; of less the kernel's part costs as much.
_MOST = 4096   # Pixels of a minibatch that gain by the exchange; of more the transpositions cost as much.
_PART = 8192   # Pixels that products take at a time, or one image: a copy of these is held for each column of the kernel.
_BLOCK = 8     # oneDNN takes channels, there images, in blocks of so many.
_WIDE = 128    # Maps from which these gain: minimal filtering, products, the exchange with a stride.


class _How(NamedTuple):
    """A convolution: its kernel [side, side, ..], stride, zeros around the images; its way, None for TensorFlow's."""
    side: int
    stride: int
    padding: str
    way: str | None = None


def convolve(x, kernel, stride=1, padding='SAME'):
    """[N, H, W, in] by [k, k, in, filters] -> [N, h, w, filters]."""
    x, kernel = tf.convert_to_tensor(x), tf.convert_to_tensor(kernel)
    how = _How(kernel.shape[0], stride, padding)
    if _is_ours(x, how):
        cut = 0 if padding == 'SAME' else how.side - 1
        how = _chosen(x.shape, [x.shape[0], *(-(-(size - cut) // stride) for size in x.shape[1:3])], kernel, how)
    return _convolved(x, kernel, how) if how.way else tf.nn.conv2d(x, kernel, stride, padding)


def convolve_transposed(x, kernel, shape, stride=2, padding='SAME'):
    """[N, h, w, in] by [k, k, filters, in] -> images of `shape` [N, H, W, filters], whose convolution is of x's size."""
    x, kernel = tf.convert_to_tensor(x), tf.convert_to_tensor(kernel)
    how = _How(kernel.shape[0], stride, padding)
    if _is_ours(x, how):
        how = _chosen(shape, x.shape, kernel, how)
    return _to_images(x, kernel, how, shape) if how.way else tf.nn.conv2d_transpose(x, kernel, shape, stride, padding)


def _convolved(x, kernel, how):
    def compute(x, kernel):
        if how.way == 'minimal':
            return minimal_filtering.convolve(x, kernel)
        return tf.nn.conv2d(x, kernel, how.stride, how.padding)
    return recorded(compute, lambda upstream: [
        _to_images(upstream, kernel, how, x.shape), _to_kernel(x, upstream, how)], x, kernel)


def _to_images(gradient, kernel, how, shape):
    def compute(gradient, kernel):
        if how.way == 'minimal':
            return minimal_filtering.to_images(gradient, kernel)
        return tf.nn.conv2d_transpose(gradient, kernel, shape, how.stride, how.padding)
    return recorded(compute, lambda upstream: [
        _convolved(upstream, kernel, how), _to_kernel(upstream, gradient, how)], gradient, kernel)


def _to_kernel(x, gradient, how):
    """The gradient to a kernel [k, k, in, filters], of images [N, H, W, in] and their convolution's [N, h, w, filters]."""
    way = {'minimal': minimal, 'products': products, 'exchanged': exchanged}[how.way]

    def compute(x, gradient):
        with tf.control_dependencies([gradient]):  # Earlier, images would be laid out anew as they come, and kept till now.
            return way(x, gradient, how.side, how.stride)
    return recorded(compute, lambda upstream: [
        _to_images(gradient, upstream, how, x.shape), _convolved(x, upstream, how)], x, gradient)


def minimal(x, gradient, side=3, stride=1):
    """As `_to_kernel`, by minimal filtering and matrix products; 3x3 of stride 1, SAME, of images of even height."""
    def of_rows(x, gradient):
        (n, h, w, c), filters = x.shape, gradient.shape[3]
        x = tf.pad(tf.reshape(x, [1, n * h, w, c]), [[0, 0], [0, 0], [0, 1], [0, 0]])
        return _products(x, tf.reshape(gradient, [1, n * h, w, filters]), rows=1, columns=3)
    found = _in_parts(lambda *part: minimal_filtering.to_kernel(*part, of_rows), x, gradient)
    return tf.transpose(found, [0, 2, 1, 3])  # Was [row, in, column, filters].


def products(x, gradient, side=4, stride=2):
    """As `_to_kernel`, by matrix products; 4x4 of stride 2, SAME, of images of even size."""
    def part(x, gradient):  # Blocks of 2x2 pixels are convolved by as many blocks of the kernel.
        blocks = tf.nn.space_to_depth(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2)
        return _products(blocks, gradient, rows=2, columns=2)
    c, filters = x.shape[3], gradient.shape[3]
    found = tf.reshape(_in_parts(part, x, gradient), [2, 2, 2, c, 2, filters])  # Row, block's y, x, in, column, filters.
    return tf.reshape(tf.transpose(found, [0, 1, 4, 2, 3, 5]), [side, side, c, filters])


def exchanged(x, gradient, side, stride=1):
    """As `_to_kernel`, by a convolution with batch and channels exchanged."""
    pads = [[0, 0], *_pads(x.shape, gradient.shape, side, stride), [0, 0]]
    found = tf.nn.conv2d(tf.transpose(x, [3, 1, 2, 0]), tf.transpose(gradient, [1, 2, 0, 3]), 1, pads, dilations=stride)
    return tf.transpose(found, [1, 2, 0, 3])


def _in_parts(way, x, gradient):
    """The sum of way(x, gradient) of some images after others."""
    count, found = max(1, _PART // (gradient.shape[1] * gradient.shape[2])), None
    for first in range(0, x.shape[0], count):
        with tf.control_dependencies([] if found is None else [found]):  # So that one part is in memory at a time.
            part = way(x[first:first + count], gradient[first:first + count])
        found = part if found is None else found + part
    return found


def _products(x, gradient, rows, columns):
    """As `_to_kernel`, of x [N, h + rows - 1, w + 1, in] and gradients [N, h, w, filters] -> [rows, in, columns, filters].

    Of one row N is 1. Of three columns the last of x is of zeros: these stand right of a row, and left of the next.
    """
    (*_, width, c), filters = x.shape, gradient.shape[3]
    gradient = tf.pad(gradient, [[0, 0], [0, 1], [1, 0], [0, 0]])
    x, gradient = tf.reshape(x, [-1, c]), tf.reshape(gradient, [-1, filters])
    length = x.shape[0] - (rows - 1) * width
    side_by_side = tf.concat([gradient[start:start + length] for start in reversed(range(columns))], 1)
    found = [tf.matmul(x[row * width:row * width + length], side_by_side, transpose_a=True) for row in range(rows)]
    return tf.reshape(tf.stack(found), [rows, c, columns, filters])


def _is_ours(x, how):
    return how.side > 1 and x.dtype == tf.float32 and None not in tuple(x.shape) and _is_for_these_processors()


def _chosen(images, gradient, kernel, how):
    """`how` with the way that is quickest by shapes, if one is: images [N, H, W, C] convolve to [N, h, w, ..]."""
    (n, h, w, *_), pads = gradient, _pads(images, gradient, how.side, how.stride)
    is_wide, is_slow = min(kernel.shape[2:]) >= _WIDE, _lacks_avx512()
    wide_of_kind = (how.side, how.stride) if is_wide and pads == [[1, 1], [1, 1]] else None
    way = None
    if wide_of_kind == (3, 1) and h % 2 == 0 and n * h * w >= _LEAST:
        way = 'minimal'
    elif is_slow and n % _BLOCK == 0 and n * h * w <= _MOST:
        way = 'exchanged' if min(map(min, pads)) >= 0 and (how.stride == 1 or is_wide) else None
    elif is_slow and wide_of_kind == (4, 2):
        way = 'products'
    return how._replace(way=way)


def _pads(images, gradient, side, stride):
    """[[above, below], [left, right]]: the zeros around images whose convolution has the size of `gradient`."""
    totals = [(out - 1) * stride + side - size for size, out in zip(images[1:3], gradient[1:3], strict=True)]
    return [[total // 2, total - total // 2] for total in totals]


@functools.cache
def _lacks_avx512():
    return not runtime.has_avx512()


@functools.cache
def _is_for_these_processors():  # TensorFlow computes convolutions with oneDNN on these.
    return platform.machine().lower() in ('x86_64', 'amd64') and not tf.config.list_logical_devices('GPU')
