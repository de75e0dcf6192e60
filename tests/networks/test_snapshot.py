import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from networks.architectures import copy_of, copy_variables
from networks.progan import Discriminator, Generator
from networks.snapshot import assign, feature_maps, load_snapshot, save_snapshot

ARGUMENTS = dict(resolution=8, num_channels=1, label_size=2, fmap_base=32, fmap_max=8)


@pytest.fixture(scope='module')
def networks():
    return (Generator(**ARGUMENTS, seed=1, latent_size=5), Discriminator(**ARGUMENTS, seed=2, mbstd_group_size=2),
            Generator(**ARGUMENTS, seed=3, latent_size=5))


@pytest.fixture
def path(tmp_path, networks):
    path = tmp_path / 'network.h5'
    networks[2].lod.assign(1.25)
    save_snapshot(path, *networks, nimg=123_456)
    return path


def test_snapshot_round_trip_keeps_variables_arguments_and_position(path, networks):
    loaded = load_snapshot(path)
    assert loaded.nimg == 123_456
    for network, original in zip(loaded[:3], networks, strict=True):
        assert network.build_arguments() == original.build_arguments()
        for name, variable in original.named_variables().items():
            assert_array_equal(network.named_variables()[name].numpy(), variable.numpy(), err_msg=name)


def test_variables_are_stored_under_the_reference_names(path, networks):
    with h5py.File(path) as file:
        assert_array_equal(file['Gs/8x8/Conv0_up/weight'][()], networks[2].named_variables()['8x8/Conv0_up/weight'].numpy())
        assert file['Gs/lod'][()] == 1.25


def test_single_networks_can_be_loaded(path):
    loaded = load_snapshot(path, names=['Gs'])
    assert loaded.G is None and loaded.D is None and float(loaded.Gs.lod.numpy()) == 1.25


@pytest.mark.parametrize('size', [0, 100, 5000])
def test_a_truncated_snapshot_is_refused(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match='network.h5 is truncated, damaged or not an HDF5'):
        load_snapshot(path)


def test_a_foreign_hdf5_file_is_refused(tmp_path):
    with h5py.File(tmp_path / 'other.h5', 'w') as file:
        file['x'] = np.zeros(3)
    with pytest.raises(ValueError, match='not a snapshot of this project'):
        load_snapshot(tmp_path / 'other.h5')


@pytest.mark.parametrize('arguments', [
    '[]', '5', 'null', '{"fmap_max": "8"}', '{"fmap_max": [8]}', '{"fmap_max": 0}', '{"fmap_decay": 1e9}',
    '{"fmap_base": 0}', '{"resolution": 1099511627776}', '{"latent_size": 1000000000000}', '{"other": 1}'])
def test_arguments_that_build_nothing_are_refused(path, arguments):
    with h5py.File(path, 'a') as file:
        file['Gs'].attrs['arguments'] = arguments
    assert feature_maps(path) in (None, 0)
    with pytest.raises(ValueError, match='network.h5 .*;|leave a layer without feature maps'):
        load_snapshot(path)


def test_a_missing_variable_is_named(path):
    with h5py.File(path, 'a') as file:
        del file['D/4x4/Conv/bias']
    with pytest.raises(ValueError, match="lacks variable '4x4/Conv/bias'"):
        load_snapshot(path)


def test_another_architecture_is_refused_by_the_first_shape_that_differs(networks):
    other = Generator(**{**ARGUMENTS, 'fmap_max': 4}, latent_size=5)
    values = {name: variable.numpy() for name, variable in networks[0].named_variables().items()}
    with pytest.raises(ValueError, match=r"'4x4/Dense/weight' of shape \[7, 128\], this Generator needs \[7, 64\]"):
        assign(other, values, 'x.h5')


def test_a_failed_save_leaves_the_old_snapshot(path, networks, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(type(networks[0]), 'named_variables', lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_snapshot(path, *networks)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ['network.h5']


def test_copy_variables_copies_all(networks):
    target = Generator(**ARGUMENTS, latent_size=5)
    copy_variables(networks[0], target)
    for name, variable in networks[0].named_variables().items():
        assert_array_equal(target.named_variables()[name].numpy(), variable.numpy())


def test_names_of_classes_are_kept_however_many_and_need_not_be_there(tmp_path, networks):
    names, path = ('cat', 'Überraschung'), tmp_path / 'named.h5'
    named = copy_of(networks[2])
    assert named.class_names is None
    named.class_names = names
    save_snapshot(path, *networks[:2], named)
    assert all(network.class_names == names for network in load_snapshot(path)[:3]) and copy_of(named).class_names == names
    save_snapshot(path, *networks)
    assert load_snapshot(path, names=['Gs']).Gs.class_names is None
    many = Generator(**ARGUMENTS | {'label_size': 3000})
    many.class_names = tuple(f'a name of fifty letters {number:026d}' for number in range(3000))  # 150 kB.
    save_snapshot(path, many, networks[1], many)
    assert load_snapshot(path, names=['Gs']).Gs.class_names == many.class_names


@pytest.mark.parametrize('text', ['["cat"]', '{"cat": 0, "dog": 1}', '["cat", 1]', 'cat'])
def test_names_that_do_not_fit_are_refused(path, text):
    with h5py.File(path, 'a') as file:
        file['class_names'] = text
    with pytest.raises(ValueError, match='network.h5 .*damaged'):
        load_snapshot(path)
