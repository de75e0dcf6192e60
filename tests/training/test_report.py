import json

import numpy as np
import pytest
import tensorflow as tf

from training.report import Averages, Clock, Reporter
from training.schedule import Phase
from training.state import Position
from training.step import Sums
from wording import format_time

PHASE = Phase(lod=1.5, level=1, resolution=8, minibatch=16, G_learning_rate=0.001, D_learning_rate=0.002, tick_nimg=1000,
              Gs_decay=0.999)


@pytest.mark.parametrize('seconds, text', [(0, '0s'), (59.4, '59s'), (61, '1m 01s'), (3725, '1h 02m 05s'),
                                           (90061, '1d 01h 01m')])
def test_times_are_readable(seconds, text):
    assert format_time(seconds) == text


def test_averages_are_means_since_the_last_take():
    averages = Averages(['a', 'b', 'lazy'])
    averages.add(Sums(tf.constant([4.0, 40.0, 0.0]), np.array([4, 4, 0])))
    averages.add(Sums(tf.constant([12.0, 80.0, 7.0]), np.array([4, 4, 1])))
    assert averages.take() == {'a': 2.0, 'b': 15.0, 'lazy': 7.0} and averages.iterations == 0
    averages.add(Sums(tf.constant([5.0, 5.0, 0.0]), np.array([1, 1, 0])))
    assert averages.take() == {'a': 5.0, 'b': 5.0}  # What was never due is not told.


def tick(report, number):
    clock = Clock()
    clock.end_steps()
    position = Position(nimg=1000 * (number + 1), tick=number, tick_start_nimg=1000 * number)
    report.tick(position, PHASE, {'real_scores': 0.5}, clock)
    report.end_of_tick()


def test_a_tick_goes_to_log_statistics_and_events(tmp_path):
    report = Reporter(tmp_path, 0, 5000)
    tick(report, 0)
    report.close()
    record = json.loads((tmp_path / 'stats.jsonl').read_text())
    assert record['kimg'] == 1 and record['real_scores'] == 0.5 and record['images_per_sec'] > 0
    assert np.isclose(record['left_sec'], 4 * record['sec_per_tick'])
    line = (tmp_path / 'log.txt').read_text()
    for word in ('tick 0', 'kimg 1.0', 'lod 1.50', 'minibatch 16', 'sec/tick', 'sec/kimg', 'maintenance', 'img/s', 'MiB'):
        assert word in line


def test_compiling_does_not_count_in_the_rate_that_is_told_before_the_first_tick(tmp_path, monkeypatch):
    report = Reporter(tmp_path, 0, 5000)
    moments = [(100.0, 64, 1), (200.0, 128, 2), (204.0, 192, 2), (220.0, 448, 2)]  # Seconds, images, graphs.
    for now, nimg, graphs in moments:
        monkeypatch.setattr('training.report.time.perf_counter', lambda now=now: now)
        report.progress(Position(nimg=nimg), PHASE, graphs)
    report.close()
    assert 'kimg 0.4: 16.0 images/s' in (tmp_path / 'log.txt').read_text()  # 320 images in the last 20 seconds.


def test_a_resumed_run_drops_the_records_after_its_checkpoint_and_a_torn_last_line(tmp_path):
    report = Reporter(tmp_path, 0, 5000)
    for number in range(4):
        tick(report, number)
    report.close()
    with open(tmp_path / 'stats.jsonl', 'a') as file:
        file.write('{"tick": 4, "nim')
    report = Reporter(tmp_path, 2000, 5000)
    tick(report, 2)
    report.close()
    assert [json.loads(line)['tick'] for line in (tmp_path / 'stats.jsonl').read_text().splitlines()] == [0, 1, 2]
