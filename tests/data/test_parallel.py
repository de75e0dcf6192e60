import functools
import os
import signal
import subprocess
import sys
import time

import pytest
from places import ROOT, TESTS

from data.parallel import ordered_map


def slow_square(number):
    """Takes longer for the early numbers, so that workers finish out of order."""
    time.sleep(0.02 * (number < 4))
    return number * number


def odd_only(number):
    if number % 2 == 0:
        raise ValueError('is even')
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def note(path, number):
    with open(path, 'a') as file:
        file.write('x')
    return number


@pytest.mark.parametrize('num_workers', [0, 1, 3])
@pytest.mark.parametrize('chunk', [1, 4])
def test_results_come_in_order(num_workers, chunk):
    results = list(ordered_map(slow_square, range(30), num_workers, start=2, chunk=chunk))
    assert results == [(i, i * i) for i in range(2, 30)]


@pytest.mark.parametrize('num_workers', [0, 2])
def test_errors_of_workers_name_the_item(num_workers):
    results = ordered_map(odd_only, [1, 3, 4, 5], num_workers)
    assert [next(results), next(results)] == [(0, 1), (1, 3)]
    with pytest.raises(ValueError, match="^'4' is even\\.$"):
        next(results)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_bad_items_can_be_left_out(num_workers):
    assert list(ordered_map(odd_only, range(6), num_workers, on_error='skip')) == [(1, 1), (3, 3), (5, 5)]


def test_work_is_done_a_few_chunks_ahead_only(tmp_path):
    path = tmp_path / 'done'
    results = ordered_map(functools.partial(note, path), range(1000), 2, chunk=3)
    next(results)
    time.sleep(0.5)
    results.close()
    assert path.stat().st_size <= 3 * (2 * 2 + 1)


def test_a_killed_worker_is_one_sentence():
    with pytest.raises(OSError, match='a worker process was killed, probably for want of memory'):
        list(ordered_map(die, range(3), 1))


def test_workers_end_with_a_killed_parent():
    script = """
import time
from data.parallel import ordered_map
from tests.data.test_parallel import slow_square
for _ in ordered_map(slow_square, range(100), 2):
    print('working', flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, text=True, cwd=ROOT,
                               env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), str(TESTS / 'helpers')])})
    assert process.stdout.readline() == 'working\n'
    process.kill()
    process.communicate(timeout=600)  # Returns when the last process that could write there has ended.
