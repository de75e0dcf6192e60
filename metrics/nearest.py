"""Which training images are nearest to generated ones (paper, figure 10): does the network copy?"""
import numpy as np

from data.tfrecords import Dataset
from metrics.precision_recall import squared_distances


def pixels(images):
    """Pixel values in 0..1 as rows. uint8 [N, C, r, r] -> float32 [N, C * r * r]"""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def features(images, size=16):
    """A downscaled feature: box mean to `size` pixels, gray, zero mean and unit stddev per image.

    Blind to brightness, contrast and detail. uint8 [N, C, r, r] -> float32 [N, size * size]
    """
    n, c, r, _ = images.shape
    size = min(size, r)
    small = images.reshape(n, c, size, r // size, size, r // size).mean(axis=(1, 3, 5), dtype=np.float32).reshape(n, -1)
    small -= small.mean(axis=1, keepdims=True)
    return small / (small.std(axis=1, keepdims=True) + 1e-3)


class Nearest:
    """Collects the k nearest of a stream of rows to each query row, by Euclidean distance."""

    def __init__(self, queries, k):
        self.queries = queries
        self.k = k
        self.count = 0  # Rows seen.
        self.squares = np.zeros([len(queries), 0], np.float32)  # [n, <= k], ascending
        self.indices = np.zeros([len(queries), 0], np.int64)

    def feed(self, rows):
        """Adds the next rows of the stream."""
        squares = squared_distances(self.queries, rows)
        indices = np.broadcast_to(np.arange(self.count, self.count + len(rows)), squares.shape)
        squares = np.concatenate([self.squares, squares], axis=1)
        indices = np.concatenate([self.indices, indices], axis=1)
        order = np.argsort(squares, axis=1, kind='stable')[:, :self.k]
        self.squares, self.indices = (np.take_along_axis(a, order, axis=1) for a in (squares, indices))
        self.count += len(rows)


def nearest_images(pictures, folder, resolution, k, progress=iter):
    """The k nearest images of a data set by pixels, then k by features. uint8 [n, R, R, C] -> uint8 [n, 2k, R, R, C]

    Pixels are compared at `resolution`, or at R if that is lower.
    """
    n, size, _, channels = pictures.shape
    dataset, shown = Dataset(folder, min(size, resolution)), Dataset(folder, size)
    if dataset.num_channels != channels:
        raise ValueError(f'{folder} holds images of {dataset.num_channels} channels, the network makes {channels}.')
    box = size // dataset.resolution
    queries = pictures.reshape(n, size // box, box, size // box, box, channels).mean(axis=(2, 4))
    queries = np.rint(queries).astype(np.uint8).transpose(0, 3, 1, 2)
    found = np.concatenate(nearest(queries, dataset, k, progress=progress), axis=1)  # [n, 2k]
    return shown.read(0, found.reshape(-1)).transpose(0, 2, 3, 1).reshape(n, -1, size, size, channels)


def nearest(queries, dataset, k, minibatch=256, progress=iter):
    """The k nearest images of a data set, by pixels and by features, to queries uint8 [n, C, r, r].

    -> (indices by pixel distance, indices by feature distance), each [n, k]; `dataset` has the queries' resolution.
    """
    by = [(describe, Nearest(describe(queries), k)) for describe in (pixels, features)]
    for start in progress(range(0, dataset.num_images, minibatch)):
        images = dataset.read(0, np.arange(start, min(start + minibatch, dataset.num_images)))
        for describe, search in by:
            search.feed(describe(images))
    return tuple(search.indices for _, search in by)
