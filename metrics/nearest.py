"""Which training images are nearest to generated ones (paper, figure 10): does the network copy?"""
import numpy as np

from data.tfrecords import Dataset
from metrics.lpips import unit
from metrics.precision_recall import squared_distances
from metrics.vgg16 import SMALLEST


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


def vgg16_features(vgg16):
    """A function that describes images as figure 10 does: by VGG16's activations after its five blocks.

    They have length 1 at each pixel and count by 1 / pixels of their layer, so that squared distances are LPIPS with all
    weights 1: large activations do not outweigh the others. uint8 [N, C, r, r] -> float32 [N, features of all layers]
    """
    def describe(images):
        if min(images.shape[2:]) < SMALLEST:
            raise ValueError(f'images are compared at {images.shape[2]}x{images.shape[3]}, but VGG16 needs {SMALLEST}x'
                             f'{SMALLEST} or more; raise --nearest_resolution, or leave out --nearest_features=vgg.')
        layers = [unit(x).numpy() for x in vgg16.features(images.transpose(0, 2, 3, 1))]
        return np.concatenate([x.reshape(len(x), -1) / np.sqrt(x[0, ..., 0].size, dtype=np.float32) for x in layers], axis=1)
    return describe


def nearest_images(pictures, folder, resolution, k, progress=iter, describe=features, crop=None, minibatch=256):
    """The k nearest images of a data set by pixels, then k by features. uint8 [n, R, R, C] -> uint8 [n, 2k, R, R, C]

    They are compared at `resolution`, or at R if that is lower; of them the part that `crop` leaves of [N, r, r, C].
    """
    n, size, _, channels = pictures.shape
    dataset, shown = Dataset(folder, min(size, resolution)), Dataset(folder, size)
    if dataset.num_channels != channels:
        raise ValueError(f'{folder} holds images of {dataset.num_channels} channels, the network makes {channels}.')
    box = size // dataset.resolution
    queries = pictures.reshape(n, size // box, box, size // box, box, channels).mean(axis=(2, 4))
    queries = np.rint(queries).astype(np.uint8).transpose(0, 3, 1, 2)
    found = np.concatenate(nearest(queries, dataset, k, minibatch, progress, describe, crop), axis=1)  # [n, 2k]
    return shown.read(0, found.reshape(-1)).transpose(0, 2, 3, 1).reshape(n, -1, size, size, channels)


def nearest(queries, dataset, k, minibatch=256, progress=iter, describe=features, crop=None):
    """The k nearest images of a data set, by pixels and by features, to queries uint8 [n, C, r, r].

    -> (indices by pixel distance, indices by feature distance), each [n, k]; `dataset` has the queries' resolution, and
    `crop` takes the part [N, h, w, C] of images [N, r, r, C] that is compared.
    """
    def seen(images):
        return images if crop is None else crop(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)

    size, queries = queries.shape[-1], seen(queries)
    if not queries.size:
        raise ValueError(f'of {size}x{size} the crop leaves nothing; raise --nearest_resolution, or crop no face.')
    by = [(function, Nearest(function(queries), k)) for function in (pixels, describe)]
    for start in progress(range(0, dataset.num_images, minibatch)):
        images = seen(dataset.read(0, np.arange(start, min(start + minibatch, dataset.num_images))))
        for function, search in by:
            search.feed(function(images))
    return tuple(search.indices for _, search in by)
