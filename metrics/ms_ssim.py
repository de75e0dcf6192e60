"""Multi-scale structural similarity of pairs of generated images: lower is more varied (paper, section 5)."""
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from metrics.metric import Metric

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Of the scales, finest first (Wang et al., 2003).
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2

_PIXELS_PER_TASK = 2 ** 19


def gaussian_window(height, width):
    """The 1-D Gaussian of size min(11, H, W), sigma 1.5 * size / 11; centred between pixels if even."""
    size = min(11, height, width)
    x = np.arange(size) - (size - 1) / 2
    window = np.exp(-x ** 2 / (2 * (1.5 * size / 11) ** 2))
    return window / window.sum()


def filter_valid(images, window):
    """Filters rows and columns where a symmetric window fits. [..., H, W] -> H - size + 1, W - size + 1."""
    return _filter_valid(_filter_valid(images, window, axis=-2), window, axis=-1)


def _filter_valid(images, window, axis):
    x = images.swapaxes(axis, 0)
    size = len(window)
    length = len(x) - size + 1
    y = 0
    for i in range(size // 2):
        mirrored = size - 1 - i
        pair = x[i:i + length] + x[mirrored:mirrored + length]
        pair *= float(window[i])
        y = np.add(y, pair, out=pair)
    if size % 2:
        y = y + x[size // 2:size // 2 + length] * float(window[size // 2])
    return y.swapaxes(axis, 0)


def halve(images):
    """2x2 box means. [..., H, W] -> [..., H / 2, W / 2]."""
    rows = images[..., 0::2, :] + images[..., 1::2, :]
    rows = rows[..., 0::2] + rows[..., 1::2]
    rows *= 1 / 4
    return rows


def ssim(a, b):
    """Structural similarity and its contrast-structure part, means over pixels and channels.

    ssim = (2 ma mb + C1) / (ma^2 + mb^2 + C1) * cs,  cs = (2 sab + C2) / (saa + sbb + C2), local moments
    under `gaussian_window`. float32 [N, C, H, W] minus 127.5 each -> float64 [N], [N].
    """
    window = gaussian_window(*a.shape[-2:])
    # With s = a + b and d = a - b four filtered maps suffice: 4 ab = s^2 - d^2 and 2 (a^2 + b^2) = s^2 + d^2.
    s, d = a + b, a - b
    ms, md = filter_valid(s, window), filter_valid(d, window)
    ss = filter_valid(np.square(s, out=s), window)
    dd = filter_valid(np.square(d, out=d), window)
    ss -= np.square(ms)
    dd -= np.square(md)
    cs = (0.5 * (ss - dd) + C2) / (0.5 * (ss + dd) + C2)
    ms += 2 * 127.5
    np.square(ms, out=ms)
    np.square(md, out=md)
    l = (0.5 * (ms - md) + C1) / (0.5 * (ms + md) + C1)
    l *= cs
    return _mean(l), _mean(cs)


def _mean(x):
    return x.mean(axis=(1, 2, 3), dtype=np.float64)


def ms_ssim(a, b):
    """Similarity of each pair: the product of cs^w over the four finer scales and ssim^w of the coarsest.

    uint8 [N, C, R, R] each, R >= 16 -> float64 [N].
    """
    # Moments of values around 0 lose less to cancellation in float32; ssim adds the 127.5 to the means again.
    a, b = (x.astype(np.float32) - 127.5 for x in (a, b))
    factors = []
    for i in range(len(WEIGHTS)):
        if i > 0:
            a, b = halve(a), halve(b)
        full, cs = ssim(a, b)
        factors.append(cs if i < len(WEIGHTS) - 1 else full)
    return np.prod([np.maximum(f, 0) ** w for f, w in zip(factors, WEIGHTS, strict=True)], axis=0)


class MSSSIM(Metric):
    """Mean MS-SSIM of the pairs (0, 1), (2, 3), ... of the images fed. Memory: that of one minibatch."""

    name, sees, columns = 'msssim', 'images', ('MS-SSIM',)
    axis = 'similarity of pairs\n(lower is more varied)'
    default_count = 20000

    def __init__(self, threads=None):
        self._threads = threads or os.cpu_count()

    def begin(self, kind):
        """Starts a set; its kind makes no difference here."""
        self._values = []
        self._left = None

    def feed(self, images):
        """Adds uint8 [N, C, R, R]; an odd one waits for the next call."""
        if min(images.shape[2:]) < 16:
            raise ValueError('MS-SSIM needs images of at least 16x16 pixels, '
                             f'found {images.shape[2]}x{images.shape[3]}; leave it out of --metrics.')
        if self._left is not None:
            images = np.concatenate([self._left, images])
        self._left = images[-1:] if len(images) % 2 else None
        a, b = images[0:len(images) // 2 * 2:2], images[1::2]
        step = max(_PIXELS_PER_TASK // images[0].size, 1)
        with ThreadPoolExecutor(self._threads) as pool:
            self._values += pool.map(lambda i: ms_ssim(a[i:i + step], b[i:i + step]), range(0, len(a), step))

    def end(self):
        """-> one float per column. ValueError if fewer than two images came."""
        if not self._values:
            raise ValueError('MS-SSIM needs at least two images; raise --num_images.')
        return [float(np.mean(np.concatenate(self._values)))]
