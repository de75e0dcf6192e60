"""What progressive growing gains, after the paper's figure 4: `python benchmarks/progressive.py --out=FOLDER`.

Method: two runs of train.py at 64x64 on 2048 drawn faces see the same images with the same settings; one grows from 4x4,
each resolution taking as many images to fade in as to train, the other has all layers from the start. Every snapshot's
sliced Wasserstein distance (2048 images, averaged over the levels 64, 32 and 16) is measured afterwards by evaluate.py. Time
is that of training alone, without pictures, snapshots and metrics. Prints a table, this machine's rate of matrix products
afterwards, peak memory of the runs, and one line of JSON, and writes FOLDER/progressive.png. On
two cores it takes about 25 minutes; runs that are already in FOLDER are not repeated.
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import runtime  # isort: skip (before NumPy, whose sort it sets)
import concurrent.futures
import json
import math
import subprocess

import numpy as np
import PIL.Image
from absl import flags
from machine import numpy_sgemm_gflops

from data import celebahq, toyfaces
from data.writer import Writer

FLAGS = flags.FLAGS
flags.DEFINE_string('out', 'results/progressive', 'Folder of the data set, the runs and the plot.')
flags.DEFINE_float('total_kimg', 72, 'Thousands of images that each run sees.')
flags.DEFINE_integer('num_images', 2048, 'Drawn faces, and images per measurement.')

flags.DEFINE_string('replot', None, 'A file of this benchmark\'s JSON: only plot it anew, into --out.')

RESOLUTION, TICKS = 64, 12
RUNS = {'growing': [], 'nogrowing': ['nogrowing']}


def main(argv):
    if FLAGS.replot:
        with open(FLAGS.replot) as file:
            plot(json.load(file)['curves'], os.path.join(FLAGS.out, 'progressive.png'))
        return
    data_dir = os.path.join(FLAGS.out, 'datasets')
    if not os.path.exists(os.path.join(data_dir, 'drawn64')):
        write_faces(os.path.join(data_dir, 'drawn64'))
    curves, memory = {}, {}
    for name, switches in RUNS.items():
        results_dir = os.path.join(FLAGS.out, name)
        if not os.path.exists(results_dir):
            command('train.py', f'--data_dir={data_dir}', f'--results_dir={results_dir}',
                    f'--config={",".join(["v1-1gpu", *switches])}', *(f'--set={override}' for override in settings(name)))
        command('evaluate.py', f'--results_dir={results_dir}', '--run=latest', f'--metrics=swd-{FLAGS.num_images}')
        curves[name], memory[name] = read_curve(results_dir)
    for kimg, seconds, swd, other_seconds, other_swd in table(curves):
        print(f'{kimg:6.0f} kimg   growing {seconds:6.0f} s  SWD {swd:6.1f}   all layers {other_seconds:6.0f} s  SWD '
              f'{other_swd:6.1f}   {other_seconds / seconds:4.1f} times faster')
    plot(curves, os.path.join(FLAGS.out, 'progressive.png'))
    sgemm = numpy_sgemm_gflops()
    print(f'sgemm {sgemm:.0f} GFLOP/s in NumPy; peak memory {memory["growing"]:.0f} MiB growing, '
          f'{memory["nogrowing"]:.0f} MiB with all layers')
    print(json.dumps({'curves': curves, 'sgemm_gflops': sgemm, 'peak_memory_mib': memory}))


def settings(name):
    """Overrides of config: all that the paper leaves, at a size that fits a CPU."""
    growing_kimg = FLAGS.total_kimg / 10  # 4 x (train, fade) up to 64x64, where a fifth of the images is left.
    yield from ['data.name=drawn64', 'network.fmap_base=512', 'network.fmap_max=64', 'network.mbstd_group_size=4',
                'schedule.minibatch_base=16', 'schedule.minibatch_dict={}', f'train.total_kimg={FLAGS.total_kimg}',
                f'schedule.tick_kimg={FLAGS.total_kimg / TICKS}', 'schedule.tick_kimg_dict={}',
                'train.network_snapshot_ticks=1', 'train.Gs_decay=0.99']
    if name == 'growing':
        yield from (f'schedule.{phase}={growing_kimg}' for phase in ('lod_training_kimg', 'lod_transition_kimg'))


def command(script, *arguments):
    """Runs one of the project's commands; its output goes to the screen."""
    subprocess.run([sys.executable, os.path.join(ROOT, script), *arguments], check=True, stdout=sys.stderr)


