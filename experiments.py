"""Runs an experiment of ProGAN's paper again, row by row: `python experiments.py NAME --scale=small`.

NAME is table1, mnist1k, lsgan or growing. Each row of its table is trained with each seed, and measured; what is there is
not repeated, and what was stopped goes on, so the same command continues. After each run the tables (text, Markdown, CSV),
the curves and a picture of each row are written anew to OUT/NAME-SCALE/. A run that fails is told, and the others go on.
"""
import runtime  # isort: skip (it must come before TensorFlow)

import concurrent.futures
import dataclasses
import functools
import os
import queue

from absl import flags, logging

import config as configs
import files
import runs
from children import Children
from presets.datasets import MADE_BY
from presets.experiments import EXPERIMENTS
from quiet import has_driver
from serving.latents import parse_integers

FLAGS = flags.FLAGS
flags.DEFINE_enum('scale', None, ['small', 'paper'], 'small: minutes per row on two CPU cores; paper: days on a GPU.')
flags.DEFINE_string('seeds', None, 'Seeds to train each row with, e.g. 0-2 (default: as many as are usual, from 0 on).')
flags.DEFINE_list('rows', [], 'Train only these rows; the table also has others that were trained before.')
flags.DEFINE_multi_string('set', [], 'An override of every row\'s config, e.g. train.total_kimg=10')
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
    seeds = parse_integers(FLAGS.seeds) if FLAGS['seeds'].present else [*range(experiment.seeds)]
    if FLAGS['rows'].present and not FLAGS.rows:
        raise ValueError(f'--rows names no row; the rows of {argv[1]} are {", ".join(experiment.rows)}.')
    if any(text.startswith('train.seed=') for text in FLAGS.set):
        raise ValueError('--set=train.seed would train the same run for every seed; name seeds with --seeds.')
    from metrics.table import parse_specs
    if not parse_specs(metrics_of(experiment)):
        raise ValueError('--metrics names no metric; drop it for those of the table.')
    folder = os.path.join(FLAGS.out, f'{argv[1]}-{FLAGS.scale}')
    for name, row in rows.items():
        for seed in seeds:
            check(experiment, name, row, seed, folder)
    if not FLAGS.run and not any(columns_of(experiment, run_dir) for name in experiment.rows
                                 for run_dir in finished_runs(folder, name)):
        raise ValueError(f'There are no runs in {folder} that have ended and were measured with {metrics_of(experiment)}; '
                         'drop --norun to train and measure them.')

    os.makedirs(folder, exist_ok=True)
    with files.locked(folder, 'run', 'wait for it and what it started, or give another --out') as lock:
        failures = run_all(experiment, rows, seeds, folder, lock) if FLAGS.run else []
        print(report(experiment, rows, folder), end='')
        print(f'{folder}: {", ".join(name for name in sorted(os.listdir(folder)) if "." in name)}')
    if failures:
        raise ValueError(f'{len(failures)} of {len(rows) * len(seeds)} runs failed: {" ".join(failures)} '
                         'The same command tries them again.')


def check(experiment, name, row, seed, folder):
    """ValueError where a run cannot be what is asked, before anything runs: by a wrong name or override, or settings other
    than those that it was begun with."""
    names, *overrides = train_arguments(experiment, row, seed)
    config = configs.resolve(names.split(','), overrides)
    run_dir = runs.newest(results_dir(folder, name, seed))
    if FLAGS.run and config.data.name not in MADE_BY and not (run_dir and runs.is_finished(run_dir)):
        check_data(config.data.name, config.data.resolution)
    if FLAGS.run and run_dir:
        old, new = (dataclasses.asdict(each) for each in (
            configs.load(os.path.join(run_dir, 'config.json')), configs.from_json(configs.to_json(config))))
        keys = [(name, key) for name in new if name != 'description' for key in new[name]]
        for section, key in sorted(keys, key=lambda names: 'tick_kimg' in names[1]):  # Which follows others.
            before, now = old[section].get(key), new[section][key]
            if before != now and (section, key) != ('data', 'dir'):
                raise ValueError(f'{run_dir} was begun with {section}.{key}={before}, but here it is {now}; give another '
                                 f'--out, or remove that folder.')


@functools.cache
def check_data(name, resolution):
    """ValueError or FileNotFoundError where a data set is not there."""
    from data.tfrecords import open_dataset
    open_dataset(FLAGS.data_dir, name, resolution)


def train_arguments(experiment, row, seed):
    """[names of --config, override, ...] of a run."""
    small = FLAGS.scale == 'small'
    names = f'{row.names},{FLAGS.data or experiment.data[FLAGS.scale]}'
    values = row.values | {'train.seed': seed} | (experiment.small | row.small if small else {})
    overrides = [*(f'{key}={value}' for key, value in values.items()), *FLAGS.set]
    if small:
        kimg = configs.resolve(names.split(','), overrides).train.total_kimg
        overrides = [f'schedule.tick_kimg={kimg / SNAPSHOTS}', 'schedule.tick_kimg_dict={}',
                     'train.network_snapshot_ticks=1', *overrides]
    return [names, *overrides]


def results_dir(folder, name, seed):
    """The --results_dir of a row's run with a seed."""
    return os.path.join(folder, 'runs', f'{name}-{seed}')


def metrics_of(experiment):
    """What is measured, as --metrics of evaluate.py."""
    return experiment.metrics[FLAGS.scale] if FLAGS.metrics is None else FLAGS.metrics


