"""A row of an experiment is trained, measured and put into a table; what is there is not repeated."""
import csv
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from places import ROOT

import config as configs
import runs
from data.writer import Writer
from metrics.summary import cell, cells, save_tables
from presets.experiments import EXPERIMENTS

TINY = ['--set=network.fmap_base=64', '--set=network.fmap_max=4', '--set=network.latent_size=8',
        '--set=train.total_kimg=0.1']


@pytest.fixture
def datasets(tmp_path):
    """A folder with a small `faces32`."""
    with Writer(tmp_path / 'datasets' / 'faces32', 32, 3) as writer:
        writer.add(np.random.RandomState(0).randint(256, size=[40, 3, 32, 32]).astype(np.uint8))
    return tmp_path / 'datasets'


def test_a_row_is_trained_and_measured_once_and_goes_on_where_it_was_stopped(command, run_command, datasets, tmp_path):
    arguments = ['lsgan', '--scale=small', '--rows=lsgan-bare', '--seeds=4', '--metrics=msssim-8',
                 f'--data_dir={datasets}', f'--out={tmp_path}', *TINY]
    told = command('experiments.py', *arguments)
    folder = tmp_path / 'lsgan-small'
    run, = (folder / 'runs' / 'lsgan-bare-4').iterdir()
    settings = configs.load(run / 'config.json')
    assert (settings.loss.kind, settings.loss.noise_weight, settings.train.seed) == ('lsgan', 0.0, 4)
    assert len((run / 'stats.jsonl').read_text().splitlines()) >= 3  # The tick follows the total.
    title, row = csv.reader((folder / 'table.csv').open())
    assert title == ['row', 'seeds', 'MS-SSIM', 'MS-SSIM deviation', 'minutes', 'minutes deviation']
    assert row[:2] == ['LSGAN without noise', '1'] and row[3] == '' and 0 < float(row[2]) < 1
    assert 'LSGAN without noise' in told and f'{float(row[2]):.4g}' in told
    moments = list(csv.DictReader((folder / 'curves.csv').open()))
    assert moments[-1]['run'] == str(run) and moments[-1]['MS-SSIM'] == row[2] and len(moments) > 1
    assert 'faces32, ' in (folder / 'table.md').read_text().splitlines()[0] and 'curves.csv, curves.png, ' in told
    assert {'table.txt', 'table.md', 'curves.png', 'lsgan-bare.png'} <= {path.name for path in folder.iterdir()}

    written = (run / 'network-final.h5').stat().st_mtime_ns
    for name in 'finished', 'network-final.h5':  # As if it had been killed between its last checkpoint and its end.
        (run / name).unlink()
    assert command('experiments.py', *arguments).splitlines()[2].split()[:5] == told.splitlines()[2].split()[:5]
    assert (run / 'finished').exists() and len([*run.parent.iterdir()]) == 1
    again = (run / 'network-final.h5').stat().st_mtime_ns
    command('experiments.py', *arguments, '--norun')
    assert written <= again == (run / 'network-final.h5').stat().st_mtime_ns

    other = run_command('experiments.py', *arguments[:2], '--norun', '--metrics=msssim-4', f'--out={tmp_path}')
    assert other.returncode == 1 and 'have ended and were measured with msssim-4; drop --norun' in other.stderr
    (run / 'metrics.jsonl').write_bytes(b'\xff{')
    assert command('experiments.py', *arguments).splitlines()[2].split()[:5] == told.splitlines()[2].split()[:5]

    done = run_command('experiments.py', *arguments, '--set=network.fmap_max=8')
    assert done.returncode == 1 and done.stderr == (
        f'experiments.py: {run} was begun with network.fmap_max=4, but here it is 8; give another --out, or remove that '
        f'folder.\n')


def test_a_run_that_fails_is_told_and_the_others_go_on(run_command, datasets, tmp_path):
    arguments = ['lsgan', '--scale=small', '--rows=lsgan-bare', '--seeds=0-1', '--metrics=msssim-8',
                 f'--data_dir={datasets}', f'--out={tmp_path}', *TINY]
    folder = tmp_path / 'lsgan-small'
    held = folder / 'runs' / 'lsgan-bare-0' / '000-x'
    held.mkdir(parents=True)
    assert run_command('experiments.py', *arguments, '--seeds=1').returncode == 0
    other, = (folder / 'runs' / 'lsgan-bare-1').glob('*/config.json')
    (held / 'config.json').write_text(other.read_text().replace('"seed": 1', '"seed": 0'))
    with runs.locked(str(held)):
        done = run_command('experiments.py', *arguments)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert '1 of 2 runs failed: ' in done.stderr.splitlines()[-1]
    assert next(csv.reader((folder / 'table.csv').read_text().splitlines()[1:]))[:2] == ['LSGAN without noise', '1']


