"""Official files of StyleGAN2's repository: version 4, which tells no defaults."""
import numpy as np
import pytest
import stylegan_goldens as goldens
from numpy.testing import assert_array_equal
from reference_pickles import pickled, stylegan_state, tiny_stylegan, tiny_stylegan2

from networks.snapshot import load_snapshot, save_snapshot
from official.load import load_official

MODULE = 'dnnlib.tflib.network'


@pytest.mark.parametrize('name', ['v2a', 'v2d'])
def test_pictures_equal_the_references(name):
    goldens.check_pictures(name)


def same(original, imported):
    assert type(original) is type(imported)
    for name, variable in imported.named_variables().items():
        assert_array_equal(variable, original.named_variables()[name], err_msg=name)


@pytest.mark.parametrize('settings', [
    {}, {'label_size': 3}, {'label_size': 1}, {'growing': True}, {'growing': True, 'label_size': 3},
    *({'G_settings': {'G_architecture': G}, 'D_settings': {'D_architecture': D}}
      for G, D in (('orig', 'skip'), ('resnet', 'orig'), ('skip', 'resnet'))),
    {'fmap_decay': 0.0, 'G_settings': {'fmap_decay': 0.0, 'fmap_max': 7}, 'fmap_max': 7,
     'D_settings': {'fmap_decay': 0.0, 'fmap_max': 7}},
    {'G_settings': {'mapping_layers': 0, 'dlatent_size': 8}, 'label_size': 3},
    {'D_settings': {'mbstd_num_features': 2}}, {'D_settings': {'mbstd_group_size': 0}}], ids=str)
def test_every_layout_gives_back_its_networks(write, settings):
    data, (G, D) = tiny_stylegan2(**settings)
    snapshot = load_official(write(data))
    for original, imported in ((G, snapshot.G), (D, snapshot.D), (G, snapshot.Gs)):
        same(original, imported)
    assert snapshot.D.group_size == D.group_size and snapshot.D.label_size == D.label_size
    z, y = np.random.RandomState(0).randn(2, 4).astype('f'), np.eye(3, dtype='f')[:2, :G.label_size]
    assert_array_equal(snapshot.Gs(z, y), G(z, y))


def test_what_variables_do_not_show_is_told_or_the_default(write):
    told = {'truncation_psi': None, 'truncation_cutoff': 3, 'style_mixing_prob': None, 'dlatent_avg_beta': 0.9,
            'resample_kernel': [1, np.float32(2), 1], 'nonlinearity': 'relu', 'mapping_lrmul': 0.1,
            'normalize_latents': False, 'mbstd_group_size': 2, 'randomize_noise': True, 'fused_modconv': True}
    for given, expected in ((told, told | {'style_mixing_prob': 0.9, 'resample_kernel': [1.0, 2.0, 1.0]}), ({}, {
            'truncation_psi': 0.5, 'truncation_cutoff': None, 'style_mixing_prob': 0.9, 'dlatent_avg_beta': 0.995,
            'resample_kernel': [1.0, 3.0, 3.0, 1.0], 'nonlinearity': 'lrelu', 'mapping_lrmul': 0.01,
            'normalize_latents': True, 'mbstd_group_size': 4})):
        snapshot = load_official(write(tiny_stylegan2(**given)[0]))
        for name in expected.keys() - {'randomize_noise', 'fused_modconv'}:
            network = snapshot.D if name == 'mbstd_group_size' else snapshot.Gs
            assert getattr(network.settings, name) == expected[name], name


def test_configuration_a_holds_networks_of_stylegan(write):
    data, (G, D) = tiny_stylegan(version=4, fmap_base=16, fmap_max=4)
    snapshot = load_official(write(data))
    same(G, snapshot.Gs), same(D, snapshot.D)


def test_the_outer_lod_counts_where_the_networks_grow(write, tmp_path):
    for growing, lod in ((True, 0.5), (False, 0.0)):
        _, (G, D) = tiny_stylegan2(growing)
        states = [stylegan_state(network, version=4) for network in (G, D, G)]
        states[2]['variables'][0] = ('lod', np.float32(0.5))
        snapshot = load_official(write(pickled(states, MODULE, 4)))
        assert snapshot.Gs.stored_lod == lod
        save_snapshot(tmp_path / 'out.h5', *snapshot[:3])
        same(snapshot.Gs, load_snapshot(tmp_path / 'out.h5').Gs)


@pytest.mark.parametrize('spoil, sentence', [
    (lambda G, D, Gs: G.update(version=5), 'version 5, as StyleGAN2-ADA writes; this project reads versions 2'),
    (lambda G, D, Gs: Gs['components'].pop('mapping'), "Gs lacks the component network 'mapping'"),
    (lambda G, D, Gs: G['components']['synthesis']['variables'].clear(), 'has layers of 0x0'),
    (lambda G, D, Gs: G['components']['synthesis']['variables'].pop(-5), 'G lacks variable'),
    (lambda G, D, Gs: G['components']['synthesis']['variables'].append(('4x4/Conv/StyleMod/weight', np.zeros(3))),
     'layers of StyleGAN under the name of StyleGAN2'),
    (lambda G, D, Gs: G['components']['synthesis']['variables'].append(('4x4/Conv/affine/weight', np.zeros(3))),
     "unknown variable 'G_synthesis/4x4/Conv/affine/weight'"),
    (lambda G, D, Gs: D['variables'].pop(3), 'D lacks variable'),
    (lambda G, D, Gs: D['variables'].append(('64x64/Conv0/bias', np.zeros(3))), 'D lacks variable'),
    (lambda G, D, Gs: G['static_kwargs'].update(resample_kernel=[]), 'another resample_kernel'),
    (lambda G, D, Gs: G['static_kwargs'].update(resample_kernel='x'), 'another resample_kernel'),
    (lambda G, D, Gs: D['static_kwargs'].update(nonlinearity='sine'), "nonlinearity = 'sine'"),
    (lambda G, D, Gs: D['static_kwargs'].update(label_size=-1), 'label_size = -1')])
def test_misfits_are_named_in_one_sentence(write, spoil, sentence):
    _, (G, D) = tiny_stylegan2()
    states = [stylegan_state(network, version=4) for network in (G, D, G)]
    spoil(*states)
    with pytest.raises(ValueError, match=sentence) as error:
        load_official(write(pickled(states, MODULE, 4)))
    assert '\n' not in str(error.value) and str(error.value).endswith('.')


def test_maps_that_no_setting_gives_are_refused(write):
    _, (G, D) = tiny_stylegan2()
    states = [stylegan_state(network, version=4) for network in (G, D, G)]
    states[1]['variables'] = [(name, value[..., :5] if name == '8x8/Conv0/weight' else value)
                              for name, value in states[1]['variables']]
    with pytest.raises(ValueError, match='holds layers of 6, 6, 5, 4 maps from low to high resolution'):
        load_official(write(pickled(states, MODULE, 4)))


def test_networks_of_two_architectures_are_refused(write):
    _, (G, _) = tiny_stylegan2()
    _, (_, D) = tiny_stylegan2(growing=True)
    states = [stylegan_state(network, version=4) for network in (G, D, G)]
    with pytest.raises(ValueError, match='networks of several architectures'):
        load_official(write(pickled(states, MODULE, 4)))
