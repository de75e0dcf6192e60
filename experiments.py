"""Runs an experiment of ProGAN's paper again, row by row: `python experiments.py NAME --scale=small`.

NAME is table1, mnist1k, lsgan or growing. Each row of its table is trained with each seed, and measured; what is there is
not repeated, and what was stopped goes on, so the same command continues. After each run the tables (text, Markdown, CSV),
the curves and a picture of each row are written anew to OUT/NAME-SCALE/.
"""
import runtime  # isort: skip (it must come before TensorFlow)

import concurrent.futures
import functools
import os
import queue
import subprocess
import sys

from absl import flags, logging

import config as configs
import files
import runs
from presets.experiments import EXPERIMENTS
from quiet import has_driver
from serving.latents import parse_integers
from wording import command

FLAGS = flags.FLAGS
flags.DEFINE_enum('scale', None, ['small', 'paper'], 'small: minutes per row on two CPU cores; paper: days on a GPU.')
flags.DEFINE_string('seeds', None, 'Seeds to train each row with, e.g. 0-2 (default: as many as are usual, from 0 on).')
flags.DEFINE_list('rows', [], 'Only these rows of the table, in its order.')
flags.DEFINE_multi_string('set', [], 'An override of every row\'s config, e.g. --set=train.total_kimg=10.')
flags.DEFINE_string('metrics', None, 'Metrics as evaluate.py takes them (default: the table\'s).')
flags.DEFINE_string('data', None, 'Another data set of train.py --list (default: the paper\'s, or one that is made).')
flags.DEFINE_string('data_dir', 'datasets', 'Folder of the data sets.')
flags.DEFINE_string('out', 'results/experiments', 'Folder of the experiments.')
flags.DEFINE_integer('devices', None, 'Train so many runs at a time, each on a GPU of its own, or on its share of the CPU.',
                     lower_bound=1)
flags.DEFINE_bool('run', True, 'Train; --norun writes the tables of what is there.')

SNAPSHOTS = 4  # Moments of a run that are measured, for its curve.


def main(argv):
    if len(argv) != 2:
        raise ValueError(f'Which experiment? Name one of {", ".join(EXPERIMENTS)}.')
    if argv[1] not in EXPERIMENTS:
        raise ValueError(f'There is no experiment {argv[1]!r}; use one of {", ".join(EXPERIMENTS)}.')
    if FLAGS.scale is None:
        raise ValueError('Which size? Give --scale=small, for minutes on a CPU, or --scale=paper, for days on GPUs.')
    experiment = EXPERIMENTS[argv[1]]
    rows = {name: row for name, row in experiment.rows.items() if not FLAGS.rows or name in FLAGS.rows}
    for name in FLAGS.rows:
        if name not in rows:
            raise ValueError(f'{argv[1]} has no row {name!r}; its rows are {", ".join(experiment.rows)}.')
    seeds = parse_integers(FLAGS.seeds) if FLAGS.seeds else [*range(experiment.seeds)]
    if FLAGS['rows'].present and not FLAGS.rows:
        raise ValueError(f'--rows names no row; the rows of {argv[1]} are {", ".join(experiment.rows)}.')
    from metrics.table import parse_specs
    parse_specs(metrics_of(experiment))
    for row in rows.values():
        arguments = train_arguments(experiment, row, seeds[0])  # A wrong name or override is told before anything runs.
        configs.resolve(arguments[0].split(','), arguments[1:])

    folder = os.path.join(FLAGS.out, f'{argv[1]}-{FLAGS.scale}')
    os.makedirs(folder, exist_ok=True)
    with files.locked(folder, 'run', 'wait for it and what it started, or give another --out') as lock:
        if FLAGS.run:
            run_all(experiment, rows, seeds, folder, lock)
        print(f'{experiment.help}:\n{report(experiment, rows, folder)}', end='')
        print(f'{folder}: table.txt, table.md, table.csv, curves.png, a picture of each row')


def train_arguments(experiment, row, seed):
    """[names of --config, override, ...] of a run."""
    small = FLAGS.scale == 'small'
    names = f'{row.names},{FLAGS.data or experiment.data[FLAGS.scale]}'
    values = row.values | {'train.seed': seed} | (experiment.small | row.small if small else {})
    kimg = values.get('train.total_kimg')
    if kimg:
        values |= {'schedule.tick_kimg': kimg / SNAPSHOTS, 'schedule.tick_kimg_dict': {}, 'train.network_snapshot_ticks': 1}
    return [names, *(f'{key}={value}' for key, value in values.items()), *FLAGS.set]


def metrics_of(experiment):
    """What is measured, as --metrics of evaluate.py."""
    return experiment.metrics[FLAGS.scale] if FLAGS.metrics is None else FLAGS.metrics


