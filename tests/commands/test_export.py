import io
import json
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from places import TESTS
from reference_pickles import tiny
from serving_server import Model, Session, grpc_server, rest_server
from tensorflow_serving.apis import prediction_log_pb2

from networks.architectures import copy_of
from networks.snapshot import save_snapshot
from official.load import load_official
from serving.generate import generate_images
from serving.latents import labels_of, of_seeds
from serving.seeded import randn
from serving.signatures import signatures, write_saved_model

# Exports several models in one process: starting TensorFlow takes longer than an export.
_EXPORTS = """
import json, sys, export
from absl.testing import flagsaver
for arguments in json.loads(sys.argv[1]):
    with flagsaver.flagsaver():
        export.main(export.FLAGS(['export.py', *arguments]))
"""


@pytest.fixture(scope='module')
def official(goldens):
    return load_official(goldens / 'pickles' / 'network_a.pkl')


@pytest.fixture(scope='module')
def conditional(tmp_path_factory):
    """The path of an official .pkl with 3 classes, saved at lod 0.5."""
    path = tmp_path_factory.mktemp('conditional') / 'official.pkl'
    path.write_bytes(tiny(resolution=16, label_size=3, lod=0.5)[0])
    return path


@pytest.fixture(scope='module')
def models(official, conditional, tmp_path_factory):
    """A folder of exported models: progan/1 from a snapshot, progan/2 frozen, cond/1 in every format."""
    folder = tmp_path_factory.mktemp('models')
    save_snapshot(folder / 'snapshot.h5', official.G, official.D, official.Gs, nimg=5000)
    named = load_official(conditional)
    named.Gs.class_names = ('cat', 'dog', 'cow')
    save_snapshot(folder / 'named.h5', named.G, named.D, named.Gs)
    snapshot, out = f'--network={folder / "snapshot.h5"}', f'--out={folder / "progan"}'
    commands = [[snapshot, out], [snapshot, out, '--freeze'],
                [f'--network={folder / "named.h5"}', f'--out={folder / "cond"}', '--formats=saved_model,keras,tflite,onnx']]
    done = subprocess.run([sys.executable, '-c', _EXPORTS, json.dumps(commands)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Every format was compared with the original's pictures as it was written.
    assert done.stdout.count('pictures at most') == 6
    return folder


@pytest.fixture(scope='module')
def served(models):
    return Model(str(models / 'progan' / '1'))


@pytest.fixture(scope='module')
def served_conditional(models):
    return Model(str(models / 'cond' / '1'))


def _pictures(Gs, seeds, classes=None, lod=None):
    labels = None if classes is None else labels_of(classes, Gs.label_size)
    return np.concatenate([*generate_images(Gs, of_seeds(seeds, Gs.latent_size), labels, lod)])


def _same(a, b):
    difference = np.abs(a.astype(int) - b)
    return a.shape == b.shape and difference.max() <= 1 and (difference > 0).mean() <= 0.001


@pytest.mark.parametrize('size', [1, 2, 7, 512])
def test_seeds_in_the_graph_are_numpys(size):
    seeds = [0, 1, 1000, 2 ** 31, 2 ** 32 - 1]
    expected = np.concatenate([np.random.RandomState(seed).randn(1, size) for seed in seeds])
    np.testing.assert_allclose(randn(tf.constant(seeds, tf.int64), size), expected, rtol=1e-6)


@pytest.mark.parametrize('version', ['1', '2'])
def test_any_number_of_latents_gives_the_pictures_of_generate(models, official, version):
    model = Model(str(models / 'progan' / version))  # 1 has variables, 2 is frozen.
    for n in (1, 5):
        latents = of_seeds(range(n), official.Gs.latent_size)
        assert _same(model.run('serving_default', {'latents': latents})['images'], _pictures(official.Gs, range(n)))


def test_png_bytes_hold_the_same_pictures(served, official):
    latents = of_seeds([3, 4, 5], official.Gs.latent_size)
    files = served.run('generate_png', {'latents': latents})['image_bytes']
    decoded = np.stack([np.asarray(PIL.Image.open(io.BytesIO(file))) for file in files])
    np.testing.assert_array_equal(decoded, served.run('serving_default', {'latents': latents})['images'])


def test_seeds_are_those_of_generate_and_can_be_batched(served, official):
    assert _same(served.run('generate_seeded', {'seeds': [7, 1000, 0]})['images'], _pictures(official.Gs, [7, 1000, 0]))


def test_labels_and_the_stored_lod_are_served(served_conditional, conditional):
    Gs = load_official(conditional, names=('Gs',)).Gs
    images = served_conditional.run('generate_seeded', {'seeds': [1, 2], 'labels': np.eye(3)[[2, 0]]})['images']
    assert _same(images, _pictures(Gs, [1, 2], classes=[2, 0], lod=0.5))


@pytest.mark.parametrize('version', ['1', '2'])
def test_discriminate_gives_the_scores_of_full_groups(models, official, version):
    images = np.random.RandomState(0).randint(256, size=[16, 32, 32, 3]).astype(np.uint8)
    scores, _ = official.D.discriminate(images.astype(np.float32) / 127.5 - 1)
    result = Model(str(models / 'progan' / version)).run('discriminate', {'images': images})
    np.testing.assert_allclose(result['score'], scores, rtol=1e-4, atol=1e-5)
    assert result['label_logits'].shape == (16, 0)


def test_freezing_keeps_latents_and_labels_apart(conditional):
    snapshot = load_official(conditional)
    frozen = signatures(snapshot.Gs, snapshot.D, 0.5, freeze=True)['generate_seeded']
    images = frozen(tf.constant([1, 2], tf.int64), tf.eye(3)[:2])['images'].numpy()
    assert _same(images, _pictures(snapshot.Gs, [1, 2], classes=[0, 1]))


@pytest.mark.parametrize('n', [1, 3, 4, 6])
def test_discriminate_takes_any_number_of_images(served_conditional, n):
    images = np.random.RandomState(0).randint(256, size=[6, 16, 16, 3])[:n]
    result = served_conditional.run('discriminate', {'images': images})
    assert result['score'].shape == (n,) and result['label_logits'].shape == (n, 3)
    assert np.all(np.isfinite(result['score']))


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_half_precision_is_close_and_keeps_its_types(official, dtype):
    Gs, D = (copy_of(network, f'mixed_{dtype}') for network in (official.Gs, official.D))
    endpoints = signatures(Gs, D, lod=1.0)
    images = endpoints['generate_seeded'](tf.constant([1, 2], tf.int64))['images']
    assert images.dtype == tf.uint8
    difference = np.abs(images.numpy().astype(int) - _pictures(official.Gs, [1, 2], lod=1.0))
    assert 0 < difference.mean() < (1 if dtype == 'float16' else 4)
    assert endpoints['discriminate'](images)['score'].dtype == tf.float32


def bad_requests():
    """(signature, {input: value}, what the server says) for a model of 3 classes, 16x16 RGB."""
    one, fine = np.eye(3, dtype=np.float32)[:1], np.zeros([1, 4], np.float32)
    classes = 'labels are no classes; expected are 3 numbers per row, 1 at the class and 0 elsewhere'
    for name in ('serving_default', 'generate_png'):
        for value in (np.nan, np.inf, -np.inf):
            yield name, {'latents': fine + value, 'labels': one}, 'latents are NaN or infinite; expected are finite numbers.'
        yield name, {'latents': fine[:, :3], 'labels': one}, 'latents are [1 3]; expected are [N, 4].'
        yield name, {'latents': fine[0], 'labels': one}, 'latents are [4]; expected are [N, 4].'
        for labels in (one * 0, one * 2, one * np.nan, one - one[:, ::-1] + one[:, [1, 0, 2]], one / 2):
            yield name, {'latents': fine, 'labels': labels}, classes
        yield name, {'latents': fine, 'labels': one[:, :2]}, 'labels are [1 2]; expected are [N, 3].'
        yield name, {'latents': np.repeat(fine, 2, axis=0), 'labels': one}, 'labels and what they belong to differ in number'
    for seed in (-1, 2 ** 32):
        yield 'generate_seeded', {'seeds': np.array([seed]), 'labels': one}, 'seeds are out of range; expected are 0'
    yield 'discriminate', {'images': np.zeros([0, 16, 16, 3])}, 'there are no images; expected is at least one.'
    for shape in ([1, 16, 16, 1], [1, 16, 16, 4], [1, 8, 8, 3], [1, 32, 32, 3], [16, 16, 3], [1, 1, 16, 16, 3]):
        yield 'discriminate', {'images': np.zeros(shape)}, f'images are {shape}; expected'.replace(',', '')


@pytest.mark.parametrize('freeze', [False, True])
def test_requests_without_a_meaning_are_refused_in_one_sentence(freeze, conditional, tmp_path):
    snapshot = load_official(conditional)
    write_saved_model(str(tmp_path / 'model'), signatures(snapshot.Gs, snapshot.D, 0.5, freeze))
    with Session(str(tmp_path / 'model')) as session:  # Unlike Python's, it compares no shapes before.
        for name, inputs, sentence in bad_requests():
            with pytest.raises(tf.errors.InvalidArgumentError) as error:
                session.run(name, inputs)
            assert f'assertion failed: [{sentence}' in str(error.value), (name, sentence)
        mixed = {'latents': np.zeros([2, 4]), 'labels': np.float32([[0, 1, 0], [0.25, 0.25, 0.5]])}
        assert session.run('serving_default', mixed)[0].shape == (2, 16, 16, 3)


def test_labels_that_are_numbers_are_only_to_be_finite(conditional):
    snapshot = load_official(conditional)
    served = signatures(snapshot.Gs, snapshot.D, 0.5, classes=False)['serving_default']
    assert served(tf.zeros([1, 4]), tf.constant([[-1.0, 0.5, 9.0]]))['images'].shape == (1, 16, 16, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match='labels are NaN or infinite; expected are finite numbers.'):
        served(tf.zeros([1, 4]), tf.constant([[np.nan, 0.0, 0.0]]))


def test_warmup_file_holds_a_real_request_per_allowed_size(models, served):
    path = str(models / 'progan' / '1' / 'assets.extra' / 'tf_serving_warmup_requests')
    sizes = {}
    for record in tf.data.TFRecordDataset(path):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        served.run(request.model_spec.signature_name, inputs)
        sizes.setdefault(request.model_spec.signature_name, []).append(len([*inputs.values()][0]))
    generating = ('serving_default', 'generate_png', 'generate_seeded', 'generate_seeded_png')
    assert sizes == dict.fromkeys(generating, [1, 2, 4, 8]) | {'discriminate': [1]}


def test_versions_and_config_files_lie_where_the_server_looks(models):
    assert sorted(os.listdir(models / 'progan')) == ['1', '2', 'batching.config', 'monitoring.config']
    others = {f'generator.{ending}' for ending in ('keras', 'onnx', 'tflite')}
    assert set(os.listdir(models / 'cond')) == {'1', 'batching.config', 'monitoring.config'} | others
    assert (models / 'progan' / 'batching.config').read_text().count('allowed_batch_sizes') == 4
    about = json.loads((models / 'cond' / '1' / 'assets.extra' / 'network.json').read_text())
    assert about['class_names'] == ['cat', 'dog', 'cow']
    about = json.loads((models / 'progan' / '2' / 'assets.extra' / 'network.json').read_text())
    assert about['nimg'] == 5000 and about['frozen'] and about['latent_size'] == 32


def test_every_weight_is_saved_once_and_a_frozen_model_has_none(models, official):
    size = {version: sum(file.stat().st_size for file in (models / 'progan' / version / 'variables').glob('*data*'))
            for version in '12'}
    weights = 4 * sum(np.prod(v.shape) for network in (official.Gs, official.D) for v in network.trainable_variables)
    assert weights <= size['1'] < weights + 100_000
    assert size['2'] < 10_000


def test_it_loads_where_there_is_only_tensorflow(models, tmp_path):
    code = f'''
import sys, tensorflow as tf
model = tf.saved_model.load({str(models / "cond" / "1")!r})
images = model.signatures["generate_seeded"](seeds=tf.constant([1, 2], tf.int64), labels=tf.eye(3)[:2])["images"]
assert images.shape == (2, 16, 16, 3) and images.dtype == tf.uint8
assert not [name for name in sys.modules if name.split(".")[0] in ("networks", "training", "export")]
'''
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_snapshot_to_c_api_to_png_equals_generate(models, served, official, tmp_path):
    definition = served.definitions['generate_png']
    np.save(tmp_path / 'latents.npy', of_seeds([5, 6], official.Gs.latent_size))
    library = os.path.join(os.path.dirname(tf.__file__), 'libtensorflow_cc.so.2')
    done = subprocess.run(
        [sys.executable, TESTS / 'helpers' / 'c_api_png.py', library, models / 'progan' / '1',
         definition.inputs['latents'].name, definition.outputs['image_bytes'].name, tmp_path / 'latents.npy', tmp_path],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pictures = np.stack([np.asarray(PIL.Image.open(tmp_path / f'{i}.png')) for i in range(2)])
    assert _same(pictures, _pictures(official.Gs, [5, 6]))


@pytest.mark.parametrize('serve', [grpc_server, rest_server])
def test_the_client_saves_the_pictures_of_its_seeds(served, official, run_command, tmp_path, serve):
    with serve(served) as address:
        done = run_command('serve_client.py', f'--server={address}', '--seeds=3-12', f'--out={tmp_path / "pictures"}')
    assert done.returncode == 0, done.stderr
    pictures = np.stack([np.asarray(PIL.Image.open(tmp_path / 'pictures' / f'seed{i:04d}.png')) for i in range(3, 13)])
    assert _same(pictures, _pictures(official.Gs, range(3, 13)))


def test_the_client_explains_a_missing_server(run_command, tmp_path):
    done = run_command('serve_client.py', '--server=http://localhost:9', f'--out={tmp_path}')
    assert done.returncode == 1 and 'start it, or correct --server' in done.stderr and 'Traceback' not in done.stderr
