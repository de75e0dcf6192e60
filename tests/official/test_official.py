import json
import os
import subprocess
import sys

import numpy as np
import pytest
from malicious_pickles import MALICIOUS
from places import ROOT, TESTS
from reference_pickles import pickled, tensorflow_state, theano_state, tiny

import runtime
from networks.snapshot import load_snapshot, save_snapshot
from official.load import load_official
from serving.generate import generate_images


@pytest.fixture(scope='module', params=['network_a', 'network_theano_wscale'])
def official(request, goldens):
    """(snapshot, golden outputs) of both layouts."""
    golden = np.load(goldens / 'pickles' / f'{request.param}_run.npz')
    return load_official(goldens / 'pickles' / f'{request.param}.pkl'), golden


def _chw(images):
    return np.transpose(images, [0, 3, 1, 2])


def _write(tmp_path, data):
    path = tmp_path / 'network.pkl'
    path.write_bytes(data)
    return str(path)


def _states():
    """States of a small (G, D, Gs) that a test may spoil."""
    _, (G, D) = tiny()
    arguments = G.build_arguments() | D.build_arguments()
    return [tensorflow_state(network, arguments) for network in (G, D, G)]


def test_pictures_equal_the_references(official):
    snapshot, golden = official
    pictures = _chw(np.concatenate([*generate_images(snapshot.Gs, golden['latents'])])).astype(int)
    difference = np.abs(pictures - golden['images_uint8'])
    assert difference.max() <= 1 and (difference > 0).mean() <= 0.001


def test_images_equal_the_references(official):
    snapshot, golden = official
    for network, name in ((snapshot.Gs, 'images_float'), (snapshot.G, 'G_images_float')):
        np.testing.assert_allclose(_chw(network.generate(golden['latents'])), golden[name], atol=3e-5)


def test_scores_equal_the_references(official):
    snapshot, golden = official
    scores, _ = snapshot.D.discriminate(golden['images_float'].transpose(0, 2, 3, 1))
    np.testing.assert_allclose(scores, golden['D_scores'][:, 0], atol=1e-5)


@pytest.mark.parametrize('layout, protocol, use_wscale, label_size', [
    ('tensorflow', 2, True, 0), ('tensorflow', 5, True, 3), ('tensorflow', 4, False, 0),
    ('theano', 2, True, 3), ('theano', 2, False, 0), ('theano', 2, False, 3)])
def test_every_layout_gives_back_its_networks(tmp_path, layout, protocol, use_wscale, label_size):
    data, (G, D) = tiny(layout, protocol, lod=0.5, resolution=16, label_size=label_size, use_wscale=use_wscale)
    snapshot = load_official(_write(tmp_path, data))
    for original, imported in ((G, snapshot.G), (D, snapshot.D), (G, snapshot.Gs)):
        assert float(imported.lod.numpy()) == 0.5
        for name, variable in imported.named_variables().items():
            if name != 'lod':
                np.testing.assert_allclose(variable, original.named_variables()[name], rtol=1e-6, err_msg=name)


def test_snapshot_of_an_imported_network_holds_the_same(tmp_path, official):
    snapshot, golden = official
    save_snapshot(tmp_path / 'out.h5', snapshot.G, snapshot.D, snapshot.Gs)
    again = load_snapshot(tmp_path / 'out.h5', names=('Gs',)).Gs
    np.testing.assert_array_equal(again.generate(golden['latents'][:2]), snapshot.Gs.generate(golden['latents'][:2]))


@pytest.mark.parametrize('spoil, sentence', [
    (lambda states: states.pop(), 'holds 2 items'),
    (lambda states: states[1]['variables'].pop(3), "D lacks variable '4x4/Conv/weight'"),
    (lambda states: states[0]['variables'].append(('8x8/Conv1/weight', np.zeros(3))), "unknown variable '8x8/Conv1"),
    (lambda states: states[2]['variables'].append(('4x4/Conv/bias', np.zeros(3))), 'new name'),
    (lambda states: states[2]['variables'].__setitem__(2, ('4x4/Dense/bias', np.zeros([5], 'f'))), r'shape \[5\]'),
    (lambda states: states[0]['variables'].__setitem__(0, ('lod', np.float32('nan'))), 'lod nan'),
    (lambda states: states[0]['variables'].__setitem__(0, ('lod', 'high')), 'type str'),
    (lambda states: states[0].pop('static_kwargs'), "no dict 'static_kwargs'"),
    (lambda states: states[0]['static_kwargs'].update(resolution=5), 'power of two'),
    (lambda states: states[0]['static_kwargs'].update(resolution='big'), "resolution = 'big'"),
    (lambda states: states[0]['static_kwargs'].update(use_wscale=1), 'use_wscale = 1'),
    (lambda states: states[0]['static_kwargs'].update(fmap_max=4096, fmap_base=1 << 20), 'at least .* parameters'),
    (lambda states: states[0].update(build_func_name='G_other'), "built by 'G_other'"),
    (lambda states: states[0].update(version=5), 'G is a network of version 5, as StyleGAN2-ADA writes; this project reads'),
    (lambda states: states[0].update(version='x'), "of version 'x'; this project reads versions 2")])
