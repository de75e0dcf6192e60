"""Served models with w: two networks as one, truncation by request, names of classes."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from serving_server import Model, Session, grpc_server, rest_server

from networks import stylegan
from serving.generate import generate_images
from serving.latents import of_seeds
from serving.signatures import signatures, write_saved_model

SMALL = dict(resolution=8, label_size=3, fmap_base=64, fmap_max=8)
G_SMALL = SMALL | dict(latent_size=8, dlatent_size=8, mapping_fmaps=8, mapping_layers=2, truncation_cutoff=2)
LABELS = dict(zip(('cat', 'dog', '7'), np.eye(3, dtype=np.float32), strict=True))


def networks(**settings):
    """(Gs, D) with random variables."""
    labels = {name: value for name, value in settings.items() if name == 'label_size'}
    found = stylegan.Generator(**G_SMALL | settings, seed=1), stylegan.Discriminator(**SMALL | labels, seed=2)
    for i, variable in enumerate(variable for network in found for variable in network.variables if variable.name != 'lod'):
        variable.assign(variable + 0.3 * np.random.RandomState(i).randn(*variable.shape))
    return found


@pytest.fixture(scope='module')
def served(tmp_path_factory):
    """(Gs, the folder of its served model, without what others test, and all endpoints before they are saved)"""
    (Gs, D), folder = networks(), str(tmp_path_factory.mktemp('served') / '1')
    Gs.class_names = tuple(LABELS)
    endpoints = signatures(Gs, D, 0.0)
    write_saved_model(folder, {name: endpoint for name, endpoint in endpoints.items()
                               if 'seeded' not in name and name not in ('generate_png', 'discriminate')})
    return Gs, folder, endpoints


@pytest.fixture(scope='module')
def session(served):
    """The model in the C API, as servers use it."""
    with Session(served[1]) as session:
        yield session


def pictures(Gs, seeds, labels=None, **options):
    return np.concatenate([*generate_images(Gs, of_seeds(seeds, Gs.latent_size), labels, options=options)]).astype(int)


def same(a, b):
    difference = np.abs(a.astype(int) - b)
    return a.shape == b.shape and difference.max() <= 1 and (difference > 0).mean() <= 0.001


def test_map_then_synthesize_is_serving_default_and_generate(served, session):
    Gs, labels = served[0], np.eye(3, dtype=np.float32)[[2, 0, 1]]
    inputs = {'latents': of_seeds([3, 4, 5], Gs.latent_size), 'labels': labels}
    w, = session.run('map', inputs)
    images, = session.run('synthesize', {'w': w})
    np.testing.assert_allclose(w, Gs.truncate(Gs.map(**inputs)), atol=1e-5)
    assert w.shape == (3, 4, 8) and same(images, pictures(Gs, [3, 4, 5], labels))
    np.testing.assert_array_equal(images, session.run('serving_default', inputs)[0])
    files, = session.run('synthesize_png', {'w': w})
    np.testing.assert_array_equal(np.stack([tf.io.decode_png(file) for file in files]), images)


def test_each_image_has_its_own_truncation(served, session):
    Gs, seeds, psis, labels = served[0], [3, 4, 3], np.float32([1, 0.3, -0.5]), np.eye(3, dtype=np.float32)[[2, 0, 2]]
    expected = np.concatenate([pictures(Gs, [seed], labels[i:i + 1], truncation=float(psi))
                               for i, (seed, psi) in enumerate(zip(seeds, psis, strict=True))])
    inputs = {'latents': of_seeds(seeds, Gs.latent_size), 'labels': labels, 'truncation': psis}
    w, = session.run('map_truncated', inputs)
    np.testing.assert_allclose(w[0], Gs.map(inputs['latents'], labels)[0], atol=1e-5)  # With 1, w as it is.
    assert same(session.run('synthesize', {'w': w})[0], expected)
    assert same(session.run('serving_default_truncated', inputs)[0], expected)
    files, = session.run('generate_png_truncated', inputs)
    assert same(np.stack([tf.io.decode_png(file) for file in files]), expected)
    seeded = served[2]['generate_seeded_truncated'](tf.constant(seeds, tf.int64), labels, psis)['images']
    assert same(seeded.numpy(), expected)


def test_one_request_gives_one_answer(served, session):
    assert np.any(served[0].noise[3].numpy()) and np.any(served[0].named_variables()['G_synthesis/8x8/Conv1/Noise/weight'])
    request = {'w': np.random.RandomState(0).randn(2, 4, 8)}
    np.testing.assert_array_equal(*(session.run('synthesize', request)[0] for _ in range(2)))


def test_requests_without_a_meaning_are_refused_in_one_sentence(session):
    latents, labels, w = np.zeros([2, 8]), np.eye(3)[:2], np.zeros([2, 4, 8])
    cases = [('synthesize', {'w': w[:, :3]}, 'w are [2 3 8]; expected are [N, 4, 8].'),
             ('synthesize', {'w': w[:, 0]}, 'w are [2 8]; expected are [N, 4, 8].'),
             ('synthesize_png', {'w': w + np.nan}, 'w are NaN or infinite; expected are finite numbers.'),
             ('map', {'latents': latents, 'labels': labels * 2}, 'labels are no classes'),
             ('map', {'latents': latents, 'labels': labels[:1]}, 'labels and what they belong to differ in number'),
             ('class_names', {'classes': [3]}, 'classes are out of range; expected are 0 to 2.'),
             ('class_names', {'classes': [-1]}, 'classes are out of range')]
    for psi, sentence in (([1.0], 'truncation and what it belongs to differ in number; expected is one number for each.'),
                          ([[1.0], [1.0]], 'truncation are [2 1]; expected are [N].'),
                          ([1.0, np.inf], 'truncation are NaN or infinite')):
        cases.append(('map_truncated', {'latents': latents, 'labels': labels, 'truncation': psi}, sentence))
    for name, inputs, sentence in cases:
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            session.run(name, inputs)
        assert f'assertion failed: [{sentence}' in str(error.value), (name, sentence, str(error.value))


def test_names_of_classes_can_be_asked_for(session):
    assert list(session.run('class_names', {'classes': [2, 0]})[0]) == [b'7', b'cat']


@pytest.mark.parametrize('settings, there', [
    ({}, True), ({'truncation_psi': None}, True), ({'truncation_cutoff': 0}, True), ({'dlatent_avg_beta': None}, False)])
def test_a_frozen_model_truncates_where_there_is_an_average(settings, there):
    (Gs, D), latents = networks(label_size=0, **settings), tf.ones([1, 8])
    endpoints = signatures(Gs, D, 0.0, freeze=True)
    assert ('map_truncated' in endpoints) == there and 'class_names' not in endpoints
    w = endpoints['map'](latents)['w']
    np.testing.assert_allclose(w, Gs.truncate(Gs.map(latents)), atol=1e-6)
    assert same(endpoints['synthesize'](w)['images'].numpy(), endpoints['serving_default'](latents)['images'].numpy())
    if there:
        nearest = endpoints['map_truncated'](latents, tf.zeros([1]))['w']
        np.testing.assert_allclose(nearest[0, :2], np.tile(Gs.dlatent_avg, [2, 1]), atol=1e-6)
        assert np.allclose(nearest[0, 2:], nearest[0, 0]) == (settings.get('truncation_cutoff') == 0)
    assert not endpoints['serving_default'].get_concrete_function().variables


@pytest.mark.parametrize('serve', [grpc_server, rest_server])
def test_the_client_asks_for_classes_by_name_and_for_truncation(served, run_command, tmp_path, serve):
    Gs, folder, _ = served
    with serve(Model(folder)) as address:
        def ask(*arguments):
            return run_command('serve_client.py', f'--server={address}', '--seeds=1-3', f'--out={tmp_path}', '--overwrite',
                               '--minibatch=2', *arguments)
        done = ask('--class=dog,7', '--truncation=0.4')
        assert done.returncode == 0, done.stderr
        wrong = ask('--class=dig', '--truncation=1')
    found = np.stack([np.asarray(PIL.Image.open(tmp_path / f'seed{seed:04d}.png')) for seed in (1, 2, 3)])
    labels = np.stack([LABELS[name] for name in ('dog', '7', 'dog')])
    assert same(found, pictures(Gs, [1, 2, 3], labels, truncation=0.4))
    assert wrong.returncode == 1 and wrong.stderr.count('\n') == 1
    assert wrong.stderr.startswith("serve_client.py: There is no class 'dig'; the nearest of 3 names: dog.")
