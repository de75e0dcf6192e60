"""What a new resolution costs when training reaches it: `python benchmarks/phases.py`.

Method: at 64 maps and minibatch 16, in a process of its own, the previous level trains while the next one's graph is
compiled in the background, as training does, and once more without: the stall is the first iteration's time beyond the
second's. Iterations lost are what training did less in the meantime than it does alone. Times also against plain matrix
products (2048^3) in the same process.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import runtime  # isort: skip (it must come before TensorFlow)
import dataclasses
import json
import subprocess
import threading
import time

from absl import flags
from machine import peak_mib, sgemm, sgemm_gflops, timed

FLAGS = flags.FLAGS
flags.DEFINE_list('resolutions', ['8', '16', '32', '64'], 'Resolutions that training reaches.')
flags.DEFINE_enum('how', None, ['ahead', 'when reached'], 'Internal: measure so, in this process.')


def main(argv):
    if FLAGS.how:
        print(json.dumps(measure(int(FLAGS.resolutions[0]), FLAGS.how == 'ahead')))
        return
    rows = []
    for resolution in FLAGS.resolutions:
        row = {'resolution': int(resolution)}
        for how in ('when reached', 'ahead'):
            command = [sys.executable, __file__, f'--how={how}', f'--resolutions={resolution}']
            row[how] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        late, ahead = row['when reached'], row['ahead']
        print(f'{resolution}x{resolution}: compiled when reached, training stalls for {late["stall_sec"]:.2f} s; compiled '
              f'ahead {ahead["stall_sec"]:.2f} s, after {ahead["compile_sec"]:.1f} s in the background, in which training '
              f'lost {ahead["lost_sec"]:.1f} s (sgemm {ahead["sgemm_gflops"]:.0f}, peak memory '
              f'{ahead["peak_memory_mib"]:.0f} MiB)', flush=True)
        rows.append(row)
    print(json.dumps(rows))


def measure(resolution, ahead):
    """Trains at half of `resolution`, then at it -> dict of figures."""
    runtime.suit_threads_to(64)
    import tensorflow as tf

    import config as configs
    from data.pipeline import batches
    from data.tfrecords import SyntheticDataset
    from training.devices import POLICIES, make_strategy
    from training.state import make_state
    from training.step import Iteration
    strategy, dataset = make_strategy(), SyntheticDataset(resolution)
    sections = dataclasses.asdict(configs.resolve([], ['network.fmap_base=1024', 'network.fmap_max=64']))
    state = make_state(dataset, sections['network'], sections['optimizer'], 'fp32', POLICIES['fp32'], 1)
    iteration = Iteration(strategy, state, seed=1, rounds=4, D_repeats=1, Gs_decay=0.999, loss_kwargs=sections['loss'])
    streams = [batches(dataset, level, 16, 4, 0, 1, False) for level in (0, 1)]
    iterators = [iter(stream) for stream in streams]
    rate = tf.constant(0.001)

    def step(level):
        fade = 0 if level else tf.constant(0.5)
        return iteration(next(iterators[level]), tf.constant(0, tf.int64), fade, rate, rate, level).numpy()

    step(1)
    alone, figures = timed(lambda: step(1), 2), {}
    if ahead:
        compiler = threading.Thread(target=iteration.prepare, args=(streams[0].element_spec, 0, True))
        count, started = 0, time.perf_counter()
        compiler.start()
        while compiler.is_alive():
            step(1)
            count += 1
        figures['compile_sec'] = time.perf_counter() - started
        figures['lost_sec'] = figures['compile_sec'] - count * alone
    first, second = timed(lambda: step(0), 0), timed(lambda: step(0), 0)
    figures |= {'stall_sec': first - second, 'peak_memory_mib': peak_mib()}
    return figures | {'sgemm_gflops': sgemm_gflops(timed(sgemm(), 1))}


if __name__ == '__main__':
    runtime.run(main)
