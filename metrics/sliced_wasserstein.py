"""Sliced Wasserstein distance between the local structure of two sets of images (paper, section 5)."""
import os
import queue
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from metrics.metric import Metric

PATCH = 7               # Side of a neighbourhood in pixels.
PATCHES_PER_IMAGE = 128
REPEATS = 4
DIRECTIONS = 128        # Per repeat.
LOWEST_RESOLUTION = 16

_PIXELS_PER_TASK = 2 ** 19       # 2 MB: fits a cache; smaller steps wait for the GIL.
_PROJECTIONS_AT_ONCE = 2 ** 27   # 0.5 GB per set, shared by the threads.


def resolutions(resolution):
    """Lists the pyramid's resolutions, highest first: R, R/2, ..., 16."""
    if resolution < LOWEST_RESOLUTION or resolution & (resolution - 1):
        raise ValueError(f'SWD needs images of a power of two from {LOWEST_RESOLUTION}x{LOWEST_RESOLUTION} pixels on, '
                         f'found {resolution}x{resolution}; leave it out of --metrics.')
    return [resolution >> level for level in range((resolution // LOWEST_RESOLUTION).bit_length())]


def memory_needed(num_images, resolution):
    """Bytes of the descriptors of two sets, the most part of what a comparison holds in memory."""
    return 2 * num_images * PATCHES_PER_IMAGE * 4 * 3 * PATCH ** 2 * len(resolutions(resolution))


def _check_memory(need):
    """Asking for too much ends in a killed process after hours instead of an error: refuse before."""
    total = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    if need > total:
        raise ValueError(f'SWD needs {need / 1e9:.0f} GB for the descriptors of two sets, this machine has '
                         f'{total / 1e9:.0f} GB of memory; keep them on disk with --scratch=FOLDER, or lower --num_images.')


def pyr_down(images):
    """Blurs with [1, 4, 6, 4, 1]^2 / 256, borders mirrored, and keeps every second pixel. [..., H, W]."""
    return _halve(_halve(images, axis=-2), axis=-1)


def pyr_up(images):
    """Spreads pixels to every second place among zeros, blurs as `pyr_down` does, times 4. [..., H, W]."""
    return _double(_double(images, axis=-1), axis=-2)


def _halve(images, axis):
    x = images.swapaxes(axis, 0)
    even, odd = x[0::2], x[1::2]
    y = 6 * even
    y += 4 * odd
    y[1:] += 4 * odd[:-1]
    y[0] += 4 * odd[0]
    y[1:] += even[:-1]
    y[0] += even[1]
    y[:-1] += even[1:]
    y[-1] += even[-1]
    y *= 1 / 16
    return y.swapaxes(axis, 0)


def _double(images, axis):
    x = images.swapaxes(axis, 0)
    shape = list(images.shape)
    shape[axis] *= 2
    doubled = np.empty(shape, images.dtype)
    y = doubled.swapaxes(axis, 0)
    even = 6 * x
    even[1:] += x[:-1]
    even[0] += x[1]
    even[:-1] += x[1:]
    even[-1] += x[-1]     # Beyond the last pixel lies the mirrored zero's neighbour: the last pixel again.
    np.multiply(even, 1 / 8, out=y[0::2])
    np.add(x[:-1], x[1:], out=y[1:-1:2])
    y[1:-1:2] *= 1 / 2
    y[-1] = x[-1]
    return doubled


def laplacian_pyramid(images, num_levels):
    """Splits images into what each halving loses, and the rest. [N, C, H, W] -> arrays, highest first."""
    levels = []
    current = np.asarray(images, np.float32)
    for _ in range(num_levels - 1):
        lower = pyr_down(current)
        levels.append(current - pyr_up(lower))
        current = lower
    return [*levels, current]


def reconstruct(pyramid):
    """Inverts `laplacian_pyramid`."""
    images = pyramid[-1]
    for level in reversed(pyramid[:-1]):
        images = level + pyr_up(images)
    return images


def draw_centers(random, num_images, resolution):
    """Draws x, then y, of the neighbourhoods in each image. -> int [num_images, PATCHES_PER_IMAGE] each."""
    half = PATCH // 2
    shape = (num_images, PATCHES_PER_IMAGE)
    x = random.randint(half, resolution - half, size=shape)
    return x, random.randint(half, resolution - half, size=shape)


def gather(images, x, y):
    """Cuts out the neighbourhoods around (x, y). [N, C, H, W] -> [N * PATCHES, C, x offset, y offset]."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(2, 3)).swapaxes(4, 5)
    n = np.arange(len(images))[:, None]
    patches = windows[n, :, y - PATCH // 2, x - PATCH // 2]  # [N, PATCHES, C, 7, 7]
    return patches.reshape(-1, *patches.shape[2:])


def draw_directions(random, size):
    """Draws DIRECTIONS random unit vectors. -> float32 [size, DIRECTIONS]."""
    directions = random.randn(size, DIRECTIONS)
    directions /= np.sqrt(np.sum(np.square(directions), axis=0, keepdims=True))
    return directions.astype(np.float32)


class Descriptors:
    """The neighbourhoods of a set of images at one level, normalized per channel by own mean and stddev.

    They are kept as they came, 4 * C * 49 bytes each, in memory or, where `scratch` names a folder, in a
    nameless temporary file there; the normalization is folded into the directions they are projected on.
    """

    def __init__(self, scratch=None):
        self.count = 0
        self._sums = 0            # float64 [C]
        self._squares = 0         # float64 [C]
        self._blocks = []
        self._file = tempfile.TemporaryFile(dir=scratch) if scratch else None  # noqa: SIM115 - lives as long as self

    def append(self, patches):
        """Adds float32 [n, C, 7, 7]."""
        self.count += len(patches)
        x = patches.reshape(*patches.shape[:2], -1)
        self._sums += x.sum(axis=2).sum(axis=0, dtype=np.float64)  # float32 is enough within a patch, not over all.
        self._squares += np.einsum('ncp,ncp->nc', x, x).sum(axis=0, dtype=np.float64)
        rows = patches.reshape(len(patches), -1)
        if self._file:
            self._file.write(rows.data)
        else:
            self._blocks.append(rows)

    @property
    def size(self):
        """Numbers in a descriptor: C * 49."""
        return len(self._sums) * PATCH ** 2

    def statistics(self):
        """-> mean and stddev per channel, float64 [C] each."""
        n = self.count * PATCH ** 2
        mean = self._sums / n
        return mean, np.sqrt(np.maximum(self._squares / n - mean ** 2, 0))

    def project(self, directions, out):
        """Projects the normalized descriptors. float32 [C * 49, k] -> float32 [k, count], in `out`."""
        mean, std = (np.repeat(s, PATCH ** 2)[:, None] for s in self.statistics())
        weights = directions / np.where(std > 0, std, 1)
        offset = np.sum(weights * mean, axis=0)[:, None].astype(np.float32)
        weights = weights.T.astype(np.float32)
        start = 0
        for rows in self._rows():
            part = out[:, start:start + len(rows)]
            np.matmul(weights, rows.T, out=part)
            part -= offset
            start += len(rows)
        return out

    def _rows(self):
        if self._file is None:
            return self._blocks
        self._file.flush()
        rows = np.memmap(self._file, np.float32, 'r', shape=(self.count, self.size))
        return (rows[i:i + 8192] for i in range(0, self.count, 8192))


def distance(a, b, random, threads=None):
    """Mean |sorted projections of a - of b| over all directions; a, b: equally many `Descriptors`."""
    threads = threads or os.cpu_count()
    at_once = int(np.clip(_PROJECTIONS_AT_ONCE // (a.count * threads), 8, 64))
    directions = np.concatenate([draw_directions(random, a.size) for _ in range(REPEATS)], axis=1)
    buffers = queue.SimpleQueue()  # Of the threads: fresh memory for each task would cost a tenth of all.
    for _ in range(threads):
        buffers.put(np.empty([2, at_once, a.count], np.float32))

    def differences(start):
        some = directions[:, start:start + at_once]
        pair = buffers.get()
        p, q = (d.project(some, out=out[:some.shape[1]]) for d, out in zip((a, b), pair, strict=True))
        p.sort(axis=1)
        q.sort(axis=1)
        p -= q
        means = np.abs(p, out=p).mean(axis=1)  # Along a contiguous axis NumPy sums in pairs: float32 is enough.
        buffers.put(pair)
        return means

    # One thread per task from product to sum: those of BLAS would wait for one another after every block.
    with threadpool_limits(1, 'blas'), ThreadPoolExecutor(threads) as pool:
        means = list(pool.map(differences, range(0, directions.shape[1], at_once)))
    return float(np.mean(np.concatenate(means), dtype=np.float64))


class SlicedWasserstein(Metric):
    """SWD x 1000 per pyramid level, highest first, and their average: reals against fakes.

    Call begin, feed (as often as needed) and end for 'reals', then for each set of 'fakes'. `random` is a
    RandomState of NumPy; it draws centres level by level as images are fed, and directions at each end. The
    attribute may be replaced before a set.

    Descriptors of one set take 75 kB per image and level: 1.2 GB per level of 16384 images, 8.6 GB for those
    of 1024x1024, and a comparison needs two sets, plus 1 GB for projections. `scratch` names a folder for
    temporary files that hold them instead, with the same values; without it, sets of `num_images`, if told, that
    would not fit are a ValueError.
    """

    name, sees = 'swd', 'images'
    axis = 'sliced Wasserstein distance x 1000\n(lower is better)'
    default_count = 16384
    needs_reals = other_reals = True
    takes = ('resolution', 'random', 'scratch', 'num_images')

    def __init__(self, resolution, random, scratch=None, threads=None, num_images=0):
        self.resolutions = resolutions(resolution)
        if not scratch:
            _check_memory(memory_needed(num_images, resolution))
        self.columns = [f'SWDx1e3_{r}' for r in self.resolutions] + ['SWDx1e3_avg']
        self.random = random
        self._scratch = scratch
        self._threads = threads or os.cpu_count()
        self._sets = {}

    def begin(self, kind):
        """Starts a set: 'reals' or 'fakes'."""
        self._kind = kind
        self._sets[kind] = [Descriptors(self._scratch) for _ in self.resolutions]

    def feed(self, images):
        """Adds uint8 [N, 3, R, R]."""
        centers = [draw_centers(self.random, len(images), r) for r in self.resolutions]
        step = max(_PIXELS_PER_TASK // images[0].size, 1)

        shape = [len(images) * PATCHES_PER_IMAGE, 3, PATCH, PATCH]
        patches = [np.empty(shape, np.float32) for _ in self.resolutions]

        def task(start):
            part = slice(start, start + step)
            rows = slice(start * PATCHES_PER_IMAGE, (start + step) * PATCHES_PER_IMAGE)
            pyramid = laplacian_pyramid(images[part], len(self.resolutions))
            for out, level, (x, y) in zip(patches, pyramid, centers, strict=True):
                out[rows] = gather(level, x[part], y[part])

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(task, range(0, len(images), step)))
            list(pool.map(Descriptors.append, self._sets[self._kind], patches))

    def end(self):
        """Finishes the set. -> the distances to the reals: one float per column."""
        reals, fakes = self._sets['reals'], self._sets[self._kind]
        if reals is fakes:
            # A set is at distance 0 from itself; the reference measures it, so draw its directions too.
            for _ in range(REPEATS * len(reals)):
                draw_directions(self.random, 3 * PATCH ** 2)
            return [0.0] * len(self.columns)
        counts = [descriptors[0].count // PATCHES_PER_IMAGE for descriptors in (reals, fakes)]
        if counts[0] != counts[1]:
            raise ValueError(f'SWD compares equally many images, found {counts[0]} reals and {counts[1]} '
                             'fakes; choose --num_images accordingly.')
        levels = zip(reals, fakes, strict=True)
        values = [1e3 * distance(a, b, self.random, self._threads) for a, b in levels]
        del self._sets['fakes']
        return [*values, sum(values) / len(values)]
