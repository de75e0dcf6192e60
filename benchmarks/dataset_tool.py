"""Times building a data set from PNG files and reading it for training, and measures the memory of both.

    python benchmarks/dataset_tool.py [--num_workers=2]

The pictures are drawn first: smooth shapes and a little noise, about as hard to decode as photographs. Every measurement
runs in a process of its own, as a user's command does. Prints images/s, their share of the limit (decoding the same files
with Pillow in as many processes and doing nothing else; reading the same bytes front to back), processor time per image
(which other programs at work disturb less) and peak memory, then one line of JSON.
"""
import os

import _root  # noqa: F401  isort: skip
import runtime  # isort: skip - before TensorFlow.
import dataclasses
import json
import multiprocessing
import resource
import tempfile
import time

import numpy as np
from absl import flags
from machine import in_own_process, numpy_sgemm_gflops
from PIL import Image

from data.build import build
from data.folders import from_images

flags.DEFINE_integer('num_workers', None, 'Worker processes of the builds (default: one per core).')
flags.DEFINE_string('measure', None, 'Internal: the one measurement that this process makes, as JSON.')

SETS = [(64, 2000), (256, 300)]  # Resolution and number of the pictures.
NUM_BATCHES = 1024


def draw_pictures(folder, resolution, count):
    """Writes `count` PNG files."""
    random = np.random.RandomState(0)
    os.makedirs(folder)
    for i in range(count):
        coarse = Image.fromarray(random.randint(256, size=[8, 8, 3]).astype(np.uint8))
        smooth = np.asarray(coarse.resize((resolution, resolution), Image.Resampling.BICUBIC), np.float32)
        noisy = smooth + random.normal(scale=4, size=smooth.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(os.path.join(folder, f'{i:06d}.png'))


def clocks():
    """Seconds by the clock, and of processor time of this process and of its workers that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in usage)])


def measure_build(target, folder, times, num_workers):
    """Times of building from the pictures of a folder, `times` over, the start of the workers included."""
    start = clocks()
    source = from_images(folder)
    build(target, dataclasses.replace(source, items=source.items * times), num_workers=num_workers)
    return clocks() - start


def measure_read(path, level, minibatch, rounds):
    """Times of reading NUM_BATCHES minibatches; the images are looked at, as a device's copy would."""
    from data.pipeline import batches
    from data.tfrecords import Dataset
    elements = iter(batches(Dataset(path), level, minibatch, rounds, position=0, seed=0, mirror=True))
    next(elements)
    start = clocks()
    for _ in range(NUM_BATCHES // rounds):
        np.asarray(next(elements)['images']).sum()
    return clocks() - start


def checksum_times(path, level):
    """Microseconds per image of random access alone, with the checksums of the records and without, turn by turn."""
    from data import records
    from data.tfrecords import Dataset
    dataset, check, random = Dataset(path), records.are_intact, np.random.RandomState(0)
    indices, times = random.randint(dataset.num_images, size=[50, 256]), [[], []]
    try:
        for rows in indices:
            for found, intact in zip(times, (check, lambda rows: True), strict=True):
                records.are_intact, start = intact, time.perf_counter()
                dataset.read(level, rows)
                found.append(1e6 * (time.perf_counter() - start) / len(rows))
    finally:
        records.are_intact = check
    return [float(np.median(found)) for found in times]


def decode(path):
    """Decodes a file with Pillow."""
    with Image.open(path) as image:
        image.load()


def measure_decode(target, folder, times, num_workers):
    """Times of decoding what `measure_build` builds from, and nothing else."""
    paths = sorted(entry.path for entry in os.scandir(folder)) * times
    start = clocks()
    with multiprocessing.Pool(num_workers) as pool:
        pool.map(decode, paths, chunksize=16)
    return clocks() - start


def measure_scan(path, level, minibatch, rounds):
    """Times of reading as many bytes as `measure_read` does, front to back, and looking at them."""
    from data.tfrecords import Dataset, level_files
    dataset = Dataset(path)
    name, = level_files(os.path.basename(path), (dataset.resolution >> level).bit_length() - 1)
    start = clocks()
    for _ in range(max(minibatch * NUM_BATCHES // dataset.num_images, 1)):
        np.fromfile(os.path.join(path, name), np.uint8).sum()
    return clocks() - start


MEASUREMENTS = {'build': measure_build, 'decode': measure_decode, 'read': measure_read, 'scan': measure_scan}


def measure(name, *arguments):
    """Seconds, processor seconds, peak MiB of the main process and of its largest worker, measured in an own process."""
    *_, line = in_own_process(__file__, f'--measure={json.dumps([name, *arguments])}')
    return json.loads(line)


def main(argv):
    if flags.FLAGS.measure:
        name, *arguments = json.loads(flags.FLAGS.measure)
        times = MEASUREMENTS[name](*arguments)
        of_workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 if name in ('build', 'decode') else None
        print(json.dumps([*times, runtime.peak_memory_mib(), of_workers]))
        return
    results, sgemm = [], numpy_sgemm_gflops()
    print(f'sgemm {sgemm:.0f} GFLOP/s in NumPy')

    def report(what, images, limit, *measurement):
        seconds, processor, main_peak, worker_peak = measure(*measurement)
        share = measure(limit, *measurement[1:])[0] / seconds
        results.append({'what': what, 'images_per_second': images / seconds, 'share': share, 'sgemm_gflops': sgemm,
                        'processor_ms': 1000 * processor / images, 'peak_mib': main_peak, 'worker_peak_mib': worker_peak})
        print(f'{what:40} {images / seconds:8.0f} images/s, {share:4.2f} of the limit, {1000 * processor / images:6.3f} ms, '
              f'{main_peak:4.0f} MiB' + (f', largest worker {worker_peak:4.0f} MiB' if worker_peak else ''), flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for resolution, count in SETS:
            pictures, target = (os.path.join(folder, kind, str(resolution)) for kind in ('pictures', 'sets'))
            draw_pictures(pictures, resolution, count)
            for times in (1, 4):  # Memory must not depend on the number of pictures.
                report(f'build from {times * count} PNGs of {resolution}x{resolution}', times * count,
                       'decode', 'build', f'{target}-{times}', pictures, times, flags.FLAGS.num_workers)
            for side in (4, resolution):
                report(f'read {NUM_BATCHES} batches of 16 at {side}x{side}', 16 * NUM_BATCHES,
                       'scan', 'read', f'{target}-1', (resolution // side).bit_length() - 1, 16, 4)
                checked, unchecked = checksum_times(f'{target}-1', (resolution // side).bit_length() - 1)
                results.append({'what': f'access at {side}x{side}', 'checked_us': checked, 'unchecked_us': unchecked})
                print(f'  access alone: {checked:.2f} us per image with checksums, {unchecked:.2f} without', flush=True)
    print(json.dumps(results))


if __name__ == '__main__':
    runtime.run(main)