def run_all(experiment, rows, seeds, folder, lock):
    """Trains and measures each row with each seed, seed by seed, so that a whole table is there early. -> what failed"""
    jobs = [(name, row, seed, seed == seeds[0]) for seed in seeds for name, row in rows.items()]
    devices, failures = queue.SimpleQueue(), []
    for device in range(FLAGS.devices or 1):
        devices.put(device)

    def do(job):
        device = devices.get()
        try:
            run(experiment, *job, folder, functools.partial(children.call, environment_of(device), lock))
        except (ValueError, OSError) as error:
            if not children.received:
                logging.error('%s', error)
                failures.append(str(error))
        finally:
            devices.put(device)

    with Children() as children, concurrent.futures.ThreadPoolExecutor(FLAGS.devices or 1) as pool:
        for number, done in enumerate(concurrent.futures.as_completed([pool.submit(do, job) for job in jobs]), 1):
            done.result()
            if not children.received:
                logging.info('%d of %d runs\n%s', number, len(jobs), report(experiment, rows, folder))
    if children.received:
        report(experiment, rows, folder)
        raise ValueError('Stopped before the end; the same command goes on.')
    return failures


def environment_of(device):
    """What a run is told of the device, by number, that is its own, or of its share of the cores."""
    if FLAGS.devices is None:
        return {}
    if has_driver():
        return {'CUDA_VISIBLE_DEVICES': str(device)}
    share = str(max(os.cpu_count() // FLAGS.devices, 1))  # Tiny kernels use one core better than two.
    return {'TF_NUM_INTRAOP_THREADS': share, 'TF_NUM_INTEROP_THREADS': '1', 'OMP_NUM_THREADS': share}


def run(experiment, name, row, seed, draw, folder, call):
    """Trains one row with one seed, or goes on, and measures it; ValueError if it stops before its end. With `draw` its
    picture is that of the row."""
    results, metrics = results_dir(folder, name, seed), metrics_of(experiment)
    run_dir, where = runs.newest(results), [f'--results_dir={results}']
    names, *overrides = train_arguments(experiment, row, seed)
    if run_dir is None or not runs.is_finished(run_dir):
        fresh = [f'--config={names}', *(f'--set={text}' for text in overrides)]
        call('train', *where, f'--data_dir={FLAGS.data_dir}', *(['--resume=latest'] if run_dir else fresh))
        run_dir = runs.newest(results)
    if not runs.is_finished(run_dir):
        raise ValueError(f'{run_dir} was stopped before its end; the same command goes on.')
    measured = os.path.join(run_dir, 'measured')
    if not (os.path.exists(measured) and files.read(measured) == metrics.encode() and columns_of(experiment, run_dir)):
        call('evaluate', *where, '--run=latest', f'--metrics={metrics}')  # Not again: it would be a start for nothing.
        files.write_text(measured, metrics)
    picture = os.path.join(folder, f'{name}.png')
    if draw and not os.path.exists(picture):
        call('generate', 'grid', f'--network={run_dir}', '--seeds=0-31', '--grid=8x4', '--nocaptions', '--overwrite',
             f'--out={picture}')


def columns_of(experiment, run_dir):
    """What a table tells of a run: {column: value}, empty if its metrics are not all on record."""
    from metrics import summary
    from metrics.table import parse_specs
    found = summary.columns_of(run_dir, parse_specs(metrics_of(experiment)))
    return found if found.keys() - {'minutes'} else {}


def report(experiment, rows, folder):
    """Writes the tables and the curves of all that is finished, of `rows` and of others that have runs. -> its text"""
    from metrics import summary
    from metrics.table import parse_specs
    finished = {name: finished_runs(folder, name) for name in experiment.rows}
    rows = {name: row for name, row in experiment.rows.items() if name in rows or finished[name]}
    lines = [(row.label, [columns_of(experiment, run_dir) for run_dir in finished[name]], row.published)
             for name, row in rows.items()]
    published = any(row.published for row in rows.values())
    text = summary.save_tables(os.path.join(folder, 'table'), title_of(experiment, sum(finished.values(), [])), lines,
                               f'Published: {experiment.source}, at its size.\n' if published else '')
    measured = [name for _, seeds, _ in lines for columns in seeds for name in columns if name != 'minutes']
    if measured:
        column = next((name for name in measured if name.endswith('_avg')), measured[0])
        curves = [(row.label, finished[name]) for name, row in rows.items()], parse_specs(metrics_of(experiment))
        summary.save_moments(os.path.join(folder, 'curves.csv'), *curves)
        summary.save_curves(os.path.join(folder, 'curves.png'), *curves, column)
    return text


def title_of(experiment, run_dirs):
    """What a table is about: of which data and how many images these runs are."""
    if not run_dirs:
        return experiment.help
    trained = [configs.load(os.path.join(run_dir, 'config.json')) for run_dir in run_dirs]
    data = ', '.join(dict.fromkeys(config.data.name for config in trained))
    kimg = [config.train.total_kimg for config in trained]
    return f'{experiment.help} ({data}, {" to ".join(f"{each:g}" for each in sorted({min(kimg), max(kimg)}))} kimg)'


def finished_runs(folder, name):
    """The run folders of a row that have ended, by seed."""
    parent = os.path.join(folder, 'runs')
    seeds = sorted(int(entry.removeprefix(f'{name}-')) for entry in (os.listdir(parent) if os.path.isdir(parent) else [])
                   if entry.startswith(f'{name}-') and entry.removeprefix(f'{name}-').isdecimal())
    found = (runs.newest(os.path.join(parent, f'{name}-{seed}')) for seed in seeds)
    return [run_dir for run_dir in found if run_dir and runs.is_finished(run_dir)]


if __name__ == '__main__':
    runtime.run(main)
