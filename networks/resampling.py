"""Filters that resample: zero insertion, FIR filter, decimation, alone and around convolutions. NHWC; kernels are NumPy's.

Kernels are 1-D, which stands for its outer product, 2-D, or None for [1, 1] (box down, nearest up), divided by their sum.
All is padded with zeros; gradients of every order are such filters again (StyleGAN2's paper, appendix B).
"""
import numpy as np
import tensorflow as tf

from networks.activations import recorded
from networks.convolution import convolve, convolve_transposed
from networks.growth import shape_of


def setup_kernel(kernel, gain=1.0):
    """-> float32 [h, w] of sum `gain`. ValueError for a kernel without elements or of sum 0."""
    k = np.asarray([1.0, 1.0] if kernel is None else kernel, np.float32)
    if k.ndim not in (1, 2) or not k.size:
        raise ValueError(f'The resample kernel has {k.ndim} axes and {k.size} elements; give e.g. [1, 3, 3, 1].')
    if not np.isfinite(k).all() or k.sum() == 0:
        raise ValueError(f'The resample kernel {k.tolist()} cannot be divided by its sum; use another sum than 0.')
    k = np.outer(k, k) if k.ndim == 1 else k
    return (k * (gain / k.sum())).astype(np.float32)


def upfirdn(x, kernel, up=1, down=1, pads=((0, 0), (0, 0))):
    """Puts up - 1 zeros after every sample, pads, convolves each channel with `kernel` [h, w], takes every down-th sample.

    `pads`: zeros above and below, left and right; negative ones crop.
    [N, H, W, C] -> [N, (H up + pads - h) // down + 1, ..., C]
    """
    height, width = x.shape[1:3]
    sizes = [(n * up + sum(pad) - k) // down + 1 for n, k, pad in zip((height, width), kernel.shape, pads, strict=True)]
    back = tuple((k - pad[0] - 1, n * up - out * down + pad[0] - up + 1)
                 for n, out, k, pad in zip((height, width), sizes, kernel.shape, pads, strict=True))
    return recorded(lambda x: _upfirdn(x, kernel, up, down, pads),
                    lambda gradient: [upfirdn(gradient, kernel[::-1, ::-1], down, up, back)], x)


def _upfirdn(x, kernel, up, down, pads):
    # Measured on a CPU: one depthwise convolution, on zeros where it upsamples, takes 0.2 to 0.9 of the time of sums of
    # slices, of one after the other by rows and by columns, or of one for each phase.
    dtype, x = x.dtype, tf.cast(x, tf.float32)
    n, height, width, c = shape_of(x)
    if up > 1:
        # As longer pixels and longer rows: TFLite pads no tensors of six axes.
        row = width * up * c
        x = tf.reshape(tf.pad(x, [[0, 0], [0, 0], [0, 0], [0, (up - 1) * c]]), [n, height, row])
        x = tf.reshape(tf.pad(x, [[0, 0], [0, 0], [0, (up - 1) * row]]), [n, height * up, width * up, c])
    if min(map(min, pads)) < 0:
        (top, bottom), (left, right) = (tuple(max(-pad, 0) for pad in pair) for pair in pads)
        x = x[:, top:height * up - bottom, left:width * up - right]
    padding = [[0, 0], *([max(pad, 0) for pad in pair] for pair in pads), [0, 0]]
    weight = tf.constant(np.tile(kernel[::-1, ::-1, None, None], [1, 1, x.shape[-1], 1]))
    return tf.cast(tf.nn.depthwise_conv2d(x, weight, [1, down, down, 1], padding), dtype)


def _both(before, after):
    return (before, after), (before, after)


def smooth(x, kernel, gain=1.0):
    """Filters at the same size. [N, H, W, C]"""
    k = setup_kernel(kernel, gain)
    p = len(k) - 1
    return upfirdn(x, k, pads=_both((p + 1) // 2, p // 2))


def upsample(x, kernel, gain=1.0):
    """[N, H, W, C] -> [N, 2H, 2W, C]"""
    k = setup_kernel(kernel, 4 * gain)
    p = len(k) - 2
    return upfirdn(x, k, up=2, pads=_both((p + 1) // 2 + 1, p // 2))


def downsample(x, kernel, gain=1.0):
    """[N, H, W, C] -> [N, H/2, W/2, C]"""
    k = setup_kernel(kernel, gain)
    p = len(k) - 2
    return upfirdn(x, k, down=2, pads=_both((p + 1) // 2, p // 2))


def upsample_conv(x, weight, kernel, gain=1.0):
    """Upsampling and a convolution with weight [c, c, in, out] in one. [N, H, W, in] -> [N, 2H, 2W, out]"""
    side, out = weight.shape[0], weight.shape[3]
    if side == 1:  # Which knows no neighbours, so it may come first, on a quarter of the pixels.
        return upsample(tf.nn.conv2d(x, weight, 1, 'VALID'), kernel, gain)
    n, height, width, _ = shape_of(x)
    k = setup_kernel(kernel, 4 * gain)
    p = len(k) - 2 - (side - 1)
    # The transposed convolution flips by itself; what is meant does not.
    y = convolve_transposed(x, tf.transpose(tf.reverse(weight, [0, 1]), [0, 1, 3, 2]),
                            [n, 2 * (height - 1) + side, 2 * (width - 1) + side, out], padding='VALID')
    return upfirdn(y, k, pads=_both((p + 1) // 2 + 1, p // 2 + 1))


def conv_downsample(x, weight, kernel, gain=1.0):
    """A convolution with weight [c, c, in, out] and downsampling in one. [N, H, W, in] -> [N, H/2, W/2, out]"""
    side = weight.shape[0]
    if side == 1:
        return tf.nn.conv2d(downsample(x, kernel, gain), weight, 1, 'VALID')
    k = setup_kernel(kernel, gain)
    p = len(k) - 2 + (side - 1)
    return convolve(upfirdn(x, k, pads=_both((p + 1) // 2, p // 2)), weight, 2, 'VALID')
