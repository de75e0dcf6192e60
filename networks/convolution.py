"""The convolution of stride 1, whose gradient to the kernel is another one where that is quicker. NHWC, HWIO.

On processors without AVX-512 oneDNN computes that gradient at 0.2 to 0.7 of the rate of matrix products, and convolutions at
0.7 to 1. With batch and channels in each other's place the gradient is a convolution too: of the images [C, H, W, N] by the
upstream gradient [H, W, N, filters], a kernel of the images' size. Small images gain by it (docs/performance.md).
"""
import functools

import tensorflow as tf

import runtime
from networks.activations import recorded

_MOST = 4096  # Pixels of a minibatch that gain; of more the transpositions cost as much.
_BLOCK = 8    # oneDNN takes channels, here images, in blocks of so many.


def convolve(x, kernel):
    """[N, H, W, in] by [k, k, in, filters], k odd -> [N, H, W, filters], SAME."""
    return _convolved(x, kernel) if _gains(x, kernel) else tf.nn.conv2d(x, kernel, 1, 'SAME')


def _convolved(x, kernel):
    return recorded(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, 'SAME'),
                    lambda gradient: [_to_images(gradient, kernel), to_kernel(x, gradient, kernel.shape[0])], x, kernel)


def _to_images(gradient, kernel):
    shape = [*gradient.shape[:3], kernel.shape[2]]
    return recorded(lambda gradient, kernel: tf.nn.conv2d_transpose(gradient, kernel, shape, 1, 'SAME'),
                    lambda upstream: [_convolved(upstream, kernel), to_kernel(upstream, gradient, kernel.shape[0])],
                    gradient, kernel)


def to_kernel(x, gradient, size):
    """The gradient to a kernel [size, size, in, filters] from images [N, H, W, in] and that to their convolution."""
    pads = [[0, 0], [size // 2] * 2, [size // 2] * 2, [0, 0]]
    found = tf.nn.conv2d(tf.transpose(x, [3, 1, 2, 0]), tf.transpose(gradient, [1, 2, 0, 3]), 1, pads)
    return tf.transpose(found, [1, 2, 0, 3])


def _gains(x, kernel):
    n, h, w, _ = x.shape
    return (None not in (n, h, w) and n % _BLOCK == 0 and n * h * w <= _MOST and kernel.shape[0] > 1
            and x.dtype == tf.float32 and _is_for_this_processor())


@functools.cache
def _is_for_this_processor():
    return not runtime.has_avx512() and not tf.config.list_logical_devices('GPU')
