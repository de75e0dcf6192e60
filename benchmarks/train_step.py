"""Speed of the whole training step (D step, EMA, G step) by resolution: `python benchmarks/train_step.py`.

Method: each row runs in a process of its own, on images in TFRecord files, read by the real pipeline. The first iteration
is timed from the start of the process; then iterations of 4 rounds (1 beyond 64 maps) and plain matrix products (2048^3,
float32, on all cores) take turns of half a second for at least --seconds, and medians are told. img/s counts real images
shown to D.
GFLOP counts convolutions, those that minimal filtering saves too, and matrix products only, as 4*G + 14*D forward
passes per image: G runs forward for the fakes (1) and forward and backward for its own step (3); D forward and backward
on reals and fakes (6), forward, to the images' gradients and backward through both on the mixes (6), forward and back
to the images in G's step (2). With --network=stylegan the penalty is that of the reals, so 11*D. StyleGAN2's R1 is an
update of its own every 16 rounds, 8*D + 6/16*D, and path lengths are taken of half as many latents every 4, 4*G +
3/4*G; rounds with and without are measured apart and added up in their proportion. `share` is the rate of those
relative to the matrix products'. `reading` is the time that the input pipeline takes for an image when it runs alone,
relative to the step's. From a tf.profiler trace: `kernels` is how many run at a time on average, `outside` the share of
their time that lies outside convolutions and matrix products. `nodes` are those of the graphs as they were traced.
"""
import os
import sys

import _root  # noqa: F401  isort: skip
import runtime  # isort: skip (it must come before TensorFlow)
import collections
import functools
import json
import pathlib
import tempfile
import time

from _noise import write_noise
from absl import flags
from machine import against_sgemm, in_own_process, limit_isa, round_gflop, timed

FLAGS = flags.FLAGS
flags.declare_key_flag('isa')
flags.DEFINE_list('rows', ['4:64:16', '8:64:16', '16:64:16', '32:64:16', '64:64:16', '16:512:8', '32:512:8', '256:64:8',
                           '1024:64:4'], 'What to measure, each as resolution:maps:minibatch; fmap_base is 16 maps.')
flags.DEFINE_integer('network_resolution', None, 'Resolution of the networks; default: the one that is measured.')
flags.DEFINE_enum('network', 'progan', ['progan', 'stylegan', 'stylegan2'], 'Which networks, each with its own losses.')
flags.DEFINE_list('overrides', [], 'Settings to change, e.g. loss.lazy=false or loss.pl_weight=0,loss.gamma=0.')
flags.DEFINE_string('precision', 'fp32', 'fp32, fp16 or bf16.')
flags.DEFINE_bool('jit', False, 'Compile with XLA.')
flags.DEFINE_float('seconds', 6.0, 'Measure at least so long.')
flags.DEFINE_bool('profile', True, 'Also profile which kernels take the time.')
flags.DEFINE_bool('kernels', False, 'Print the kernels that take most time, too.')
flags.DEFINE_string('dataset', None, 'Internal: measure the only row in this process, on this data set.')

STARTED = time.perf_counter()


def main(argv):
    limit_isa()
    if FLAGS.dataset:
        print(json.dumps(measure(*(int(part) for part in FLAGS.rows[0].split(':')), FLAGS.dataset)))
        return
    print(f'{"res":>4s}{"maps":>5s}{"batch":>6s}{"img/s":>9s}{"share":>7s}{"sgemm":>7s}{"first step":>12s}'
          f'{"peak memory":>13s}{"nodes":>7s}{"reading":>9s}{"kernels":>9s}{"outside":>9s}')
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for text in FLAGS.rows:
            resolution = FLAGS.network_resolution or int(text.split(':')[0])
            dataset = os.path.join(folder, f'noise{resolution}')
            if not os.path.exists(dataset):
                write_noise(dataset, resolution)
            *kernels, line = in_own_process(__file__, *sys.argv[1:], f'--rows={text}', f'--dataset={dataset}')
            row = json.loads(line)
            profile = f'{row["kernels"]:9.2f}{row["outside"]:9.1%}' if FLAGS.profile else ''
            print(f'{row["resolution"]:4d}{row["maps"]:5d}{row["minibatch"]:6d}{row["images_per_sec"]:9.2f}'
                  f'{row["share"]:7.2f}{row["sgemm_gflops"]:7.0f}{row["first_step_sec"]:10.1f} s'
                  f'{row["peak_memory_mib"]:9.0f} MiB{row["nodes"]:7d}{row["reading"]:9.2%}{profile}', flush=True)
            if kernels:
                print(*kernels, sep='\n', flush=True)
            rows.append(row)
    print(json.dumps(rows))


