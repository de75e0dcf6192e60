"""What a run says while it trains: one record per tick, to the console, log.txt, stats.jsonl and TensorBoard."""
import contextlib
import json
import os
import sys
import time

import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

import runtime
from files import TEXT, json_lines, write_text
from wording import format_time

FIRST_LINE_SEC = 5.0  # Seconds of training after which a log that has no tick yet gets a line.


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
        self._first, self._said_rate = None, False
        self._log = open(os.path.join(run_dir, 'log.txt'), 'a', **TEXT)  # noqa: SIM115 (closed in `close`)
        self._events = tf.summary.create_file_writer(str(run_dir))
        self._bar = tqdm(total=total_nimg, initial=nimg, unit='img', unit_scale=True, smoothing=0.1,
                         disable=not sys.stderr.isatty(), dynamic_ncols=True)

    def say(self, line):
        """One line to the console and to log.txt."""
        with tqdm.external_write_mode() if not self._bar.disable else contextlib.nullcontext():
            logging.info('%s', line)
        print(line, file=self._log, flush=True)

    def progress(self, position, phase, num_graphs):
        """Moves the progress bar; where there is none, says once, before the first tick, how fast it goes.

        Compiling does not count: the rate is that since the last of `num_graphs` was there.
        """
        self._bar.update(position.nimg - self._bar.n)
        if not self._bar.disable or self._said_rate:
            return
        now = time.perf_counter()
        if self._first is None or self._first[2] != num_graphs:
            self._first = now, position.nimg, num_graphs
        elif now - self._first[0] >= FIRST_LINE_SEC:
            rate = (position.nimg - self._first[1]) / (now - self._first[0])
            left = max(position.tick_start_nimg + phase.tick_nimg - position.nimg, 0)
            self._said_rate = True
            self.say(f'kimg {position.nimg / 1000:.1f}: {rate:.1f} images/s at {phase.resolution}x{phase.resolution}, '
                     f'the first tick comes in about {format_time(left / rate)}.')

    def tick(self, position, phase, statistics, clock):
        """One tick: the log line, a record in stats.jsonl, and the same numbers as scalars."""
        self._said_rate = True
        seconds, images = clock.seconds, position.nimg - position.tick_start_nimg
        record = {
            'tick': position.tick, 'nimg': position.nimg, 'kimg': position.nimg / 1000, 'lod': phase.lod,
            'resolution': phase.resolution, 'minibatch': phase.minibatch, 'total_sec': position.seconds,
            'sec_per_tick': seconds, 'sec_per_kimg': 1000 * seconds / images, 'images_per_sec': images / seconds,
            'maintenance_sec': clock.maintenance, 'left_sec': max(self._total_nimg - position.nimg, 0) * seconds / images,
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

    def end_of_tick(self):
        """What waited for the first tick or for all that belongs to one."""
        if self._graph:
            with self._events.as_default():
                tf.summary.trace_export('training', step=0)
            self._graph = False
        self._events.flush()

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


def peak_memory_mib():
    """Peak memory so far: of the first GPU if there is one, else of this process."""
    if tf.config.list_logical_devices('GPU'):
        return tf.config.experimental.get_memory_info('GPU:0')['peak'] / 2 ** 20
    return runtime.peak_memory_mib()


def _drop_later_records(path, nimg):
    if not os.path.exists(path):
        return
    kept = [record for record in json_lines(path, 'nimg') if record['nimg'] <= nimg]
    write_text(path, ''.join(json.dumps(record) + '\n' for record in kept))


class Averages:
    """Means of the iterations' statistics since the last `take`, summed on the device so that no step waits for them."""

    def __init__(self, names, sums=None):
        """`sums`: what `stop` returned, to go on with."""
        self.names, self.iterations, self._values, self._counts = names, 0, None, 0
        if sums:
            self.iterations, self._counts = sums['iterations'], np.array(sums['counts'])
            self._values = tf.constant(sums['values'], tf.float32)

    def add(self, sums):
        """Adds the Sums of an iteration."""
        self._values = sums.values if self._values is None else self._values + sums.values
        self._counts += sums.counts
        self.iterations += 1

    def take(self):
        """-> {name: mean} of what was told at all, and starts anew."""
        found = zip(self.names, self._values.numpy().tolist(), self._counts, strict=True)
        means = {name: value / count for name, value, count in found if count}
        self.iterations, self._values, self._counts = 0, None, 0
        return means

    def stop(self):
        """-> the sums so far, as JSON holds them exactly, or None."""
        if self._values is None:
            return None
        return {'iterations': self.iterations, 'counts': self._counts.tolist(), 'values': self._values.numpy().tolist()}


class Clock:
    """What a tick's steps took, and the maintenance (pictures, snapshots, metrics) after the tick before."""

    def __init__(self, seconds=0.0):
        """`seconds`: what the steps of this tick took in an earlier process."""
        self.seconds, self.maintenance, self._started = 0.0, 0.0, time.perf_counter() - seconds

    def end_steps(self):
        """The tick's steps are done -> all seconds since the clock was asked last."""
        now = time.perf_counter()
        self.seconds, self._started = now - self._started, now
        return self.seconds + self.maintenance

    def end_maintenance(self):
        """So is what follows them."""
        now = time.perf_counter()
        self.maintenance, self._started = now - self._started, now