def write_faces(target):
    """A data set of drawn faces, each turned upright by its landmarks."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with Writer(target, RESOLUTION, 3) as writer, concurrent.futures.ProcessPoolExecutor() as pool:
        for image in pool.map(face, range(FLAGS.num_images), chunksize=16):
            writer.add(image[np.newaxis])


def face(index):
    """Drawn face number `index`, upright: uint8 [3, 64, 64]."""
    image, landmarks = toyfaces.draw(8 * index)  # The layout of 178x218 pixels.
    quad, _ = celebahq.face_quad(np.float32(landmarks))
    size = 4 * RESOLUTION
    image = image.transform((size, size), PIL.Image.Transform.QUAD, quad.ravel().tolist(), PIL.Image.Resampling.BILINEAR)
    return np.asarray(image.resize((RESOLUTION, RESOLUTION), PIL.Image.Resampling.BOX)).transpose(2, 0, 1)


def read_curve(results_dir):
    """[(kimg, seconds of training until then, SWD)] of the latest run of a folder, and its peak memory in MiB."""
    run_dir = max(entry.path for entry in os.scandir(results_dir))
    seconds, curve = 0.0, []
    with open(os.path.join(run_dir, 'metrics.jsonl')) as file:
        found = {record['nimg'] // 1000: record['values']['SWDx1e3_avg'] for record in map(json.loads, file)
                 if record['nimg'] is not None}  # Snapshots are named by their kimg.
    with open(os.path.join(run_dir, 'stats.jsonl')) as file:
        for record in map(json.loads, file):
            seconds += record['sec_per_tick']
            curve.append((record['kimg'], seconds, found[record['nimg'] // 1000]))
    return curve, record['peak_memory_mib']


def table(curves):
    for (kimg, seconds, swd), (_, other_seconds, other_swd) in zip(curves['growing'], curves['nogrowing'], strict=True):
        yield kimg, seconds, swd, other_seconds, other_swd


def resolution_at(kimg, total_kimg):
    """What the growing run trains, or fades in, at a time."""
    growing_kimg = total_kimg / 10
    return min(4 * 2 ** math.ceil(max(kimg - growing_kimg, 0) / (2 * growing_kimg)), RESOLUTION)


def plot(curves, path):
    """What growing saves, and what it costs: time for the same images, and SWD over time."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, (time, quality) = plt.subplots(1, 2, figsize=(11, 4))
    for name, label in (('growing', 'growing from 4x4'), ('nogrowing', 'all layers from the start')):
        kimg, seconds, swd = np.transpose(curves[name])
        time.plot(kimg, seconds / 60, 'o-', label=label)
        quality.plot(seconds / 60, swd, 'o-', label=label)
    kimg, seconds, swd = np.transpose(curves['growing'])
    resolutions = [resolution_at(k, kimg[-1]) for k in kimg]
    for i, resolution in enumerate(resolutions):
        if i + 1 == len(kimg) or resolutions[i + 1] != resolution:
            quality.annotate(f'{resolution}x{resolution}', (seconds[i] / 60, swd[i]), (4, 6), textcoords='offset points')
    saved = curves['nogrowing'][-1][1] / seconds[-1]
    time.set(title=f'The same images in {1 / saved:.0%} of the time', xlabel='real images shown (thousands)',
             ylabel='minutes of training', ylim=(0, None))
    quality.set(title='Coarse while it is small, level once it has grown', xlabel='minutes of training',
                ylabel='sliced Wasserstein distance x 1000\n(lower is better)', yscale='log')
    quality.yaxis.set_major_formatter(matplotlib.ticker.ScalarFormatter())
    quality.yaxis.set_minor_formatter(matplotlib.ticker.ScalarFormatter())
    for axis in (time, quality):
        axis.grid(alpha=0.3, which='both')
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == '__main__':
    runtime.run(main)