def test_sigterm_stops_what_was_started_with_a_checkpoint(datasets, tmp_path):
    arguments = ['growing', '--scale=small', '--rows=all-layers', '--seeds=0-1', '--devices=2', f'--data_dir={datasets}',
                 f'--out={tmp_path}', *TINY, '--set=train.total_kimg=9000',  # Neither ends by itself.
                 '--set=schedule.tick_kimg=50']
    process = subprocess.Popen([sys.executable, 'experiments.py', *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    logs = [tmp_path / 'growing-small' / 'runs' / f'all-layers-{seed}' for seed in (0, 1)]
    while not all(any(folder.glob('*/checkpoints/*.index')) for folder in logs):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    told = process.communicate()[1]
    assert process.returncode == 1 and told.splitlines()[-1] == (
        'experiments.py: Stopped before the end; the same command goes on.') and 'Traceback' not in told
    for folder in logs:
        run, = folder.iterdir()
        assert 'Stopped at' in (run / 'log.txt').read_text()
        with runs.locked(str(run)):  # Nobody trains it any more.
            pass


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_every_row_is_a_config_of_either_size_and_small_ones_are_as_long(name):
    experiment = EXPERIMENTS[name]
    for row in experiment.rows.values():
        configs.resolve([*row.names.split(','), experiment.data['paper']], [f'{k}={v}' for k, v in row.values.items()])
        small = experiment.small | row.small | row.values
        config = configs.resolve([*row.names.split(','), experiment.data['small']], [f'{k}={v}' for k, v in small.items()])
        assert config.train.total_kimg <= 300 and config.data.name in ('faces32', 'digitsrgb')
        assert config.schedule.lod_training_kimg < 100


def test_cells_tell_mean_and_deviation_beside_what_was_published(tmp_path):
    assert (cell([]), cell([2.0]), cell([1.0, 3.0])) == ('-', '2', '2 +- 1.4')
    assert (cell([200.0, 700.5]), cell([0.0, 0.0123])) == ('450.2 +- 350', '0.00615 +- 0.0087')
    rows = [('a', [{'x': 1.0}, {'x': 3.0, 'y': 5.0}], {'x': 7.0, 'z': 1.0}), ('b', [], {})]
    assert cells(rows) == [['row', 'seeds', 'x', 'y', 'x published'], ['a', '2', '2 +- 1.4', '5', '7'],
                           ['b', '0', '-', '-', '-']]
    told = save_tables(str(tmp_path / 'table'), 'of faces', rows, 'Published: 1999.\n').splitlines()
    assert told[0] == 'of faces' and told[2].split() == ['a', '2', '2', '+-', '1.4', '5', '7']
    assert told[-1] == 'Published: 1999.'
    assert (tmp_path / 'table.md').read_text().splitlines()[3] == '|---|---|---|---|---|'
    _, a, b = csv.reader((tmp_path / 'table.csv').open())
    assert a == ['a', '2', '2.0', '1.4142135623730951', '5.0', '', '7.0'] and b == ['b', '0', '', '', '', '', '']


@pytest.mark.parametrize('arguments, sentence', [
    (['table2', '--scale=small'], "no experiment 'table2'; use one of table1, mnist1k, lsgan, growing."),
    (['table1'], 'Which size? Give --scale=small'),
    (['table1', '--scale=small', '--rows=k4'], "table1 has no row 'k4'; its rows are a, b, c"),
    (['table1', '--scale=small', '--set=train.kimg=3'], 'train.kimg'),
    (['table1', '--scale=small', '--set=train.seed=3'], 'name seeds with --seeds'),
    (['table1', '--scale=small', '--metrics='], '--metrics names no metric'),
    (['table1', '--scale=small', '--seeds='], "'' is not a list of numbers"),
    (['table1', '--scale=small', '--norun'], 'There are no runs in'),
    (['mnist1k', '--scale=paper'], "data set 'datasets/mnistrgb' does not exist; create it with")])
def test_what_cannot_be_run_is_told_before_anything_runs(run_command, tmp_path, arguments, sentence):
    done = run_command('experiments.py', *arguments, f'--out={tmp_path / "out"}')
    assert done.returncode == 1 and sentence in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path / 'out').exists()