def test_misfits_are_named_in_one_sentence(tmp_path, spoil, sentence):
    states = _states()
    spoil(states)
    with pytest.raises(ValueError, match=sentence) as error:
        load_official(_write(tmp_path, pickled(states, 'tfutil', 4)))
    assert '\n' not in str(error.value)


def test_an_array_that_is_referred_to_often_is_kept_and_counted_once(tmp_path):
    states, array = _states(), np.zeros([4 << 20], np.uint8)
    for state in states:
        state['variables'] = [(f'variable {i}', array) for i in range(2000)]
        state['static_kwargs'].update(fmap_max=1024, fmap_base=1 << 14, resolution=1024)
    path, before = _write(tmp_path, pickled(states, 'tfutil', 4)), runtime.peak_memory_mib()
    with pytest.raises(ValueError, match='at least .* parameters and stores 4194304'):
        load_official(path)
    assert runtime.peak_memory_mib() - before < 1000


def test_unpublished_theano_switches_are_refused_by_name(tmp_path):
    data, _ = tiny('theano', protocol=2)
    spoilt = data.replace(b'mbstat_avg', b'mbstat_xxx').replace(b'use_layernorm', b'tanh_at_endxx')
    load_official(_write(tmp_path, spoilt), names=())  # Absent switches have their only value.
    with pytest.raises(ValueError, match='mbstat_func = .Tstdepz'):
        load_official(_write(tmp_path, data.replace(b'Tstdeps', b'Tstdepz')), names=())


@pytest.mark.parametrize('network, name, value, sentence', [
    ('G', 'use_batchnorm', True, 'use_batchnorm = True; only False .* where those of batch norm are is not known'),
    ('D', 'use_layernorm', True, 'use_layernorm = True; .* layer norm'),
    ('D', 'mbdisc_kernels', 100, 'mbdisc_kernels = 100; only None .* minibatch discrimination'),
    ('G', 'tanh_at_end', 0.5, 'tanh_at_end = 0.5; only None and 1.0')])
def test_theano_layers_whose_place_is_unknown_are_refused_by_name(tmp_path, network, name, value, sentence):
    _, (G, D) = tiny('theano', protocol=2)
    states = [theano_state(made, {'resolution': 4, 'num_channels': 3, 'fmap_base': 16, 'fmap_max': 4}) for made in (G, D, G)]
    states['GD'.index(network)]['build_func_spec'][name] = value
    with pytest.raises(ValueError, match=sentence):
        load_official(_write(tmp_path, pickled(states, 'network', 2)))


def test_theano_networks_with_tanh_and_labels_keep_both_to_themselves(tmp_path):
    data, (G, _) = tiny('theano', protocol=2, resolution=8, label_size=3, use_tanh=True)
    imported, latents, labels = load_official(_write(tmp_path, data)).Gs, np.ones([2, 4], 'f'), np.eye(3, dtype='f')[:2]
    images = imported.generate(latents, labels)
    assert np.abs(images).max() < 1
    np.testing.assert_allclose(images, G.generate(latents, labels), atol=1e-6)  # tanh, and latents normalized without labels


@pytest.mark.parametrize('data, sentence', [
    (MALICIOUS['os.system'], "asks for 'os.system', .* nothing in it was executed"),
    (MALICIOUS['numpy object dtype'], "dtype 'O8'"),
    (MALICIOUS['StyleGAN, PyTorch'], 'StyleGAN2-ADA or StyleGAN3 .*legacy.load_network_pkl'),
    (MALICIOUS['persistent id'], 'opcode BINPERSID'),
    (MALICIOUS['plain object'], 'holds one dict'),
    (b'<!DOCTYPE html>', 'web page'),
    (b'\x89HDF\r\n\x1a\n', 'HDF5')])
def test_wrong_files_are_explained(tmp_path, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_official(_write(tmp_path, data))


def test_a_truncated_file_is_called_truncated(tmp_path):
    data, _ = tiny()
    with pytest.raises(ValueError, match='truncated or damaged'):
        load_official(_write(tmp_path, data[:len(data) // 2]))


def test_hostile_pickles_run_nothing_and_end_in_one_sentence(tmp_path, cases):
    script = TESTS / 'helpers' / 'attack_importer.py'
    output = subprocess.run([sys.executable, script, str(tmp_path), str(cases)], capture_output=True, check=True, text=True,
                            env={**os.environ, 'PYTHONPATH': str(ROOT)}).stdout
    result = json.loads(output.splitlines()[-1])
    assert any('os.system' in event for event in result['control'])  # The hook sees what pickle.load would do.
    assert result['events'] == [] and result['files'] == ['network.pkl']  # No code ran.
    assert result['malicious'] >= 50 and result['accepted'] == []
    assert result['refused'] > 0.5 * cases and result['survivors'] > 0
    assert result['wrong_errors'] == []
    assert result['slowest'][1] < 10  # Seconds of the processor's: other work counts for nothing.
    assert result['growth_mb'] < 200
