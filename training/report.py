"""What a run says while it trains: one record per tick, to the console, log.txt, stats.jsonl and TensorBoard."""
import contextlib
import json
import os
import sys
import time

import tensorflow as tf
from absl import logging
from tqdm import tqdm

import runtime
from files import replacing
from wording import format_time


class Reporter:
    """Writes a run's log, statistics and pictures into its folder; on a terminal it keeps a progress bar below them."""

    def __init__(self, run_dir, nimg, total_nimg, graph=False):
        """`nimg`: where this run starts or resumes; records of a later moment, of a run that was killed, are dropped.

        With `graph`, the graphs traced until the first tick go to TensorBoard.
        """
        self._graph = graph
        if graph:
            tf.summary.trace_on(graph=True)
        self._stats_path = os.path.join(run_dir, 'stats.jsonl')
        _drop_later_records(self._stats_path, nimg)
        self._total_nimg = total_nimg
        self._tick_started, self._maintenance = time.perf_counter(), 0.0
        self._log = open(os.path.join(run_dir, 'log.txt'), 'a')  # noqa: SIM115 (closed in `close`)
        self._events = tf.summary.create_file_writer(str(run_dir))
        self._bar = tqdm(total=total_nimg, initial=nimg, unit='img', unit_scale=True, smoothing=0.1,
                         disable=not sys.stderr.isatty(), dynamic_ncols=True)

    def say(self, line):
        """One line to the console and to log.txt."""
        with tqdm.external_write_mode() if not self._bar.disable else contextlib.nullcontext():
            logging.info('%s', line)
        print(line, file=self._log, flush=True)

    def progress(self, nimg):
        """Moves the progress bar."""
        self._bar.update(nimg - self._bar.n)

    def tick(self, position, phase, statistics):
        """One tick: the log line, a record in stats.jsonl, and the same numbers as scalars."""
        now = time.perf_counter()
        seconds, images = now - self._tick_started, position.nimg - position.tick_start_nimg
        position.seconds += seconds + self._maintenance
        record = {
            'tick': position.tick, 'nimg': position.nimg, 'kimg': position.nimg / 1000, 'lod': phase.lod,
            'resolution': phase.resolution, 'minibatch': phase.minibatch, 'total_sec': position.seconds,
            'sec_per_tick': seconds, 'sec_per_kimg': 1000 * seconds / images, 'images_per_sec': images / seconds,
            'maintenance_sec': self._maintenance, 'left_sec': max(self._total_nimg - position.nimg, 0) * seconds / images,
            'peak_memory_mib': peak_memory_mib(), 'G_learning_rate': phase.G_learning_rate,
            'D_learning_rate': phase.D_learning_rate, **statistics}
        self.say('tick {tick:<5d} kimg {kimg:<8.1f} lod {lod:<5.2f} minibatch {minibatch:<4d} time {time:<11s} '
                 'sec/tick {sec_per_tick:<7.1f} sec/kimg {sec_per_kimg:<7.2f} maintenance {maintenance_sec:<6.1f} '
                 'img/s {images_per_sec:<7.1f} left {left:<11s} memory {peak_memory_mib:.0f} MiB'.format(
                     **record, time=format_time(position.seconds), left=format_time(record['left_sec'])))
        with open(self._stats_path, 'a') as file:
            file.write(json.dumps(record) + '\n')
        with self._events.as_default(step=position.nimg):
            for name, value in record.items():
                tf.summary.scalar(f'{"Loss" if name in statistics else "Progress"}/{name}', value)
        self._maintenance_started = now

    def end_of_tick(self):
        """The time since `tick` was maintenance: pictures and snapshots."""
        if self._graph:
            with self._events.as_default():
                tf.summary.trace_export('training', step=0)
            self._graph = False
        self._events.flush()
        self._tick_started = time.perf_counter()
        self._maintenance = self._tick_started - self._maintenance_started

    def picture(self, name, picture, nimg):
        """A picture uint8 [H, W, C] to TensorBoard."""
        with self._events.as_default(step=nimg):
            tf.summary.image(name, picture[None])

    def histograms(self, networks, nimg):
        """Histograms of all variables of {name: network} to TensorBoard."""
        with self._events.as_default(step=nimg):
            for name, network in networks.items():
                for key, variable in network.named_variables().items():
                    tf.summary.histogram(f'{name}/{key}', variable.value)

    def close(self):
        self._bar.close()
        self._log.close()
        self._events.close()


class Silence:
    """The reporter of workers that are not the chief."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def peak_memory_mib():
    """Peak memory so far: of the first GPU if there is one, else of this process."""
    if tf.config.list_logical_devices('GPU'):
        return tf.config.experimental.get_memory_info('GPU:0')['peak'] / 2 ** 20
    return runtime.peak_memory_mib()


def _drop_later_records(path, nimg):
    if not os.path.exists(path):
        return
    kept = []
    with open(path) as file:
        for line in file:
            try:
                if json.loads(line)['nimg'] <= nimg:
                    kept.append(line)
            except ValueError:  # Cut off when the run was killed.
                break
    with replacing(path) as partial, open(partial, 'w') as file:
        file.writelines(kept)


class Averages:
    """Means of an iteration's statistics since the last `take`, summed on the device so that no step waits for them."""

    def __init__(self, names):
        self.names, self.count, self._sum = names, 0, None

    def add(self, values):
        self._sum = values if self._sum is None else self._sum + values
        self.count += 1

    def take(self):
        """-> {name: mean}, and starts anew."""
        means = dict(zip(self.names, (self._sum.numpy() / self.count).tolist(), strict=True))
        self.count, self._sum = 0, None
        return means
