"""StyleGAN2's networks, growing or not, against the reference's numbers, an evaluation in NumPy, and laws."""
import json

import numpy as np
import numpy_stylegan2
import pytest
import stylegan_goldens as goldens
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from style_networks import G_SMALL, SMALL, chw, perturbed

from networks import stylegan2, stylegan_revised
from networks.architectures import copy_of
from networks.modulated import ModulatedConv
from networks.style_layers import mixed
from presets.stylegan2 import ARCHITECTURES, NONLINEARITIES

NUMBERS = {name: goldens.numbers(f'{name}_net') for name in ('v2a', 'v2d')}
KEYS = [(name, key) for name, numbers in NUMBERS.items() for key in numbers]
Z = np.random.RandomState(1).randn(3, 8).astype('f')
Y = np.eye(3, dtype='f')[[2, 0, 1]]


def near(found, expected):
    assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.fixture(scope='module')
def golden():
    return {name: goldens.networks(name) for name in NUMBERS}


@pytest.mark.parametrize('name, key', [pair for pair in KEYS if '/images/' in pair[1]])
def test_images_equal_reference_at_every_lod_and_truncation(golden, name, key):
    which, _, lod, how = key.split('/')
    options = {'default': {}, 'psi1': {'truncation': 1.0}, 'psi0.7cut4': {'truncation': 0.7, 'truncation_cutoff': 4}}[how]
    Gs = getattr(golden[name], which)
    images = Gs.generate(NUMBERS[name]['latents'][:2], lod=float(lod.removeprefix('lod')), **options)
    near(chw(images), NUMBERS[name][key])


@pytest.mark.parametrize('name', NUMBERS)
def test_w_and_scores_equal_reference(golden, name):
    numbers = NUMBERS[name]
    near(golden[name].G.map(numbers['latents'][:2]), numbers['G/w'])
    for key in (key for key in numbers if key.startswith('D/scores')):
        scores, logits = golden[name].D.discriminate(numbers['images'].transpose(0, 2, 3, 1), float(key.split('lod')[1]))
        near(scores, numbers[key].ravel())
        assert logits.shape == [8, 0]


@pytest.mark.parametrize('name', NUMBERS)
def test_variables_have_the_reference_names_order_and_shapes(golden, name):
    facts = goldens.facts(f'{name}_net')
    for prefix, network in (('G', golden[name].G), ('D', golden[name].D)):
        assert list(network.named_variables()) == facts['vars'][prefix]
        assert {key: list(v.shape) for key, v in network.named_variables().items()} == facts['shapes'][prefix]
        assert list(network.variables_at(0)) == facts['trainables'][prefix]


SWITCHES = [{}, {'resample_kernel': [1.0, 2.0, 1.0]}, {'resample_kernel': None, 'nonlinearity': 'swish'},
            {'resample_kernel': [1.0, 4.0, 6.0, 4.0, 1.0, 2.0], 'fmap_min': 9}, {'use_wscale': False},
            {'normalize_latents': False, 'mapping_lrmul': 1.0}]


@pytest.mark.parametrize('architecture, settings', [
    *((architecture, settings) for architecture in [*ARCHITECTURES, 'growing'] for settings in SWITCHES),
    *(('resnet', {'nonlinearity': name}) for name in NONLINEARITIES if name not in ('lrelu', 'swish'))], ids=str)
def test_generator_equals_numpy_with_every_switch(architecture, settings):
    growing, labels = architecture == 'growing', Y if len(settings) != 1 else None
    arguments = G_SMALL | settings | {'label_size': 0 if labels is None else 3}
    ours = perturbed(stylegan_revised.Generator(**arguments) if growing else
                     stylegan2.Generator(**arguments, G_architecture=architecture))
    theirs = numpy_stylegan2.G(ours)
    w = theirs.map(Z, Y)
    expected = {lod: theirs.growing_images(w, lod) if growing else theirs.images(w)
                for lod in ((0.3, 1.75, 2.0) if growing else (0.0,))}
    for lod, images in expected.items():
        near(chw(ours.generate(Z, labels, lod, truncation=1.0)), images)
    images = theirs.growing_images if growing else lambda w, lod, noise=True: theirs.images(w, noise)
    near(chw(ours.generate(Z, labels, truncation=0.4, truncation_cutoff=3)), images(theirs.truncate(w, 0.4, 3), 0.0))
    near(chw(ours.generate(Z, labels, truncation=1.0, noise='none')), images(w, 0.0, noise=False))


