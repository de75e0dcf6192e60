"""The demos as a user runs them, but shorter: training makes their data sets, grade_demo.py grades their networks."""
import re

import pytest

from data.tfrecords import Dataset
from networks.architectures import ARCHITECTURES
from networks.snapshot import save_snapshot


def test_training_makes_the_data_set_that_is_missing(run_command, tmp_path):
    arguments = ['train.py', f'--data_dir={tmp_path / "datasets"}', f'--results_dir={tmp_path / "results"}']
    plan = run_command(*arguments, '--dry_run')
    assert plan.returncode == 0 and not (tmp_path / 'datasets').exists()
    done = run_command(*arguments, '--set=train.total_kimg=0.032', '--set=network.fmap_max=8')
    assert done.returncode == 0, done.stderr
    assert f"'{tmp_path}/datasets/digits' does not exist and needs no download; it is made by: " in done.stdout
    assert Dataset(tmp_path / 'datasets' / 'digits').num_images == 1797


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    """Writes a tiny StyleGAN -> its path, by the size of its labels."""
    G, D = ARCHITECTURES['stylegan']
    sizes = {'latent_size': 8, 'dlatent_size': 8, 'mapping_fmaps': 8, 'mapping_layers': 1}

    def write(label_size):
        path = tmp_path_factory.mktemp('network') / 'network.h5'
        how = {'resolution': 16, 'num_channels': 3, 'label_size': label_size, 'fmap_max': 8}
        save_snapshot(path, G(**how, **sizes), D(**how), G(**how, **sizes, seed=1))
        return path
    return write


def test_mixed_styles_are_graded_layer_by_layer(run_command, network):
    done = run_command('grade_demo.py', '--demo=styles', f'--run={network(0)}', '--num_pairs=8')
    assert done.returncode == 0, done.stderr
    rows = re.findall(r'layers 0 to (\d), up to (\d+)x\2 +(\S+) +(\S+) +(\S+) +(\S+)\n', done.stdout)
    assert [row[:2] for row in rows] == [('1', '4'), ('3', '8')]
    assert all(-1 <= float(number) <= 1 for row in rows for number in row[2:])


def test_a_network_of_another_kind_is_refused(run_command, network):
    done = run_command('grade_demo.py', '--demo=styles', f'--run={network(2)}')
    assert done.returncode == 1 and 'must have styles, colours, 16 pixels or more and no labels' in done.stderr
