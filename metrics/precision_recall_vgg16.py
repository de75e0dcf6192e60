"""Precision and recall as StyleGAN2 measures them: of VGG16's features, in float16 (Kynkäänniemi et al., 2019)."""
import numpy as np

from metrics.collected import Collected

_ROWS = 2048  # Distances to the whole other set computed at once: 0.8 GB for 50000 images.


def squared_distances(a, b):
    """max((|a_i|^2 - 2 a_i b_j) + |b_j|^2, 0). float16 [N, D], [M, D] -> float16 [N, M]

    Squares are float16, their sums and the products float32, rounded to float16; so is each step of the sum.
    """
    with np.errstate(over='ignore', invalid='ignore'):  # Beyond 65504: as in the reference no neighbour of anything.
        a2, b2 = (np.square(x).sum(axis=1, dtype=np.float32).astype(np.float16) for x in (a, b))
        products = (a.astype(np.float32) @ b.astype(np.float32).T).astype(np.float16)
        return np.maximum((a2[:, None] - np.float16(2) * products) + b2, np.float16(0))


def squared_radii(x, k=3):
    """Squared distance of each point to its k-th nearest other point. float16 [N, D], N > k -> float16 [N]"""
    if len(x) <= k:
        raise ValueError(f'precision and recall need more than {k} images of each set, found {len(x)}; raise --num_images.')
    return np.concatenate([np.partition(squared_distances(x[i:i + _ROWS], x), k, axis=1)[:, k]
                           for i in range(0, len(x), _ROWS)])


def inside(points, centers, radii):
    """Which points lie within the radius of any center. float16 [N, D], [M, D], [M] -> bool [N]"""
    return np.concatenate([(squared_distances(points[i:i + _ROWS], centers) <= radii).any(axis=1)
                           for i in range(0, len(points), _ROWS)])


class PrecisionRecallVGG16(Collected):
    """Precision and recall of each set against the reals, which come first."""

    name, sees, columns = 'pr_vgg16', 'images', ('Precision_VGG16', 'Recall_VGG16')
    axis = 'share of images\n(higher is better)'
    default_count = 50000
    takes = ('vgg16',)
    needs_reals = True
    no_repeats = True  # The distance of an image to its equal is 0: it would have no neighbourhood.

    def __init__(self, vgg16, k=3):
        self._vgg16, self._k = vgg16, k

    def feed(self, images):
        """Adds uint8 [N, 3, R, R]."""
        super().feed(self._vgg16.describe(images).astype(np.float16))

    def measure(self, kind, features):
        """-> one float per column."""
        radii = squared_radii(features, self._k)
        if kind == 'reals':
            self._reals, self._radii = features, radii
        precise, recalled = inside(features, self._reals, self._radii), inside(self._reals, features, radii)
        return [float(np.mean(precise)), float(np.mean(recalled))]