@pytest.mark.parametrize('settings', [
    {}, {'mbstd_num_features': 2}, {'mbstd_group_size': 1}, {'mbstd_num_features': 3, 'mbstd_group_size': 2},
    *SWITCHES[1:5]], ids=str)
@pytest.mark.parametrize('architecture', [*ARCHITECTURES, 'growing'])
def test_discriminator_equals_numpy_with_every_switch(settings, architecture):
    label_size = 0 if len(settings) == 1 else 3
    growing, arguments = architecture == 'growing', SMALL | settings | {'label_size': label_size}
    ours = perturbed(stylegan_revised.Discriminator(**arguments) if growing else
                     stylegan2.Discriminator(**arguments, D_architecture=architecture))
    theirs = numpy_stylegan2.D(ours)
    images = np.random.RandomState(1).randn(8, 2, 16, 16).astype('f')
    y = np.eye(3, dtype='f')[np.arange(8) % 3]
    for lod in (0.3, 1.0, 2.0) if growing else (0.0,):
        scores, _ = ours.discriminate(images.transpose(0, 2, 3, 1), lod, y if label_size else None)
        near(scores, theirs.growing_scores(images, lod, y) if growing else theirs.scores(images, y))


@pytest.mark.parametrize('architecture', [*ARCHITECTURES, 'growing'])
def test_every_layer_has_a_style_of_its_own(architecture):
    growing = architecture == 'growing'
    ours = perturbed(stylegan_revised.Generator(**G_SMALL) if growing else
                     stylegan2.Generator(**G_SMALL, G_architecture=architecture))
    w, theirs = np.random.RandomState(1).randn(2, ours.num_layers, 8).astype('f'), numpy_stylegan2.G(ours)
    images = ours.synthesize(tf.constant(w), noise=ours.noise_of('stored', w))
    near(chw(images), theirs.growing_images(w, 0.0) if growing else theirs.images(w))


def test_networks_of_configuration_f_at_1024_have_as_many_parameters_as_its_shapes_add_up_to():
    count = lambda network: sum(np.prod(v.shape) for v in network.variables_at(0).values())  # noqa: E731
    assert count(stylegan2.Generator(1024)) == 30_370_060
    assert count(stylegan2.Discriminator(1024)) == 29_012_513


def test_the_style_of_an_image_is_also_that_of_the_next_block_and_there_is_one_noise_map_less():
    G = perturbed(stylegan2.Generator(**G_SMALL))
    assert G.num_layers == 6 and [*G.noise_of('stored', Z)][0].shape == [1, 4, 4, 1]
    assert [noise.shape[1] for noise in G.noise_of('random', Z)] == [4, 8, 8, 16, 16]
    w = tf.random.stateless_normal([1, 6, 8], [0, 1])
    seen = []

    def run(layer, x, **inputs):
        if 'style' in inputs:
            seen.append((layer.name, next(i for i in range(6) if np.array_equal(inputs['style'], w[:, i]))))
        return layer(x, **inputs)
    G.synthesize(w, run=run, noise=G.noise_of('stored', Z))
    assert [index for _, index in seen] == [0, 1, 1, 2, 3, 3, 4, 5]
    assert [name.removeprefix('G_synthesis_') for name, _ in seen][1:3] == ['4x4_ToRGB', '8x8_Conv0_up']


def test_noise_is_added_after_demodulation_and_before_bias_and_activation():
    layer = ModulatedConv(3, 4, gain=1.0, activation='leaky_relu', activation_gain=2 ** 0.5, seed=1)
    layer.build([None, 4, 4, 2])
    layer.bias.assign([1.0, -2.0, 0.5])
    layer.noise_strength.assign(0.7)
    x, style = tf.random.stateless_normal([2, 4, 4, 2], [0, 1]), tf.random.stateless_normal([2, 4], [0, 2])
    noise = tf.random.stateless_normal([2, 4, 4, 1], [0, 3])
    weight, scales = layer.weight.numpy() / 18 ** 0.5, layer.scales(style).numpy()
    linear = numpy_stylegan2.modulated(chw(x), scales, weight) + 0.7 * chw(noise) + np.array([1, -2, 0.5])[:, None, None]
    near(chw(layer(x, style=style, noise=noise)), 2 ** 0.5 * np.where(linear > 0, linear, 0.2 * linear))