def measure(resolution, maps, minibatch, path):
    """Measures one row -> dict of figures."""
    runtime.suit_threads_to(maps, one_device=True)
    from _training import Training

    from data.tfrecords import Dataset
    from training.devices import make_strategy
    dataset, rounds = Dataset(path), 4 if maps <= 64 else 1
    preset = {'progan': 'demo', 'stylegan': 'stylegan-1gpu', 'stylegan2': 'stylegan2-f'}[FLAGS.network]
    training = Training(make_strategy(), dataset, maps, minibatch, rounds, FLAGS.precision, FLAGS.jit, preset,
                        FLAGS.overrides)
    level = (dataset.resolution // resolution).bit_length() - 1
    stream, kinds = training.stream(level), training.kinds()

    def step(nimg=0):
        return training.step(stream, level, nimg=nimg)

    step()
    first_step = time.perf_counter() - STARTED
    for nimg, _ in kinds:
        step(nimg), step(nimg)
    peak = runtime.peak_memory_mib()
    gflop = round_gflop(training.state.G, training.state.D, level, *passes(training.loss))
    rates = together([(against_sgemm(functools.partial(step, nimg), training.images, gflop, FLAGS.seconds), count)
                      for nimg, count in kinds])
    reading = timed(lambda: next(stream), 2) / training.images
    profile = {}
    if FLAGS.profile:
        seconds, counts, span = kernel_times(lambda: [step(nimg) for nimg, _ in 2 * kinds])
        products = sum(t for kind, t in seconds.items() if 'Conv2D' in kind or 'MatMul' in kind)
        profile = {'kernels': seconds.total() / span, 'outside': 1 - products / seconds.total()}
        if FLAGS.kernels:
            for kind, t in seconds.most_common(30):
                print(f'{kind:40s}{t / seconds.total():7.1%}{counts[kind] / (2 * rounds * len(kinds)):8.1f} per round')
    return rates | profile | {
        'resolution': resolution, 'maps': maps, 'minibatch': minibatch, 'precision': FLAGS.precision,
        'gflops': rates['images_per_sec'] * gflop, 'first_step_sec': first_step, 'peak_memory_mib': peak,
        'nodes': len(training.nodes()), 'reading': reading * rates['images_per_sec']}


def passes(loss):
    """Forward passes of G and of D that the work of a round amounts to, per image."""
    if loss.kind != 'stylegan2':
        return 4, {'wgan_gp': 14, 'logistic': 11}[loss.kind]
    every = loss.lazy_intervals
    return (4 + (loss.pl_weight > 0) * 3 / every.get('G', 1),
            8 + (loss.D_weight > 0) * (6 / every['D'] if every else 3))


def together(kinds):
    """What `against_sgemm` tells of kinds of iterations, [(figures, how many)], as one."""
    total = sum(count for _, count in kinds)

    def mean(key):
        return total / sum(count / figures[key] for figures, count in kinds)
    return {key: mean(key) for key in ('images_per_sec', 'sgemm_gflops', 'share')}


def kernel_times(run):
    """From a tf.profiler trace of `run()`: {kernel type: seconds}, {kernel type: number}, seconds from first to last."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            run()
        trace, = pathlib.Path(folder).rglob('*.xplane.pb')
        space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    seconds, counts, starts, ends = collections.Counter(), collections.Counter(), [], []
    for plane in space.planes:
        for line, event in ((each, event) for each in plane.lines for event in each.events):
            _, colon, kind = plane.event_metadata[event.metadata_id].name.partition(':')  # 'name of the node:kernel'.
            if colon and kind.isidentifier() and kind not in ('While', 'If', 'PartitionedCall', 'StatefulPartitionedCall'):
                duration = event.duration_ps / 1e12
                seconds[kind] += duration
                counts[kind] += 1
                starts.append(line.timestamp_ns / 1e9 + event.offset_ps / 1e12)
                ends.append(starts[-1] + duration)
    return seconds, counts, max(ends) - min(starts)


if __name__ == '__main__':
    runtime.run(main)
