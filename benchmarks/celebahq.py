"""Times create_celebahq, deltas included: seconds per image and step, images per second, and memory.

    python benchmarks/celebahq.py [--num_faces=24] [--num_workers=2]

The steps are timed on the four golden photographs in one process, as processor time, which other programs at work
disturb least; once more with scipy's blur in place of ours. Whole builds are timed on drawn faces, most of which leave
their picture and so need the blur. Prints both, and one line of JSON.
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOLDENS = os.path.join(ROOT, 'tests', 'goldens', 'celebahq')
sys.path.insert(0, ROOT)

import runtime  # isort: skip - before NumPy, whose sort it sets.
import collections
import contextlib
import json
import subprocess
import tempfile
import time

import numpy as np
import scipy.ndimage
from absl import flags
from machine import numpy_sgemm_gflops

from data import celebahq, deltas, faces, toyfaces
from data.writer import Writer

FLAGS = flags.FLAGS
flags.DEFINE_integer('num_faces', 24, 'Drawn images of the larger of two builds; the smaller has a third.')
flags.DEFINE_integer('num_workers', 2, 'Worker processes of the builds.')

REFERENCE_RATE = 0.61  # Images per second of the reference with two threads on two free cores, in 1.3 GB.


class Stopwatch:
    """Sums of seconds by name."""

    def __init__(self):
        self.seconds = collections.Counter()

    @contextlib.contextmanager
    def __call__(self, name):
        start = time.process_time()
        yield
        self.seconds[name] += time.process_time() - start


def time_steps(items, folder, blur):
    """Builds the images one by one in this process: processor seconds per image for each step."""
    watch = Stopwatch()
    ours, celebahq.gaussian_blur = celebahq.gaussian_blur, blur
    with Writer(os.path.join(folder, blur.__name__), 1024, 3) as writer:
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
    celebahq.gaussian_blur = ours
    return {name: seconds / len(items) for name, seconds in watch.seconds.items()}


def build(target, drawn, num_images):
    """Runs the command: (seconds, peak memory of all its processes in MB)."""
    command = [sys.executable, os.path.join(ROOT, 'dataset_tool.py'), 'create_celebahq', target, drawn,
               os.path.join(drawn, 'deltas'), '--expected_images=0', f'--max_images={num_images}',
               f'--num_workers={FLAGS.num_workers}']
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.1)
        said = process.stdout.read()
    assert process.returncode == 0
    print(said.strip())
    return time.perf_counter() - start, peak / 2 ** 20


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
    report = {'num_workers': FLAGS.num_workers}
    golden = faces.celebahq_source(os.path.join(GOLDENS, 'celeba'), os.path.join(GOLDENS, 'deltas'), expected_images=0)
    with tempfile.TemporaryDirectory() as folder:
        steps = time_steps(golden.items, folder, celebahq.gaussian_blur)
        plain = time_steps(golden.items, folder, scipy.ndimage.gaussian_filter)
        print('processor seconds per image and step    with scipy.ndimage.gaussian_filter')
        for name in steps:
            print(f'{name:14} {steps[name]:7.3f} {plain[name]:7.3f}')
        seconds, plain_seconds = sum(steps.values()), sum(plain.values())
        print(f'{"all":14} {seconds:7.3f} {plain_seconds:7.3f} ({plain_seconds / seconds:.1f} times)')
        sgemm = numpy_sgemm_gflops()
        print(f'decoding alone is {steps["decode"] / seconds:.0%} of that; sgemm {sgemm:.0f} GFLOP/s in NumPy')
        report |= {'sgemm_gflops': sgemm, 'decode_share': steps['decode'] / seconds}
        report |= {'steps': {name: round(value, 4) for name, value in steps.items()},
                   'processor_seconds': round(seconds, 3), 'times_scipy': round(plain_seconds / seconds, 2)}

        drawn = os.path.join(folder, 'drawn')
        toyfaces.create(drawn, num_images=FLAGS.num_faces, num_deltas=FLAGS.num_faces)
        few, many = FLAGS.num_faces // 3, FLAGS.num_faces
        few_seconds, few_memory = build(os.path.join(folder, 'few'), drawn, few)
        many_seconds, many_memory = build(os.path.join(folder, 'many'), drawn, many)
        rate = (many - few) / (many_seconds - few_seconds)  # Without the start of the processes.
        print(f'{rate:.2f} drawn images/s with {FLAGS.num_workers} workers, {rate / REFERENCE_RATE:.1f} times the '
              f'reference; at most {few_memory:.0f} MB for {few} images, {many_memory:.0f} MB for {many}')
        report |= {'images_per_second': round(rate, 2), 'times_the_reference': round(rate / REFERENCE_RATE, 2),
                   'megabytes': {few: round(few_memory), many: round(many_memory)}}
    print(json.dumps(report))


if __name__ == '__main__':
    runtime.run(main)
