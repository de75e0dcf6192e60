"""StyleGAN's networks against the reference's numbers, an evaluation in NumPy, and laws."""
import numpy as np
import numpy_stylegan
import pytest
import stylegan_goldens as goldens
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from style_networks import G_SMALL, SMALL, chw, perturbed

from config import PRESETS
from networks.activations import activate
from networks.style_layers import blur, truncated
from networks.stylegan import Discriminator, Generator

NUMBERS = goldens.numbers('v1a_net')
IMAGES = [key for key in NUMBERS if '/images/' in key]


@pytest.fixture(scope='module')
def golden():
    return goldens.networks()


@pytest.mark.parametrize('key', IMAGES)
def test_images_equal_reference_at_every_lod_and_truncation(golden, key):
    name, _, lod, how = key.split('/')
    options = {'default': {}, 'psi1': {'truncation': 1.0}, 'psi0.7cut4': {'truncation': 0.7, 'truncation_cutoff': 4}}[how]
    images = getattr(golden, name).generate(NUMBERS['latents'][:2], lod=float(lod.removeprefix('lod')), **options)
    assert_allclose(chw(images), NUMBERS[key], atol=1e-5 * np.abs(NUMBERS[key]).max())


def test_w_and_scores_equal_reference(golden):
    assert_allclose(golden.G.map(NUMBERS['latents'][:2]), NUMBERS['G/w'], atol=1e-6)
    images = NUMBERS['images'].transpose(0, 2, 3, 1)
    for key in (key for key in NUMBERS if key.startswith('D/scores')):
        scores, logits = golden.D.discriminate(images, float(key.split('lod')[1]))
        assert_allclose(scores, NUMBERS[key].ravel(), atol=1e-5 * np.abs(NUMBERS[key]).max())
        assert logits.shape == [8, 0]


def test_variables_have_the_reference_names_order_and_shapes(golden):
    facts = goldens.facts('v1a_net')
    for prefix, network in (('G', golden.G), ('D', golden.D)):
        assert list(network.named_variables()) == facts['vars'][prefix]
        assert {name: list(v.shape) for name, v in network.named_variables().items()} == facts['shapes'][prefix]
        assert list(network.variables_at(0)) == facts['trainables'][prefix]


ROWS = {name: {key.removeprefix('network.'): value for key, value in preset.values.items() if key != 'network.kind'}
        for name, preset in PRESETS.items() if preset.group == 'ablation'}


@pytest.mark.parametrize('settings', [
    {}, {'fused_scale': True}, {'use_blur': False, 'nonlinearity': 'relu'}, {'mapping_lrmul': 1.0},
    {'use_wscale': False, 'normalize_latents': False}, {'use_instance_norm': False, 'use_pixel_norm': True}, *ROWS.values()],
    ids=str)
@pytest.mark.parametrize('label_size', [0, 3])
def test_generator_equals_numpy_with_every_switch(settings, label_size):
    arguments = G_SMALL | settings | {'label_size': label_size}
    if arguments['mapping_layers'] == 0:
        arguments['dlatent_size'] = 16 if label_size else 8
    ours = perturbed(Generator(**arguments))
    theirs = numpy_stylegan.G(ours)
    z, y = np.random.RandomState(1).randn(3, 8).astype('f'), np.eye(3, dtype='f')[[2, 0, 1]]
    labels = y if label_size else None
    w = theirs.map(z, y)
    for lod in (0.3, 1.75, 2.0):
        expected = theirs.images(w, lod)
        assert_allclose(chw(ours.generate(z, labels, lod, truncation=1.0)), expected, atol=1e-5 * np.abs(expected).max())
    expected = theirs.images(theirs.truncate(w, 0.4, 3), 0.0)
    images = ours.generate(z, labels, truncation=0.4, truncation_cutoff=3)
    assert_allclose(chw(images), expected, atol=1e-5 * np.abs(expected).max())
    expected = theirs.images(w, 1.0, noise=False)
    images = ours.generate(z, labels, 1.0, truncation=1.0, noise='none')
    assert_allclose(chw(images), expected, atol=1e-5 * np.abs(expected).max())


