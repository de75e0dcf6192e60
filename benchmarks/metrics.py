"""Times SWD and MS-SSIM against straightforward scipy.ndimage versions of the same values.

    python benchmarks/metrics.py [--num_images=1024] [--resolution=128]

Prints both times, their ratio, the largest relative difference of the values, the share of plain matrix products
(2048^3, float32, NumPy, same process) that the metric's own products and filters run at, each separable filter counted by
its taps, and peak memory; then one line of JSON. SWD sorts for most of its time, which no product counts.
"""
import os

import _root  # noqa: F401  isort: skip
import runtime  # isort: skip - before NumPy, whose sort it sets.
import json
import time

import numpy as np
from absl import flags
from machine import numpy_sgemm_gflops
from scipy import ndimage

from metrics import ms_ssim
from metrics import sliced_wasserstein as swd

FLAGS = flags.FLAGS
flags.DEFINE_integer('num_images', 1024, 'Images in each of the two sets.')
flags.DEFINE_integer('resolution', 128, 'Their height and width.')

KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, None].astype(np.float32) / 256


def discs(num_images, resolution, seed):
    """Images of discs of random place, size and colour, with noise. -> uint8 [N, 3, R, R]."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:resolution, :resolution].astype(np.float32)
    images = np.empty([num_images, 3, resolution, resolution], np.uint8)
    for image in images:
        cx, cy, radius = random.uniform(0.1, 0.9, 3) * resolution
        disc = np.clip(radius / 2 - np.hypot(x - cx, y - cy), 0, 1)
        noise = random.normal(0, 8, image.shape)
        image[:] = np.clip(random.uniform(0, 255, [3, 1, 1]) * disc + random.uniform(0, 128) + noise, 0, 255)
    return images


def straightforward_swd(reals, fakes, random, minibatch):
    """SWD as its description reads: n-d convolutions, index arrays, whole-array normalization and sorts."""
    resolutions = swd.resolutions(reals.shape[2])

    def descriptors(images):
        levels = [[] for _ in resolutions]
        for i in range(0, len(images), minibatch):
            current = images[i:i + minibatch].astype(np.float32)
            for level, r in enumerate(resolutions):
                x, y = (random.randint(3, r - 3, (len(current) * 128, 1, 1, 1)) for _ in range(2))
                detail = current
                if r > 16:
                    lower = ndimage.convolve(current, KERNEL, mode='mirror')[:, :, ::2, ::2]
                    spread = np.zeros_like(current)
                    spread[:, :, ::2, ::2] = lower
                    detail = current - ndimage.convolve(spread, KERNEL * 4, mode='mirror')
                    current = lower
                n = (np.arange(len(x)) // 128)[:, None, None, None]
                c, dx, dy = np.ogrid[0:3, -3:4, -3:4]
                levels[level].append(detail[n, c, y + dy, x + dx])
        levels = [np.concatenate(level) for level in levels]
        for d in levels:
            d -= np.mean(d, axis=(0, 2, 3), keepdims=True, dtype=np.float64)
            d /= np.sqrt(np.mean(np.square(d), axis=(0, 2, 3), keepdims=True, dtype=np.float64))
        return [d.reshape(len(d), -1) for d in levels]

    def distance(a, b):
        results = []
        for _ in range(4):
            directions = random.randn(a.shape[1], 128)
            directions /= np.sqrt(np.sum(np.square(directions), axis=0))
            p, q = (np.sort(d @ directions.astype(np.float32), axis=0) for d in (a, b))
            results.append(np.mean(np.abs(p - q)))
        return 1e3 * np.mean(results)

    a = descriptors(reals)
    for level in a:
        distance(level, level)
    return [distance(*pair) for pair in zip(a, descriptors(fakes), strict=True)]


def fast_swd(reals, fakes, random, minibatch):
    """The same by this project's metric."""
    metric = swd.SlicedWasserstein(reals.shape[2], random)
    for kind, images in ('reals', reals), ('fakes', fakes):
        metric.begin(kind)
        for i in range(0, len(images), minibatch):
            metric.feed(images[i:i + minibatch])
        values = metric.end()
    return values[:-1]


