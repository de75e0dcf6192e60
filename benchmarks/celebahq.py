"""Times create_celebahq, deltas included: seconds per image and step, images per second, and memory, on drawn faces.

    python benchmarks/celebahq.py [--num_faces=24] [--num_workers=2] [--celeba_dir=... --delta_dir=...]

Seconds of a step are processor time, which other programs at work disturb less than they do the images per second.
Prints a table, the speed of the blur against scipy.ndimage.gaussian_filter, and one line of JSON.
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import runtime  # isort: skip - before NumPy, whose sort it sets.
import collections
import contextlib
import json
import resource
import subprocess
import tempfile
import time

import numpy as np
import scipy.ndimage
from absl import flags

from data import celebahq, deltas, faces, toyfaces
from data.writer import Writer

FLAGS = flags.FLAGS
flags.DEFINE_integer('num_faces', 24, 'Images of the larger of two builds; the smaller has a third.')
flags.DEFINE_integer('num_workers', 2, 'Worker processes of the builds.')
flags.DEFINE_string('celeba_dir', None, 'Photographs and landmarks to use instead of drawn faces.')
flags.DEFINE_string('delta_dir', None, 'Their deltas.')

REFERENCE_RATE = 0.61  # Images per second of the reference, two threads on two cores, with 1.3 GB.


class Stopwatch:
    """Sums of seconds by name."""

    def __init__(self):
        self.seconds = collections.Counter()

    @contextlib.contextmanager
    def __call__(self, name):
        start = time.process_time()
        yield
        self.seconds[name] += time.process_time() - start


def time_steps(items, folder):
    """Builds the images one by one in this process: seconds per image for each step."""
    watch = Stopwatch()
    with Writer(os.path.join(folder, 'steps'), 1024, 3) as writer:
        for face in items:
            with watch('decode'):
                with open(face.path, 'rb') as file:
                    jpeg = file.read()
                view = celebahq.View(celebahq.decode(jpeg), *celebahq.face_quad(face.landmarks))
            for step in celebahq.shrink, celebahq.crop, celebahq.supersample, celebahq.pad, celebahq.transform:
                with watch(step.__name__):
                    view = step(view)
            with watch('decrypt'):
                difference = deltas.decrypt(deltas.read_token(face.delta), jpeg, face.delta.orig_file)
            with watch('md5 and delta'):
                image = deltas.apply_exact(view, difference)
                assert (deltas.md5(view), deltas.md5(image)) == (face.delta.proc_md5, face.delta.final_md5)
            with watch('write'):
                writer.add(image[np.newaxis])
    return {name: seconds / len(items) for name, seconds in watch.seconds.items()}


def time_blur():
    """Seconds of the FFT blur and of scipy's for a plane of common size, whose values must agree to the bit."""
    plane = np.float32(np.random.default_rng(0).integers(0, 256, (1800, 1700)))
    seconds, planes = [], []
    for blur in celebahq.gaussian_blur, scipy.ndimage.gaussian_filter:
        start = time.process_time()
        planes.append(blur(plane, 25.0))
        seconds.append(time.process_time() - start)
    assert np.array_equal(*planes)
    return seconds


def build(target, celeba_dir, delta_dir, num_images):
    """Runs the command: (seconds, processor seconds, peak memory in MB) of all its processes."""
    command = [sys.executable, os.path.join(ROOT, 'dataset_tool.py'), 'create_celebahq', target,
               f'--celeba_dir={celeba_dir}', f'--delta_dir={delta_dir}', '--expected_images=0',
               f'--max_images={num_images}', f'--num_workers={FLAGS.num_workers}']
    start, peak = np.array([time.perf_counter(), processor_time()]), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.1)
        said = process.stdout.read()
    assert process.returncode == 0
    print(said.strip())
    seconds = np.array([time.perf_counter(), processor_time()]) - start
    return *seconds, peak / 2 ** 20


def processor_time():
    """Seconds that processes started here, and theirs, have spent computing; those that still run do not count."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory(pid):
    """Bytes of a process and its descendants, pages that several share counted once (Linux)."""
    total = 0
    with contextlib.suppress(OSError, ProcessLookupError):  # It may end at any moment.
        with open(f'/proc/{pid}/smaps_rollup') as file:
            total = sum(int(line.split()[1]) * 1024 for line in file if line.startswith('Pss:'))
        with open(f'/proc/{pid}/task/{pid}/children') as file:
            total += sum(memory(int(child)) for child in file.read().split())
    return total


def main(_):
    with tempfile.TemporaryDirectory() as folder:
        celeba_dir, delta_dir = FLAGS.celeba_dir, FLAGS.delta_dir
        if not celeba_dir:
            celeba_dir = os.path.join(folder, 'toyfaces')
            delta_dir = os.path.join(celeba_dir, 'deltas')
            toyfaces.create(celeba_dir, num_images=FLAGS.num_faces, num_deltas=FLAGS.num_faces)
        items = faces.celebahq_source(celeba_dir=celeba_dir, delta_dir=delta_dir, expected_images=0,
                                      max_images=FLAGS.num_faces).items
        steps = time_steps(items, folder)
        for name, seconds in steps.items():
            print(f'{name:14} {seconds:7.3f} s')
        blur, scipy_blur = time_blur()
        print(f'blur of 1800x1700: {blur:.2f} s, by scipy.ndimage {scipy_blur:.2f} s ({scipy_blur / blur:.1f} times), '
              'equal to the bit')
        few, many = FLAGS.num_faces // 3, len(items)
        *few_seconds, few_memory = build(os.path.join(folder, 'few'), celeba_dir, delta_dir, few)
        *many_seconds, many_memory = build(os.path.join(folder, 'many'), celeba_dir, delta_dir, many)
        # The difference of the two is without the start of the processes.
        wall, processor = np.subtract(many_seconds, few_seconds) / (many - few)
        rate = 1 / wall
        report = {'steps': {name: round(seconds, 4) for name, seconds in steps.items()},
                  'processor_seconds_per_image': round(processor, 3),
                  'images_per_second': round(rate, 2), 'times_the_reference': round(rate / REFERENCE_RATE, 2),
                  'images_per_second_of_free_processors': round(FLAGS.num_workers / processor, 2),
                  'num_workers': FLAGS.num_workers, 'megabytes': {few: round(few_memory), many: round(many_memory)},
                  'blur_times_scipy': round(scipy_blur / blur, 1)}
        print(f'{rate:.2f} images/s with {FLAGS.num_workers} workers, {rate / REFERENCE_RATE:.1f} times the reference; '
              f'{processor:.2f} processor seconds per image allow {FLAGS.num_workers / processor:.2f} images/s\n'
              f'at most {few_memory:.0f} MB for {few} images, {many_memory:.0f} MB for {many}')
        print(json.dumps(report))


if __name__ == '__main__':
    runtime.run(main)
