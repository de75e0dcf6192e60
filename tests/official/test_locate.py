import os
import shutil

import numpy as np
import pytest
from reference_pickles import tiny

import config as configs
import runs
from networks.snapshot import save_snapshot
from official.locate import find_network, load_network
from training import loop
from training.devices import make_strategy


@pytest.fixture(scope='module')
def named(tmp_path_factory):
    """A folder with an official .pkl, the snapshot made of it, and a run folder that holds two snapshots."""
    folder = tmp_path_factory.mktemp('networks')
    data, (G, D) = tiny(resolution=16, label_size=4, lod=0.5)
    (folder / 'official.pkl').write_bytes(data)
    snapshot = load_network(str(folder / 'official.pkl'))
    save_snapshot(folder / 'snapshot.h5', snapshot.G, snapshot.D, snapshot.Gs, nimg=2000)
    run_dir = folder / 'results' / f'{runs.create(folder / "results", "test"):03d}-test'
    runs.save_config(run_dir, '{}')
    for kimg in (1, 2):
        shutil.copy(folder / 'snapshot.h5', runs.snapshot_path(run_dir, 1000 * kimg))
    return folder


@pytest.mark.parametrize('name', ['official.pkl', 'snapshot.h5', 'results/000-test'])
def test_files_and_folders_name_a_network(named, name):
    Gs = load_network(str(named / name), names=('Gs',)).Gs
    np.testing.assert_array_equal(Gs.lod, 0.5)
    assert Gs.label_size == 4


@pytest.mark.parametrize('run', ['0', '000', '000-test', 'latest'])
def test_runs_name_their_newest_snapshot(named, run):
    assert os.path.basename(find_network(run, named / 'results')) == 'network-snapshot-000002.h5'


@pytest.mark.parametrize('name, sentence', [
    ('nothing.pkl', 'There is no file nothing.pkl'), ('nothing.h5', 'give a snapshot .h5'), ('7', "There is no run '7'"),
    ('https://host/network.pkl', 'is an address, and nothing is downloaded; get the file')])
def test_what_is_not_there_is_named(named, name, sentence):
    with pytest.raises(FileNotFoundError, match=sentence):
        find_network(name, named / 'results')


def test_training_starts_from_an_official_network(named, data_dir):
    overrides = ['network.fmap_base=16', 'network.fmap_max=4', f'data.dir={data_dir}', 'data.name=blobs']
    _, _, state, _ = loop.build(configs.resolve(['demo'], overrides), make_strategy(), str(named / 'official.pkl'))
    official = load_network(str(named / 'official.pkl'))
    for ours, theirs in ((state.G, official.G), (state.D, official.D), (state.Gs, official.Gs)):
        for name, variable in theirs.named_variables().items():
            np.testing.assert_array_equal(ours.named_variables()[name], variable, err_msg=name)


def test_import_command_verifies_and_draws(named, run_command, tmp_path):
    done = run_command('import_official.py', named / 'official.pkl', tmp_path / 'out.h5', '--verify')
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(' parameters in ') == 3 and done.stdout.count('sha256') == 5
    assert sorted(os.listdir(tmp_path)) == ['out.h5', 'out.png']
