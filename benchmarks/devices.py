"""What several devices cost and move: `python benchmarks/devices.py`.

First the cost of distribution itself: the same global minibatch on one device and on two logical CPU devices, which share
the same cores. The work is equal, so the ratio of the rates is what copies, reductions and smaller kernels cost. The two
take turns, in processes of their own, each against plain matrix products (2048^3) in the same process; medians of
--repeats. Then what a round of D and G step of the official network (1024x1024) computes and moves at each resolution:
GFLOP by the count of train_step.py, the gradients that each device gives to the all-reduce, and what a ring sends and
receives per device, 2 (n - 1) / n of them, with the minibatches of the presets.
"""
import _root  # noqa: F401  isort: skip
import runtime  # isort: skip (it must come before TensorFlow)
import dataclasses
import json
import statistics

from absl import flags
from machine import against_sgemm, in_own_process, round_gflop

FLAGS = flags.FLAGS
flags.DEFINE_list('resolutions', ['4', '32'], 'Resolutions to measure, with 64 maps and minibatch 16.')
flags.DEFINE_integer('repeats', 3, 'Measurements of each kind.')
flags.DEFINE_integer('devices', None, 'Internal: measure this number of devices in this process.')

ROUNDS, MINIBATCH, MAPS = 4, 16, 64


def main(argv):
    if FLAGS.devices:
        print(json.dumps(measure(FLAGS.devices, int(FLAGS.resolutions[0]))))
        return
    rows = []
    for resolution in map(int, FLAGS.resolutions):
        found = {1: [], 2: []}
        for _ in range(FLAGS.repeats):
            for devices, results in found.items():
                *_, line = in_own_process(__file__, f'--devices={devices}', f'--resolutions={resolution}')
                results.append(json.loads(line))
        one, two = ({key: statistics.median(result[key] for result in results) for key in results[0]}
                    for results in found.values())
        rows.append({'resolution': resolution, 'one': one, 'two': two, 'ratio': two['share'] / one['share']})
        print(f'{resolution}x{resolution}: one device {one["images_per_sec"]:.1f} images/s (share {one["share"]:.2f} of '
              f'sgemm {one["sgemm_gflops"]:.0f}, {one["peak_memory_mib"]:.0f} MiB), two {two["images_per_sec"]:.1f} '
              f'({two["share"]:.2f}, {two["peak_memory_mib"]:.0f} MiB): {rows[-1]["ratio"]:.2f} x; '
              f'{two["all_reduces"]:.0f} all-reduces per round, of {two["gradient_mb"]:.2f} MB in all', flush=True)
    print(json.dumps({'measured': rows, 'official': official()}))


def measure(devices, resolution):
    """Measures a number of logical devices -> dict of figures."""
    runtime.suit_threads_to(MAPS)
    from _training import Training

    from data.tfrecords import SyntheticDataset
    from training.devices import make_strategy
    strategy = make_strategy(devices, cpu_devices=2)
    training = Training(strategy, SyntheticDataset(resolution), MAPS, MINIBATCH, ROUNDS)
    stream, G, D = training.stream(0), training.state.G, training.state.D

    def step():
        return training.step(stream, 0)

    step(), step()
    return against_sgemm(step, training.images, round_gflop(G, D, 0), 5) | {
        'peak_memory_mib': runtime.peak_memory_mib(), 'gradient_mb': gradient_bytes(G, D, 0) / 1e6,
        'all_reduces': sum(node.op.startswith(('CollectiveReduce', 'NcclAllReduce')) for node in training.nodes()) / devices}


def gradient_bytes(G, D, level):
    """Bytes of the gradients of one round: those of D's step and of G's, float32."""
    def used(network):
        reached = network.variables_at(level)
        return sum(4 * v.numpy().size for name, v in reached.items() if '_lod' not in name or f'_lod{level}/' in name)
    return used(G) + used(D)


def official():
    """The table of the official network -> rows of it."""
    import config as configs
    from networks.progan import Discriminator, Generator
    from training.schedule import Schedule
    G, D = Generator(seed=1), Discriminator(seed=1)
    presets = {1: 'v2-1gpu', 2: 'v2-2gpus', 8: 'v2-8gpus'}
    schedules = {n: configs.resolve([preset, 'fp16']).schedule for n, preset in presets.items()}
    rows = []
    print('\n   res  GFLOP/image  gradients MB' + ''.join(f'{f"on {n}: images, GFLOP, MB":>26s}' for n in presets))
    for level in range(G.max_level, -1, -1):
        resolution, columns = 1024 >> level, []
        row = {'resolution': resolution, 'gflop_per_image': round_gflop(G, D, level),
               'gradient_mb': gradient_bytes(G, D, level) / 1e6}
        for n, section in schedules.items():
            schedule = Schedule(1024, n, **dataclasses.asdict(section))
            nimg = next(start for start, _, phase in schedule.phases(12e6) if phase.resolution == resolution)
            images = schedule.at(nimg + 1).minibatch // n
            row[f'{n}_gpus'] = {'images': images, 'gflop': images * row['gflop_per_image'],
                                'mb': row['gradient_mb'] * 2 * (n - 1) / n}
            columns.append(f'{images:6d} {row[f"{n}_gpus"]["gflop"]:10.0f} {row[f"{n}_gpus"]["mb"]:7.1f}')
        print(f'{resolution:6d} {row["gflop_per_image"]:11.2f} {row["gradient_mb"]:13.1f} ' + ' '.join(columns))
        rows.append(row)
    return rows


if __name__ == '__main__':
    runtime.run(main)
