"""What a user waits for before anything is seen: `python benchmarks/startup.py [--checkouts=.,../before]`.

Method: each command runs --repeats times in each checkout, the checkouts in turn, and medians of the seconds since its start
are told: until generate.py's --help has ended, and a mistake in its --seeds; until one picture of the demo's network is
written; until training the demo has told its first tick, of 64 images. Then the stages of the first step of training, of
four rounds, and of the first picture, both of networks of --network with 64 maps at 64x64: see _stages.py. All use this
Python. The last line is JSON.
"""
import os

import _root  # noqa: F401  isort: skip
import runtime  # isort: skip
import collections
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time

from _noise import write_noise
from absl import flags
from machine import limit_isa

FLAGS = flags.FLAGS
flags.declare_key_flag('isa')
flags.DEFINE_list('checkouts', ['.'], 'Folders of this project at the commits to compare.')
flags.DEFINE_integer('repeats', 5, 'How often each command runs.', lower_bound=1)
flags.DEFINE_enum('network', 'progan', ['progan', 'stylegan', 'stylegan2'], 'Which networks the stages are of.')

TRAIN = ['train.py', '--set=schedule.tick_kimg=0.064', '--set=train.total_kimg=0.064']


def main(argv):
    limit_isa()
    seconds = collections.defaultdict(lambda: collections.defaultdict(list))  # {(table, row): {checkout: [..]}}
    with tempfile.TemporaryDirectory() as folder:
        write_noise(os.path.join(folder, 'noise'), 64)
        for checkout in FLAGS.checkouts:
            train(checkout, folder)  # Makes the data set, and the network to show.
        for number in range(FLAGS.repeats):
            for checkout in FLAGS.checkouts:
                for table, found in [('seconds until', waits(checkout, folder, number)),
                                     ('of the first step', stages('step', checkout, folder)),
                                     ('of the first picture', stages('picture', checkout, folder))]:
                    for row, value in found.items():
                        seconds[table, row][checkout].append(value)
    medians = {key: {checkout: statistics.median(found[checkout]) for checkout in FLAGS.checkouts if checkout in found}
               for key, found in seconds.items()}
    tables = {table: {row: medians[table, row] for _, row in keys}
              for table, keys in itertools.groupby(medians, lambda key: key[0])}
    for table, rows in tables.items():
        print(f'{table:32s}' + ''.join(f'{checkout:>22s}' for checkout in FLAGS.checkouts))
        for row, found in rows.items():
            print(f'  {row:30s}' + ''.join(f'{found.get(checkout, 0):22.2f}' for checkout in FLAGS.checkouts))
    print(json.dumps(tables))


def waits(checkout, folder, number):
    """{what: seconds} of each command in a checkout."""
    runs = results(checkout, folder)
    shown = [f'--network={runs}/000-demo', f'--out={runs}-{number}.png']
    return {'--help has ended': run(checkout, 'generate.py', '--help'),
            'a mistake is told': run(checkout, 'generate.py', 'images', *shown, '--seeds=1-x', status=1),
            'the first picture': run(checkout, 'generate.py', 'images', *shown, '--seeds=0', '--class=7'),
            'the first tick': train(checkout, folder)}


def stages(what, checkout, folder):
    """{stage: seconds} of a first step or picture with the modules of a checkout, and their sum."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), '_stages.py')
    command = [sys.executable, script, what, FLAGS.network, os.path.join(folder, 'noise'),
               f'{results(checkout, folder)}.h5', str(time.time())]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f'The stages of a {what} in {checkout} failed: {done.stderr[-2000:]}')
    found = json.loads(done.stdout.splitlines()[-1])
    return found | {'in all': sum(found.values())}


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