def straightforward_ms_ssim(images, minibatch):
    """MS-SSIM as its formula reads, with one n-d correlation per local moment."""
    c1, c2 = 2.55 ** 2, 7.65 ** 2

    def ssim(a, b):
        window = ms_ssim.gaussian_window(*a.shape[2:])
        kernel = np.outer(window, window)[None, None]
        valid = tuple(slice((len(window)) // 2, n + 1 - (len(window) + 1) // 2 or None) for n in a.shape[2:])

        def mean(x):
            return ndimage.correlate(x, kernel)[:, :, valid[0], valid[1]]

        ma, mb = mean(a), mean(b)
        cs = (2 * (mean(a * b) - ma * mb) + c2) / (mean(a * a) - ma * ma + mean(b * b) - mb * mb + c2)
        full = (2 * ma * mb + c1) / (ma * ma + mb * mb + c1) * cs
        return full.mean((1, 2, 3)), cs.mean((1, 2, 3))

    values = []
    for i in range(0, len(images), minibatch):
        a, b = images[i:i + minibatch:2].astype(np.float64), images[i + 1:i + minibatch:2].astype(np.float64)
        factors = []
        for scale in range(5):
            full, cs = ssim(a, b)
            factors.append(np.maximum(full if scale == 4 else cs, 0) ** ms_ssim.WEIGHTS[scale])
            a, b = (ndimage.convolve(x, np.full([1, 1, 2, 2], 0.25))[:, :, ::2, ::2] for x in (a, b))
        values.append(np.prod(factors, axis=0))
    return [np.mean(np.concatenate(values))]


def fast_ms_ssim(images, minibatch):
    """The same by this project's metric."""
    metric = ms_ssim.MSSSIM()
    metric.begin('fakes')
    for i in range(0, len(images), minibatch):
        metric.feed(images[i:i + minibatch])
    return metric.end()


def compare(name, fast, straightforward, gflop, sgemm_gflops):
    """Runs both once, prints and returns times, ratios and the largest relative difference."""
    seconds, cpu_seconds, values = [], [], []
    for run in fast, straightforward:
        if run is straightforward:
            peak = runtime.peak_memory_mib()  # Of ours, which runs first.
        start, cpu_start = time.perf_counter(), time.process_time()
        values.append(np.array(run()))
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)  # Tells more where others use the machine too.
    difference = np.max(np.abs(values[0] / values[1] - 1))
    ratio, cpu_ratio = seconds[1] / seconds[0], cpu_seconds[1] / cpu_seconds[0]
    print(f'{name}: {seconds[0]:.2f} s ({cpu_seconds[0]:.2f} s CPU), straightforward {seconds[1]:.2f} s '
          f'({cpu_seconds[1]:.2f} s CPU): {ratio:.1f} times faster ({cpu_ratio:.1f} times less CPU), '
          f'values within {difference:.1e}; share {gflop / seconds[0] / sgemm_gflops:.2f} of sgemm {sgemm_gflops:.0f}, '
          f'peak memory {peak:.0f} MiB', flush=True)
    return {f'{name}_share': gflop / seconds[0] / sgemm_gflops, f'{name}_peak_memory_mib': peak,
            f'{name}_seconds': round(seconds[0], 3), f'{name}_straightforward_seconds': round(seconds[1], 3),
            f'{name}_ratio': round(ratio, 2), f'{name}_cpu_ratio': round(cpu_ratio, 2),
            f'{name}_relative_difference': float(difference)}


def main(_):
    n, r, minibatch = FLAGS.num_images, FLAGS.resolution, 64
    reals, fakes = discs(n, r, seed=0), discs(n, r, seed=1)
    sgemm_gflops = numpy_sgemm_gflops()
    values = 3 * r * r * 4 / 3 * n / 1e9  # Of all levels of one set, in billions.
    projections = 2 * len(swd.resolutions(r)) * 128 * n * 2 * 147 * 512 / 1e9
    report = {'num_images': n, 'resolution': r, 'cpus': os.cpu_count(), 'numpy': np.__version__,
              'sgemm_gflops': sgemm_gflops}
    report |= compare('SWD', lambda: fast_swd(reals, fakes, np.random.RandomState(123), minibatch),
                      lambda: straightforward_swd(reals, fakes, np.random.RandomState(123), minibatch),
                      projections + 2 * values * 2 * 2 * 10, sgemm_gflops)
    report |= compare('MS-SSIM', lambda: fast_ms_ssim(fakes, minibatch),
                      lambda: straightforward_ms_ssim(fakes, minibatch), values / 2 * 5 * 2 * 22, sgemm_gflops)
    print(json.dumps(report))


if __name__ == '__main__':
    runtime.run(main)
