"""A row of an experiment is trained, measured and put into a table; what is there is not repeated."""
import csv

import numpy as np
import pytest

import config as configs
from data.writer import Writer
from metrics.summary import cell, cells, save_tables
from presets.experiments import EXPERIMENTS

TINY = ['--set=network.fmap_base=64', '--set=network.fmap_max=4', '--set=network.latent_size=8',
        '--set=train.total_kimg=0.1']


def test_a_row_is_trained_and_measured_once_and_goes_on_where_it_was_stopped(command, tmp_path):
    with Writer(tmp_path / 'datasets' / 'faces32', 32, 3) as writer:
        writer.add(np.random.RandomState(0).randint(256, size=[40, 3, 32, 32]).astype(np.uint8))
    arguments = ['lsgan', '--scale=small', '--rows=lsgan-bare', '--seeds=4', '--metrics=msssim-8',
                 f'--data_dir={tmp_path / "datasets"}', f'--out={tmp_path}', *TINY]
    told = command('experiments.py', *arguments)
    folder = tmp_path / 'lsgan-small'
    run, = (folder / 'runs' / 'lsgan-bare-4').iterdir()
    settings = configs.load(run / 'config.json')
    assert (settings.loss.kind, settings.loss.noise_weight, settings.train.seed) == ('lsgan', 0.0, 4)
    title, row = csv.reader((folder / 'table.csv').open())
    assert title == ['', 'seeds', 'MS-SSIM', 'minutes'] and row[:2] == ['LSGAN without noise', '1'] and 0 < float(row[2]) < 1
    assert 'LSGAN without noise' in told and row[2] in told
    assert {'table.txt', 'table.md', 'curves.png', 'lsgan-bare.png'} <= {path.name for path in folder.iterdir()}

    written = (run / 'network-final.h5').stat().st_mtime_ns
    (run / 'finished').unlink()  # As if it had been killed before its end was told.
    assert command('experiments.py', *arguments).splitlines()[2].split()[:5] == told.splitlines()[2].split()[:5]
    assert (run / 'finished').exists() and len([*run.parent.iterdir()]) == 1
    again = (run / 'network-final.h5').stat().st_mtime_ns
    command('experiments.py', *arguments, '--norun')
    assert written <= again == (run / 'network-final.h5').stat().st_mtime_ns


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
    table = cells([('a', [{'x': 1.0}, {'x': 3.0, 'y': 5.0}], {'x': 7.0}), ('b', [], {})])
    assert table == [['', 'seeds', 'x', 'y', 'x published'], ['a', '2', '2 +- 1.4', '5', '7'], ['b', '0', '-', '-', '-']]
    assert save_tables(str(tmp_path / 'table'), table).splitlines()[1].split() == ['a', '2', '2', '+-', '1.4', '5', '7']
    assert (tmp_path / 'table.md').read_text().splitlines()[1] == '|---|---|---|---|---|'


@pytest.mark.parametrize('arguments, sentence', [
    (['table2', '--scale=small'], "no experiment 'table2'; use one of table1, mnist1k, lsgan, growing."),
    (['table1'], 'Which size? Give --scale=small'),
    (['table1', '--scale=small', '--rows=k4'], "table1 has no row 'k4'; its rows are a, b, c"),
    (['table1', '--scale=small', '--set=train.kimg=3'], 'train.kimg')])
def test_what_cannot_be_run_is_told_before_anything_runs(run_command, tmp_path, arguments, sentence):
    done = run_command('experiments.py', *arguments, f'--out={tmp_path / "out"}')
    assert done.returncode == 1 and sentence in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path / 'out').exists()
