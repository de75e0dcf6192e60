"""What a user waits for before anything is seen: `python benchmarks/startup.py [--checkouts=.,../before]`.

Method: each command runs --repeats times in each checkout, the checkouts in turn, and medians of the seconds since its start
are told: until generate.py's --help has ended, and a mistake in its --seeds; until one picture of the demo's network is
written; until training the demo has told its first tick, of 64 images. All use this Python. The last line is JSON.
"""
import os

import _root  # noqa: F401  isort: skip
import runtime  # isort: skip
import collections
import json
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_list('checkouts', ['.'], 'Folders of this project at the commits to compare.')
flags.DEFINE_integer('repeats', 5, 'How often each command runs.', lower_bound=1)

TRAIN = ['train.py', '--set=schedule.tick_kimg=0.064', '--set=train.total_kimg=0.064']


def main(argv):
    seconds = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for checkout in FLAGS.checkouts:
            train(checkout, folder)  # Makes the data set, and the network to show.
        for number in range(FLAGS.repeats):
            for checkout in FLAGS.checkouts:
                for what, found in once(checkout, folder, number).items():
                    seconds[what, checkout].append(found)
    rows = {what: {checkout: statistics.median(seconds[what, checkout]) for checkout in FLAGS.checkouts}
            for what, _ in seconds}
    print(f'{"seconds until":26s}' + ''.join(f'{checkout:>22s}' for checkout in FLAGS.checkouts))
    for what, row in rows.items():
        print(f'{what:26s}' + ''.join(f'{found:22.2f}' for found in row.values()))
    print(json.dumps(rows))


def once(checkout, folder, number):
    """{what: seconds} of each command in a checkout."""
    runs = results(checkout, folder)
    shown = [f'--network={runs}/000-demo', f'--out={runs}-{number}.png']
    return {'--help has ended': run(checkout, 'generate.py', '--help'),
            'a mistake is told': run(checkout, 'generate.py', 'images', *shown, '--seeds=1-x', status=1),
            'the first picture': run(checkout, 'generate.py', 'images', *shown, '--seeds=0', '--class=7'),
            'the first tick': train(checkout, folder)}


def results(checkout, folder):
    """The folder of a checkout's runs."""
    return os.path.join(folder, str(FLAGS.checkouts.index(checkout)))


def run(checkout, *command, status=0):
    """Seconds that a command takes; ValueError if it ends with another status."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=checkout, capture_output=True, text=True)
    if done.returncode != status and '--help' not in command:  # Which has not always ended with 0.
        raise ValueError(f'{" ".join(command)} in {checkout} ended with {done.returncode}: {done.stderr[-2000:]}')
    return time.perf_counter() - started


def train(checkout, folder):
    """Seconds until the demo's first tick is told; it then trains to its end."""
    command = [sys.executable, '-u', *TRAIN, f'--results_dir={results(checkout, folder)}',
               f'--data_dir={os.path.join(folder, "datasets")}']
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if 'tick 0' in line:
                break
        else:
            raise ValueError(f'{" ".join(command)} in {checkout} told no tick: {"".join(lines)[-2000:]}')
        seconds = time.perf_counter() - started
        process.communicate()
    return seconds


if __name__ == '__main__':
    runtime.run(main)
