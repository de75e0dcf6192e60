"""Growing: levels of detail, and the resizes and fades between them. Images are NHWC.

`lod` ("level of detail") is a float, 0 at full resolution; `level = floor(lod)` is a Python int, `fade = lod - level` a
tensor, or the number 0, with which the layers of the lower resolution do not run at all. A network at `level` works on
images of `resolution >> level` pixels.
"""
import math
import numbers

import tensorflow as tf


def split_lod(lod):
    """lod -> (level, fade), e.g. 1.75 -> (1, 0.75)."""
    level = math.floor(lod)
    return level, lod - level


def upscale(images, factor=2):
    """Nearest-neighbour upscaling. [N, H, W, C] -> [N, factor*H, factor*W, C]."""
    if factor == 1:
        return images
    # Repeats by broadcasting: tf.image.resize has no second-order gradient.
    n, h, w, c = shape_of(images)
    tiled = tf.broadcast_to(tf.reshape(images, [n, h, 1, w, 1, c]), [n, h, factor, w, factor, c])
    return tf.reshape(tiled, [n, h * factor, w * factor, c])


def downscale(images, factor=2):
    """Box-filter downscaling. [N, H, W, C] -> [N, H/factor, W/factor, C]."""
    if factor == 1:
        return images
    return tf.nn.avg_pool2d(images, factor, strides=factor, padding='VALID')


def at_most(images, size):
    """Box-filtered to `size` pixels if they are larger. [N, H, W, C] -> float32 [N, <= size, <= size, C]"""
    return downscale(tf.cast(images, tf.float32), max(images.shape[1] // size, 1))


def lerp(a, b, t):
    """Linear interpolation a + (b - a) * t."""
    return a + (b - a) * tf.cast(t, a.dtype)


def fading(fade):
    """Whether the lower resolution takes part: always where `fade` is a tensor, unless it is 0 where it is a number."""
    return not isinstance(fade, numbers.Real) or fade != 0


def process_reals(images, fade, dtype=tf.float32):
    """Maps pixels to [-1, 1] and fades toward the next lower resolution (paper, section 2).

    lerp(x, up2(box_down2(x)), fade) with x = images * 2 / 255 - 1.
    uint8 [N, r, r, C], fade a scalar in [0, 1) -> [N, r, r, C].
    """
    x = tf.cast(images, tf.float32) * (2 / 255) - 1
    if not fading(fade):
        return tf.cast(x, dtype)
    n, r, c = tf.shape(x)[0], images.shape[1], images.shape[3]
    low = tf.reduce_mean(tf.reshape(x, [n, r // 2, 2, r // 2, 2, c]), axis=[2, 4], keepdims=True)
    low = tf.reshape(tf.broadcast_to(low, [n, r // 2, 2, r // 2, 2, c]), tf.shape(x))
    return tf.cast(x + (low - x) * tf.cast(fade, tf.float32), dtype)


def shape_of(x):
    """The shape of x as ints where they are known and scalar tensors where they are not."""
    if None not in x.shape:
        return [*x.shape]
    dynamic = tf.shape(x)
    return [dynamic[i] if size is None else size for i, size in enumerate(x.shape)]
