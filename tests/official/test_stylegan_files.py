"""Official files of StyleGAN's repository: version 3, components, EasyDicts, numpy scalars."""
import numpy as np
import pytest
import stylegan_goldens as goldens
from numpy.testing import assert_allclose, assert_array_equal
from reference_pickles import pickled, stylegan_state, tensorflow_state, tiny, tiny_stylegan

from networks import progan
from networks.snapshot import load_snapshot, save_snapshot
from official.load import load_official

MODULE = 'dnnlib.tflib.network'


def test_pictures_equal_the_references():
    goldens.check_pictures('v1a')


@pytest.mark.parametrize('protocol, settings', [
    (2, {}), (4, {'label_size': 3}), (5, {'resolution': 16}),
    (4, {'G_settings': {'use_styles': False, 'const_input_layer': False, 'use_noise': False, 'mapping_layers': 0},
         'truncation_psi': None}),
    (4, {'G_settings': {'mapping_layers': 0, 'dlatent_size': 8}, 'label_size': 3}),
    (4, {'D_settings': {'mbstd_num_features': 2}, 'label_size': 1}), (4, {'D_settings': {'mbstd_group_size': 0}}),
    (4, {'G_settings': {'fused_scale': True, 'use_blur': False}, 'fused_scale': np.bool_(True), 'blur_filter': None}),
    (4, {'blur_filter': [1, 2, 1], 'use_instance_norm': False, 'nonlinearity': 'relu', 'structure': None})], ids=str)
def test_every_layout_gives_back_its_networks(write, protocol, settings):
    data, (G, D) = tiny_stylegan(protocol, **settings)
    snapshot = load_official(write(data))
    for original, imported in ((G, snapshot.G), (D, snapshot.D), (G, snapshot.Gs)):
        for name, variable in imported.named_variables().items():
            assert_array_equal(variable, original.named_variables()[name], err_msg=name)
    told = {'use_blur': settings.get('blur_filter', 1) is not None, 'fused_scale': settings.get('fused_scale', 'auto'),
            'truncation_psi': settings.get('truncation_psi', 0.7), 'nonlinearity': settings.get('nonlinearity', 'lrelu'),
            'use_instance_norm': settings.get('use_instance_norm', True)}
    assert {name: getattr(snapshot.Gs.settings, name) for name in told} == told
    assert snapshot.D.settings.use_blur == told['use_blur'] and snapshot.D.group_size == D.group_size


def test_the_outer_lod_counts_and_a_snapshot_holds_the_same(write, tmp_path):
    _, (G, D) = tiny_stylegan()
    states = [stylegan_state(network) for network in (G, D, G)]
    states[2]['variables'][0] = ('lod', np.float32(0.5))
    Gs = load_official(write(pickled(states, MODULE, 4))).Gs
    assert Gs.stored_lod == 0.5 and Gs.named_variables()['G_synthesis/lod'].numpy() == 0.5
    save_snapshot(tmp_path / 'out.h5', G, D, Gs)
    again, z = load_snapshot(tmp_path / 'out.h5').Gs, np.random.RandomState(0).randn(2, 4).astype('f')
    assert_array_equal(again.generate(z, lod=0.5), Gs.generate(z, lod=0.5))


@pytest.mark.parametrize('settings', [{}, {'fused_scale': False}])
def test_progan_of_stylegans_repository_stores_up_convolutions_the_other_way(write, settings):
    _, (G, D) = tiny(resolution=8)
    arguments = G.build_arguments() | D.build_arguments() | settings
    G, D = progan.Generator(**G.build_arguments() | settings), progan.Discriminator(**D.build_arguments() | settings)
    states = [tensorflow_state(network, arguments) | {'version': 3, 'components': {}} for network in (G, D, G)]
    for state in states:
        state['variables'] = [(name, value.swapaxes(2, 3) if name.endswith('Conv0_up/weight') else value)
                              for name, value in state['variables']]
    imported = load_official(write(pickled(states, MODULE, 4))).Gs
    for name, variable in imported.named_variables().items():
        assert_allclose(variable, G.named_variables()[name], err_msg=name)


@pytest.mark.parametrize('spoil, sentence', [
    (lambda G, D, Gs: G.update(version=6), 'G is a network of version 6; this project reads versions 2'),
    (lambda G, D, Gs: G.update(version=5), 'version 5, as StyleGAN2-ADA writes'),
    (lambda G, D, Gs: Gs['components'].pop('mapping'), "Gs lacks the component network 'mapping'"),
    (lambda G, D, Gs: Gs['components'].update(mapping=3), "Gs lacks the component network 'mapping'"),
    (lambda G, D, Gs: G.pop('components'), "no dict 'components'"),
    (lambda G, D, Gs: G['components']['synthesis']['variables'].clear(), 'G names? no layer|has layers of 0x0'),
    (lambda G, D, Gs: G['components']['mapping']['variables'].pop(0), "lacks variable 'G_mapping/Dense0/weight'"),
    (lambda G, D, Gs: D['variables'].pop(3), 'D lacks variable'),
    (lambda G, D, Gs: D['variables'].append(('9999x9999/Conv0/bias', np.zeros(3))), 'has layers of 9999x9999'),
    (lambda G, D, Gs: G['components']['synthesis']['variables'].append(('16384x16384/Conv1/bias', np.zeros(3))),
     'at least .* parameters'),
    (lambda G, D, Gs: G['static_kwargs'].update(fused_scale='some'), "fused_scale = 'some'"),
    (lambda G, D, Gs: G['static_kwargs'].update(blur_filter=[1, 3, 3, 1]), 'another blur_filter'),
    (lambda G, D, Gs: D['static_kwargs'].update(nonlinearity='swish'), "nonlinearity = 'swish'"),
    (lambda G, D, Gs: D['static_kwargs'].update(label_size=-1), 'label_size = -1'),
    (lambda G, D, Gs: G['static_kwargs'].update(mapping_lrmul='x'), "mapping_lrmul = 'x'"),
    (lambda G, D, Gs: G['variables'].__setitem__(0, ('lod', np.float32(9))), 'lod 9.0')])
def test_misfits_are_named_in_one_sentence(write, spoil, sentence):
    _, (G, D) = tiny_stylegan()
    states = [stylegan_state(network) for network in (G, D, G)]
    spoil(*states)
    with pytest.raises(ValueError, match=sentence) as error:
        load_official(write(pickled(states, MODULE, 4)))
    assert '\n' not in str(error.value) and str(error.value).endswith('.')


def test_networks_of_two_architectures_are_refused(write):
    _, (G, D) = tiny_stylegan()
    _, (_, other) = tiny(resolution=8)
    states = [stylegan_state(G), tensorflow_state(other, other.build_arguments()), stylegan_state(G)]
    with pytest.raises(ValueError, match='networks of several architectures'):
        load_official(write(pickled(states, MODULE, 4)))
