import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import runtime
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
    networks[2].lod.assign(0.75)
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
        assert file['Gs/lod'][()] == 0.75


def test_single_networks_can_be_loaded(path):
    loaded = load_snapshot(path, names=['Gs'])
    assert loaded.G is None and loaded.D is None and float(loaded.Gs.lod.numpy()) == 0.75


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


def as_version_2(file):
    """Without what version 3 brought."""
    file.attrs['version'] = 2
    del file.attrs['sha256']
    for name in 'G', 'D', 'Gs':
        del file[name].attrs['sha256']


@pytest.mark.parametrize('arguments', [
    '[]', '5', 'null', '"text"', '{"fmap_max": "8"}', '{"fmap_max": [8]}', '{"fmap_max": null}', '{"fmap_max": 0}',
    '{"fmap_decay": 1e9}', '{"fmap_base": 0}', '{"resolution": 1099511627776}', '{"resolution": 8.0}',
    '{"latent_size": 1000000000000}', '{"latent_size": 1000000}', '{"label_size": 1000000}', '{"num_channels": -1}',
    '{"fmap_max": 32768, "fmap_base": 16777216}', '{"pixelnorm_epsilon": NaN}', '{"pixelnorm_epsilon": "1"}',
    '{"pixelnorm_epsilon": 1e308}', '{"dtype": "float64"}', '{"seed": []}', '{"other": 1}', '[' * 10000])
def test_arguments_that_build_nothing_are_refused(path, arguments):
    with h5py.File(path, 'a') as file:
        as_version_2(file)
        file['Gs'].attrs['arguments'] = arguments
    feature_maps(path)
    before = runtime.peak_memory_mib()
    with pytest.raises(ValueError, match='network.h5 .*; use another snapshot.$') as error:
        load_snapshot(path, ['Gs'])
    assert '\n' not in str(error.value) and runtime.peak_memory_mib() - before < 300


@pytest.mark.parametrize('change, sentence', [
    (lambda file: file.attrs.update(version='three'), 'is of version three'),
    (lambda file: file.attrs.update(version=4), 'is of version 4, this program reads 1 to 3'),
    (lambda file: file.attrs.update(version=2), 'its attributes do not have the checksum'),
    (lambda file: file.attrs.update(nimg=-1), 'nimg = -1'),
    (lambda file: file.attrs.update(nimg=[1, 2]), 'its attributes are nimg'),
    (lambda file: file.attrs.update(nimg=7), 'its attributes do not have the checksum'),
    (lambda file: file.attrs.pop('kind'), 'kind = None'),
    (lambda file: file['D'].attrs.update(arguments='{}'), 'the arguments of D do not have the checksum'),
    (lambda file: file['G'].attrs.pop('sha256'), 'the arguments of G do not have the checksum'),
    (lambda file: file['G/4x4/Conv/bias'].write_direct(np.ones(8, 'f')), "variable 'G/4x4/Conv/bias', whose checksum"),
    (lambda file: file['G/4x4/Conv/bias'].attrs.pop('sha256'), "variable 'G/4x4/Conv/bias', whose checksum"),
    (lambda file: file.pop('Gs'), 'lacks the network Gs'),
    (lambda file: replace(file, 'Gs', h5py.ExternalLink('/etc/other.h5', '/')), "holds '/Gs' as a link"),
    (lambda file: replace(file, 'D/lod', h5py.SoftLink('/D/lod')), "holds '/D/lod' as a link"),
    (lambda file: replace(file, 'G/4x4/Conv', file['G']), "deeper than any snapshot"),
    (lambda file: external(file, 'G/4x4/Conv/bias'), "keeps the numbers of '/G/4x4/Conv/bias' in another file"),
    (lambda file: virtual(file, 'G/4x4/Conv/bias'), "keeps the numbers of '/G/4x4/Conv/bias' in another file"),
    (lambda file: replace(file, 'G/4x4/Conv/bias', np.zeros(8)), 'G/4x4/Conv/bias as float64'),
    (lambda file: huge(file, 'G/4x4/Conv/bias'), 'should hold 4[0-9]{12} bytes of variables of G'),
    (lambda file: filled(file, np.nan), "holds numbers in '4x4/Conv/bias' that are not finite"),
    (lambda file: filled(file, np.inf), "holds numbers in '4x4/Conv/bias' that are not finite"),
    (lambda file: (as_version_2(file), replace(file, 'G/lod', np.float32(1.5))), 'holds lod 1.5; this 8x8 Generator has'),
])
def test_what_is_damaged_or_lies_elsewhere_is_refused_by_name(path, change, sentence):
    with h5py.File(path, 'a') as file:
        change(file)
    with pytest.raises(ValueError, match=f'network.h5 .*{sentence}.*; use another snapshot.$'):
        load_snapshot(path)


def replace(file, name, value):
    del file[name]
    file[name] = value


def external(file, name):
    del file[name]
    file.create_dataset(name, [8], 'f4', external=[('/etc/passwd', 0, 32)])


def virtual(file, name):
    del file[name]
    layout = h5py.VirtualLayout((8,), 'f4')
    layout[:] = h5py.VirtualSource('other.h5', 'x', (8,))
    file.create_virtual_dataset(name, layout)


def huge(file, name):
    del file[name]
    file.create_dataset(name, [10 ** 12], 'f4')


def filled(file, value):
    as_version_2(file)
    file['G/4x4/Conv/bias'][3] = value


def test_a_snapshot_without_checksums_is_read_as_before(path):
    before = load_snapshot(path)
    for version in 2, 1:
        with h5py.File(path, 'a') as file:
            if version == 2:
                as_version_2(file)
            else:
                file.attrs['version'] = 1
                del file.attrs['kind']
        after = load_snapshot(path)
        assert after.nimg == before.nimg
        for name, variable in before.D.named_variables().items():
            assert_array_equal(after.D.named_variables()[name].numpy(), variable.numpy())


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