def test_by_itself_only_kernels_of_128_and_above_are_stored_flipped():
    arguments = SMALL | dict(resolution=128, fmap_base=128, fmap_max=3, latent_size=4, dlatent_size=4, mapping_layers=1)
    ours = perturbed(Generator(**arguments))
    theirs = numpy_stylegan.G(ours)
    z = np.random.RandomState(1).randn(1, 4).astype('f')
    expected = theirs.images(theirs.map(z), 0.0)
    assert_allclose(chw(ours.generate(z, truncation=1.0)), expected, atol=1e-5 * np.abs(expected).max())


def test_every_layer_has_a_style_of_its_own():
    ours = perturbed(Generator(**G_SMALL))
    w = np.random.RandomState(1).randn(2, ours.num_layers, 8).astype('f')
    expected = numpy_stylegan.G(ours).images(w, 0.0)
    images = ours.synthesize(tf.constant(w), noise=ours.noise_of('stored', w))
    assert_allclose(chw(images), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize('settings', [
    {}, {'mbstd_num_features': 2}, {'mbstd_group_size': 1}, {'mbstd_group_size': 0}, {'use_blur': False},
    {'nonlinearity': 'relu', 'mbstd_num_features': 3, 'mbstd_group_size': 2}, {'use_wscale': False}], ids=str)
@pytest.mark.parametrize('label_size', [0, 1, 3])
def test_discriminator_equals_numpy_with_every_switch(settings, label_size):
    ours = perturbed(Discriminator(**SMALL, **settings, label_size=label_size))
    theirs = numpy_stylegan.D(ours)
    images = np.random.RandomState(1).randn(8, 2, 16, 16).astype('f')
    y = np.eye(max(label_size, 1), dtype='f')[np.arange(8) % max(label_size, 1)]
    for lod in (0.3, 1.0, 2.0):
        scores, _ = ours.discriminate(images.transpose(0, 2, 3, 1), lod, y if label_size else None)
        expected = theirs.scores(images, lod, y)
        assert_allclose(scores, expected, atol=1e-5 * np.abs(expected).max())


def test_a_published_generator_has_as_many_parameters_as_the_paper_tells():
    assert sum(np.prod(v.shape) for v in Generator(1024).variables_at(0).values()) == 26_219_627


def test_blur_is_its_own_adjoint_and_darkens_borders():
    a, b = tf.random.stateless_normal([2, 2, 6, 6, 3], [0, 1])
    assert_allclose(tf.reduce_sum(blur(a) * b), tf.reduce_sum(a * blur(b)), rtol=1e-5)
    with tf.GradientTape() as tape:
        tape.watch(a)
        total = tf.reduce_sum(blur(a) * b)
    assert_allclose(tape.gradient(total, a), blur(b), atol=1e-6)
    assert_allclose(blur(tf.ones([1, 4, 4, 1]))[0, :, 0, 0], np.array([9, 12, 12, 9]) / 16)


def test_the_slope_of_leaky_relu_at_zero_is_one():
    x = tf.constant([[-1.0, 0.0, 2.0]])
    for name, slope in (('leaky_relu_1', 1.0), ('leaky_relu', 0.2)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = activate(x, tf.zeros([3]), name)
        assert_allclose(tape.gradient(y, x), [[0.2, slope, 1.0]])


def test_a_fresh_network_starts_from_the_shift_of_its_first_style_and_ignores_noise():
    G = Generator(**G_SMALL)
    z = tf.random.stateless_normal([2, 8], [0, 1])
    assert_array_equal(G.generate(z), G.generate(z, noise='none'))
    seen = []
    w = G.map(z)
    G.synthesize(w, level=2, run=lambda layer, x: seen.append(x) or layer(x))
    style = G.blocks[0][0][3](w[:, 0])
    inputs_of_conv = next(x for x in seen if x.shape.rank == 4)
    assert_allclose(inputs_of_conv, np.broadcast_to(style[:, None, None, 12:], [2, 4, 4, 12]), atol=1e-6)


def test_random_noise_is_a_function_of_the_latent():
    G = perturbed(Generator(**G_SMALL))
    z = tf.random.stateless_normal([5, 8], [0, 1])
    whole = G.generate(z, noise='random')
    assert_allclose(tf.concat([G.generate(z[:2], noise='random'), G.generate(z[2:], noise='random')], 0), whole, atol=1e-5)
    maps = np.concatenate([np.ravel(noise) for noise in G.noise_of('random', z)])
    assert abs(maps.mean()) < 0.05 and abs(maps.std() - 1) < 0.05 and len(np.unique(maps)) > 0.999 * maps.size


def test_truncation_is_off_where_the_page_says():
    G = perturbed(Generator(**G_SMALL))
    w = G.map(tf.random.stateless_normal([2, 8], [0, 1]))
    off = [dict(truncation_psi=None), dict(truncation_cutoff=None), dict(truncation_cutoff=0), dict(truncation_psi=1.0)]
    for settings in off:
        assert Generator(**G_SMALL | settings).truncate(w) is w
    assert_allclose(truncated(w, G.dlatent_avg.value, tf.constant([0.0, 1.0]))[0], np.tile(G.dlatent_avg, [6, 1]), atol=1e-6)
    assert_allclose(truncated(w, G.dlatent_avg.value, tf.constant([0.0, 1.0]))[1], w[1], atol=1e-6)


@pytest.mark.parametrize('settings, options, sentence', [
    ({}, {'truncation_cutoff': 7}, 'truncation_cutoff is 7, but this network has 6 style layers'),
    ({'dlatent_avg_beta': None}, {'truncation': 0.5}, 'without an average of w'),
    ({'truncation_cutoff': None}, {'truncation': 0.5}, 'truncates no layer by itself; give truncation_cutoff'),
    ({}, {'noise': 'loud'}, "noise is 'loud'; it must be one of stored, random, none")])
def test_options_that_a_network_cannot_follow_are_refused(settings, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Generator(**G_SMALL | settings).check_options(**options)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match='w has the 16 components of the latent and its labels, but dlatent_size is 8'):
        Generator(**G_SMALL | dict(mapping_layers=0, label_size=3))
    with pytest.raises(ValueError, match='cut 12 channels into 5 equal runs'):
        Discriminator(**SMALL, mbstd_num_features=5)(tf.zeros([4, 16, 16, 2]))
    with pytest.raises(ValueError, match=r'judges images with their labels; give labels \[N, 3\]'):
        Discriminator(**SMALL, label_size=3)(tf.zeros([4, 16, 16, 2]))


@pytest.mark.parametrize('arguments, call, sentence', [
    ({'dlatent_avg_beta': None}, lambda G, w: G.truncate(w, 0.5), 'without an average of w .* leave psi out'),
    ({'label_size': 3}, lambda G, w: G.map(np.zeros([1, 8])), r'trained with labels; give labels \[N, 3\]'),
    ({'label_size': 3}, lambda G, w: G.map(np.zeros([1, 8]), np.zeros([1, 2])), r'needs labels \[N, 3\]'),
    ({}, lambda G, w: G.map(np.zeros([1, 8]), np.zeros([1, 2])), r'have shape \[1, 2\]; this network needs no labels'),
    ({}, lambda G, w: G.synthesize(w[:, :, :7]), r'w has the shape \[1, 6, 7\]; these images .* need \[N, 6, 8\]'),
    ({}, lambda G, w: G.synthesize(w[:, :3], 1), r'w has the shape \[1, 3, 8\]; these images .* need \[N, 4, 8\]'),
    ({}, lambda G, w: G.synthesize(w, noise=[np.zeros([1, 8, 8, 1])] * 6),
     r'Noise map 0 has the shape \[1, 8, 8, 1\]; this network needs \[N or 1, 4, 4, 1\]'),
    ({}, lambda G, w: G.synthesize(w, noise=[None] * 5), '5 noise maps were given; .* need 6, of the sizes 4, 4, 8, 8, 16')])
def test_w_noise_and_labels_of_other_shapes_are_refused(arguments, call, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        call(Generator(**G_SMALL | arguments), tf.zeros([1, 6, 8]))
    assert str(error.value).endswith('.')
