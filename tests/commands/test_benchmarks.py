"""The benchmarks of training run, on their smallest settings, and tell figures that can be true."""
import json
import os
import subprocess
import sys

from places import ROOT


def start(name, *arguments):
    command = [sys.executable, os.path.join(ROOT, 'benchmarks', name), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def figures(name, *arguments):
    result = start(name, *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_train_step():
    row, = figures('train_step.py', '--rows=4:16:4', '--seconds=0.1')
    assert row['images_per_sec'] > 0 and 0 < row['share'] < 1.5 and 0 < row['outside'] < 1 and row['kernels'] > 0
    assert 300 < row['peak_memory_mib'] < 4000 and 500 < row['nodes'] < 3000


def test_lazy_rounds_are_added_up_in_their_proportion():
    row, = figures('train_step.py', '--rows=4:4:4', '--seconds=0.1', '--network=stylegan2', '--noprofile')
    assert row['images_per_sec'] > 0 and 0 < row['share'] < 1.5


def test_what_the_next_resolution_costs():
    row, = figures('phases.py', '--resolutions=8')
    assert row['ahead']['stall_sec'] >= 0 and row['when reached']['stall_sec'] > 0


def test_a_failing_row_says_why():
    result = start('train_step.py', '--rows=4:16:5')
    assert result.returncode == 1 and 'needs a multiple of its group size 4' in result.stderr