def run_all(experiment, rows, seeds, folder, lock):
    """Trains and measures each row with each seed, seed by seed, so that a whole table is there early."""
    jobs = [(name, row, seed) for seed in seeds for name, row in rows.items()]
    devices = queue.SimpleQueue()
    for device in range(FLAGS.devices or 1):
        devices.put(device)

    def do(job):
        device = devices.get()
        try:
            run(experiment, *job, folder, functools.partial(call, environment_of(device), lock))
        finally:
            devices.put(device)

    with concurrent.futures.ThreadPoolExecutor(FLAGS.devices or 1) as pool:
        try:
            for number, _ in enumerate(pool.map(do, jobs), 1):
                logging.info('%d of %d runs\n%s', number, len(jobs), report(experiment, rows, folder))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def environment_of(device):
    """What a run is told of the device, by number, that is its own, or of its share of the cores."""
    if FLAGS.devices is None:
        return {}
    if has_driver():
        return {'CUDA_VISIBLE_DEVICES': str(device)}
    share = str(max(os.cpu_count() // FLAGS.devices, 1))  # Tiny kernels use one core better than two.
    return {'TF_NUM_INTRAOP_THREADS': share, 'TF_NUM_INTEROP_THREADS': '1', 'OMP_NUM_THREADS': share}


def run(experiment, name, row, seed, folder, call):
    """Trains one row with one seed, or goes on, and measures it; ValueError if it stops before its end."""
    results_dir, metrics = os.path.join(folder, 'runs', f'{name}-{seed}'), metrics_of(experiment)
    run_dir, where = runs.newest(results_dir), [f'--results_dir={results_dir}']
    names, *overrides = train_arguments(experiment, row, seed)
    if run_dir is None or not runs.is_finished(run_dir):
        fresh = [f'--config={names}', *(f'--set={text}' for text in overrides)]
        call('train', *where, f'--data_dir={FLAGS.data_dir}', *(['--resume=latest'] if run_dir else fresh))
        run_dir = runs.newest(results_dir)
    if not runs.is_finished(run_dir):
        raise ValueError(f'{run_dir} was stopped before its end; the same command goes on.')
    measured = os.path.join(run_dir, 'measured')
    if not os.path.exists(measured) or files.read(measured).decode() != metrics:  # Else a start for nothing.
        call('evaluate', *where, '--run=latest', f'--metrics={metrics}')
        files.write_text(measured, metrics)
    picture = os.path.join(folder, f'{name}.png')
    if not os.path.exists(picture):
        call('generate', 'grid', f'--network={run_dir}', '--seeds=0-31', '--grid=8x4', '--nocaptions', '--overwrite',
             f'--out={picture}')


def call(environment, lock, name, *arguments):
    """Runs one of the commands, whose lines go to stderr, and which holds the lock too; ValueError if it fails."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), f'{name}.py')
    program = ['-m', __package__, name] if __package__ else [script]
    done = subprocess.run([sys.executable, *program, *arguments], stdout=sys.stderr, env={**os.environ, **environment},
                          pass_fds=[lock.fileno()])
    if done.returncode:
        raise ValueError(f'{command(name)} {" ".join(arguments)} ended with status {done.returncode}; see its lines above.')


def report(experiment, rows, folder):
    """Writes the tables and the curves of all that is finished. -> the table's text"""
    from metrics import summary
    finished = {name: [run_dir for run_dir in runs_of(folder, name) if runs.is_finished(run_dir)] for name in rows}
    lines = [(row.label, [summary.columns_of(run_dir) for run_dir in finished[name]], row.published)
             for name, row in rows.items()]
    table = summary.cells(lines)
    text = summary.save_tables(os.path.join(folder, 'table'), table)
    measured = [name for name in table[0][2:] if name != 'minutes' and not name.endswith(' published')]
    if measured:
        column = next((name for name in measured if name.endswith('_avg')), measured[0])
        summary.save_curves(os.path.join(folder, 'curves.png'),
                            [(row.label, finished[name]) for name, row in rows.items()], column)
    published = any(row.published for row in rows.values())
    return text + (f'Published: {experiment.source}, at its size.\n' if published else '')


def runs_of(folder, name):
    """The run folders of a row, by seed."""
    parent = os.path.join(folder, 'runs')
    seeds = sorted(int(entry.removeprefix(f'{name}-')) for entry in (os.listdir(parent) if os.path.isdir(parent) else [])
                   if entry.startswith(f'{name}-') and entry.removeprefix(f'{name}-').isdecimal())
    return [run_dir for seed in seeds if (run_dir := runs.newest(os.path.join(parent, f'{name}-{seed}')))]


if __name__ == '__main__':
    runtime.run(main)