def test_images_scale_with_the_style_and_maps_do_not():
    for demodulate, power in ((True, 0), (False, 1)):
        layer = ModulatedConv(3, 4, kernel_size=1 if power else 3, gain=1.0, demodulate=demodulate, use_noise=False, seed=1)
        layer.build([None, 4, 4, 2])
        layer.mod_bias.assign([-1.0, -1.0])  # Without the 1, a style twice as long scales twice as much.
        x, style = tf.random.stateless_normal([2, 4, 4, 2], [0, 1]), tf.random.stateless_normal([2, 4], [0, 2])
        assert_allclose(layer(x, style=2 * style), 2 ** power * layer(x, style=style), rtol=1e-4, atol=1e-5)


def test_truncation_is_of_all_layers_unless_a_number_says_otherwise():
    G = perturbed(stylegan2.Generator(**G_SMALL))
    w, average = G.map(Z), G.dlatent_avg.numpy()
    nearer = average + 0.5 * (w - average)
    assert_allclose(G.truncate(w), nearer, atol=1e-6)
    assert_allclose(G.truncate(w, 0.5, 2), mixed(nearer, w, 2), atol=1e-6)
    assert_allclose(G.truncate(w, tf.constant([0.0, 0.5, 1.0])),
                    average + np.reshape([0, 0.5, 1], [3, 1, 1]) * (w - average), atol=1e-6)
    for settings in ({'truncation_psi': None}, {'truncation_psi': 1.0}, {'truncation_cutoff': 0}):
        assert stylegan2.Generator(**G_SMALL | settings).truncate(w) is w
    G.check_options(truncation=0.7)


def test_lrelu_gain_applies_to_hidden_layers_of_D_and_not_to_its_output():
    D = stylegan2.Discriminator(**SMALL)
    gains = {name: layer.activation_gain for name, layer in D.named_layers.items()}
    assert {gains[name] for name in gains if 'Skip' not in name and 'Conv1_down' not in name} - {1.0} == {2 ** 0.5}
    assert gains['16x16/FromRGB'] == gains['4x4/Dense0'] == 2 ** 0.5 and gains['Output'] == 1.0
    skip = D.named_layers['16x16/Skip']
    assert not skip.use_bias and skip.activation is None and skip.gain == 1.0


def test_networks_that_do_not_grow_have_one_level():
    G, D = stylegan2.Generator(**G_SMALL), stylegan2.Discriminator(**SMALL)
    with pytest.raises(ValueError, match=r'levels 0 \(full resolution\) to 0 \(16x16\)'):
        G(Z, level=1)
    with pytest.raises(ValueError, match=r'has 0 \(full resolution\) to 0 \(16x16\)'):
        G.check_lod(0.5)
    assert 'lod' in G.named_variables() and 'lod' not in D.named_variables()


@pytest.mark.parametrize('dtype', ['mixed_float16', 'mixed_bfloat16'])
def test_lower_precision_is_finite_where_styles_and_noise_are_strong(dtype):
    G = perturbed(stylegan2.Generator(**G_SMALL))
    for name, variable in G.named_variables().items():
        if name.endswith(('mod_bias', 'noise_strength')) and 'RGB' not in name:
            variable.assign(300 * tf.ones_like(variable))
    images, rounded = G(Z), copy_of(G, dtype)(Z)
    assert np.all(np.isfinite(images)) and np.all(np.isfinite(np.float32(rounded)))
    assert_allclose(np.float32(rounded), images, atol=0.05 * np.abs(images).max())


@pytest.mark.parametrize('settings, sentence', [
    ({'resample_kernel': []}, 'resample_kernel has 0 elements; a filter has 1 to 64'),
    ({'resample_kernel': [1.0, -1.0]}, 'must be finite and of a positive sum'),
    ({'resample_kernel': [1.0] * 65}, 'has 65 elements'),
    ({'resample_kernel': 3.0}, 'must be of type'),
    ({'G_architecture': 'fancy'}, "must be one of 'orig', 'skip', 'resnet'"),
    ({'nonlinearity': 'sine'}, "must be one of 'lrelu'"),
    ({'mapping_layers': 0, 'label_size': 3}, 'w has the 16 components of the latent and its labels')])
def test_what_cannot_be_built_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        stylegan2.Generator(**G_SMALL | settings)


def test_settings_are_json_with_the_filter():
    arguments = json.loads(json.dumps(stylegan2.Generator(**G_SMALL, resample_kernel=(1, 2, 1)).build_arguments()))
    assert arguments['resample_kernel'] == [1.0, 2.0, 1.0]
    again = stylegan2.Generator(**arguments, seed=3)
    assert_array_equal(again(Z), stylegan2.Generator(**G_SMALL, resample_kernel=[1.0, 2.0, 1.0])(Z))
