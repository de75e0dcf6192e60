"""What a new resolution costs when training reaches it: `python benchmarks/phases.py`.

Method: at 64 maps and minibatch 16, in a process of its own, the previous level trains while the next one's graph is
compiled in the background, as training does, and once more without: the stall is the first iteration's time beyond the
second's. Iterations lost are what training did less in the meantime than it does alone. Times also against plain matrix
products (2048^3) in the same process.
"""
import _root  # noqa: F401  isort: skip
import runtime  # isort: skip (it must come before TensorFlow)
import json
import threading
import time

from absl import flags
from machine import in_own_process, sgemm, sgemm_gflops, timed

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
            *_, line = in_own_process(__file__, f'--how={how}', f'--resolutions={resolution}')
            row[how] = json.loads(line)
        late, ahead = row['when reached'], row['ahead']
        print(f'{resolution}x{resolution}: compiled when reached, training stalls for {late["stall_sec"]:.2f} s; compiled '
              f'ahead {ahead["stall_sec"]:.2f} s, after {ahead["compile_sec"]:.1f} s in the background, in which training '
              f'lost {ahead["lost_sec"]:.1f} s (sgemm {ahead["sgemm_gflops"]:.0f}, peak memory '
              f'{ahead["peak_memory_mib"]:.0f} MiB)', flush=True)
        rows.append(row)
    print(json.dumps(rows))


def measure(resolution, ahead):
    """Trains at half of `resolution`, then at it -> dict of figures; `graphs` were there when it is reached."""
    runtime.suit_threads_to(64)
    from _training import Training

    from data.tfrecords import SyntheticDataset
    from training.devices import make_strategy
    training = Training(make_strategy(), SyntheticDataset(resolution), maps=64, minibatch=16, rounds=4)
    streams = [training.stream(level) for level in (0, 1)]

    def step(level):
        return training.step(streams[level], level, fade=0.0 if level else 0.5)

    step(1)
    alone, figures = timed(lambda: step(1), 2), {}
    if ahead:
        coming = training.batches(0).element_spec, training.phase(0, 0.5)
        compiler = threading.Thread(target=training.iteration.prepare, args=coming)
        count, started = 0, time.perf_counter()
        compiler.start()
        while compiler.is_alive():
            step(1)
            count += 1
        figures['compile_sec'] = time.perf_counter() - started
        figures['lost_sec'] = figures['compile_sec'] - count * alone
    figures['graphs'] = training.iteration.num_graphs
    first, second = timed(lambda: step(0), 0), timed(lambda: step(0), 0)
    figures |= {'stall_sec': first - second, 'peak_memory_mib': runtime.peak_memory_mib()}
    return figures | {'sgemm_gflops': sgemm_gflops(timed(sgemm(), 1))}


if __name__ == '__main__':
    runtime.run(main)
