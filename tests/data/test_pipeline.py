import time

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from places import GOLDENS

from data.pipeline import batches, image_indices, random_words
from data.tfrecords import Dataset, SyntheticDataset
from data.writer import Writer
from networks.growth import process_reals

N = 29


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """Images whose every pixel row tells their number, and left from right; labels that tell it too."""
    path = tmp_path_factory.mktemp('data') / 'numbers'
    images = np.zeros([N, 3, 8, 8], np.uint8)
    images += np.arange(N, dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
    images[:, 1, :, 0] = 200
    with Writer(path, 8, 3, label_size=2) as writer:
        writer.add(images, np.stack([np.arange(N), -np.arange(N)], axis=1))
    return Dataset(path)


def take(count, dataset, **arguments):
    """The first `count` elements as NumPy arrays."""
    defaults = {'level': 0, 'minibatch': 4, 'rounds': 3, 'position': 0, 'seed': 1, 'mirror': False}
    return list(batches(dataset, **(defaults | arguments)).take(count).as_numpy_iterator())


def stream(elements, key='images'):
    """Elements of one replica joined to [position, ...]."""
    return np.concatenate([element[key].reshape(-1, *element[key].shape[2:]) for element in elements])


def numbers(elements):
    return stream(elements)[:, 0, 1, 0]


def test_elements_have_the_shapes_of_one_iteration(dataset):
    element = batches(dataset, level=1, minibatch=6, rounds=4, position=0, seed=1, mirror=True).element_spec
    assert element == {'images': tf.TensorSpec([4, 6, 4, 4, 3], tf.uint8),
                       'labels': tf.TensorSpec([4, 6, 2], tf.float32),
                       'random_labels': tf.TensorSpec([4, 6, 2], tf.float32)}


def test_every_epoch_shows_every_image_once_in_a_new_order(dataset):
    shown = numbers(take(20, dataset))
    epochs = shown[:N * 8].reshape(8, N)
    assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(N), [8, 1]))
    assert len(np.unique(epochs, axis=0)) == 8


def test_labels_belong_to_their_images(dataset):
    elements = take(9, dataset, mirror=True)
    shown = stream(elements)[:, 0, 1, 0].astype(np.float32)
    assert_array_equal(stream(elements, 'labels'), np.stack([shown, -shown], axis=1))


@pytest.mark.parametrize('level', [0, 1])
def test_pixels_are_those_of_the_file(dataset, level):
    elements = take(3, dataset, level=level)
    indices = image_indices(N, 1, np.arange(36))
    assert_array_equal(stream(elements), dataset.read(level, indices).transpose(0, 2, 3, 1))


@pytest.mark.parametrize('position', [1, 4, 28, 29, 1000, 12_345_678])
@pytest.mark.parametrize('mirror', [False, True])
def test_any_position_continues_with_the_very_next_image(dataset, position, mirror):
    before = take(1, dataset, position=position, minibatch=12, mirror=mirror)
    after = take(2, dataset, position=position + 5, minibatch=1, rounds=1, mirror=mirror)
    for key in ('images', 'labels', 'random_labels'):
        assert_array_equal(stream(after, key), stream(before, key)[5:7])


@pytest.mark.parametrize('level', [0, 7])
def test_images_without_labels_have_labels_of_no_components(level):
    element = take(1, SyntheticDataset(512), level=level)[0]
    assert element['images'].shape == (3, 4, 512 >> level, 512 >> level, 3)
    assert element['labels'].shape == element['random_labels'].shape == (3, 4, 0)


def test_a_far_position_costs_nothing():
    dataset = SyntheticDataset(8)
    take(1, dataset)
    start = time.perf_counter()
    take(1, dataset, position=10 ** 12)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize('replicas, workers', [(1, 1), (2, 1), (4, 1), (2, 2), (4, 2)])
def test_the_global_stream_does_not_depend_on_replicas_and_workers(dataset, replicas, workers):
    iterations = 20  # More than are read in one go.
    expected = take(iterations, dataset, minibatch=8, position=7, mirror=True)
    here = replicas // workers
    elements = []
    for worker in range(workers):
        context = tf.distribute.InputContext(workers, worker, replicas)
        elements.append(take(iterations * here, dataset, minibatch=8, position=7, mirror=True,
                             input_context=context))
    for i in range(iterations):
        shares = [element for of_worker in elements for element in of_worker[i * here:(i + 1) * here]]
        for key in ('images', 'labels', 'random_labels'):
            assert_array_equal(np.concatenate([share[key] for share in shares], axis=1), expected[i][key])


def test_replicas_of_a_strategy_get_their_rows(dataset):
    strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
    shares = iter(strategy.distribute_datasets_from_function(
        lambda context: batches(dataset, 0, 8, 3, 7, 1, True, context)))
    expected = take(5, dataset, minibatch=8, position=7, mirror=True)
    for i in range(5):
        images = strategy.experimental_local_results(next(shares)['images'])
        assert_array_equal(np.concatenate(images, axis=1), expected[i]['images'])


def test_mirroring_flips_half_of_the_images_and_only_left_to_right(dataset):
    plain, mirrored = (stream(take(100, dataset, mirror=mirror)) for mirror in (False, True))
    flipped = (plain != mirrored).any(axis=(1, 2, 3))
    assert_array_equal(mirrored, np.where(flipped[:, None, None, None], plain[:, :, ::-1], plain))
    assert abs(flipped.mean() - 0.5) < 4 * 0.5 / len(plain) ** 0.5


def test_random_labels_are_uniform_over_the_images_and_unlike_the_real_ones(dataset):
    elements = take(200, dataset)
    labels = stream(elements, 'random_labels')[:, 0]
    counts = np.bincount(labels.astype(int), minlength=N)
    expected = len(labels) / N
    assert ((counts - expected) ** 2 / expected).sum() < 60  # Chi square, 28 degrees of freedom: p = 0.0004.
    assert (labels == stream(elements, 'labels')[:, 0]).mean() < 0.1


def test_seeds_differ_and_repeat(dataset):
    first, again, other = (numbers(take(10, dataset, seed=seed)) for seed in (1, 1, 2))
    assert_array_equal(first, again)
    assert (first != other).mean() > 0.8
    assert (random_words(1, 0, 100) != random_words(2, 0, 100)).all()


def test_minibatch_that_replicas_cannot_share_is_refused(dataset):
    with pytest.raises(ValueError, match='minibatch 6 cannot be shared equally by 4 devices'):
        batches(dataset, 0, 6, 1, 0, 1, False, tf.distribute.InputContext(1, 0, 4))


def test_damage_reaches_the_reader_of_batches_by_name(dataset, tmp_path):
    with Writer(tmp_path / 'bad', 8, 3) as writer:
        writer.add(np.zeros([10, 3, 8, 8], np.uint8))
    path = tmp_path / 'bad' / 'bad-r03.tfrecords'
    data = bytearray(path.read_bytes())
    data[3 * len(data) // 10 + 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(tf.errors.OpError, match='bad-r03.tfrecords.* record 3'):
        take(3, Dataset(tmp_path / 'bad'))


@pytest.mark.parametrize('lod', ['0', '0.4', '1', '1.4', '2.6'])
def test_process_reals_agrees_with_the_reference(lod):
    golden = np.load(GOLDENS / 'process_reals.npz')
    images = golden[f'in/lod{lod}'].transpose(0, 2, 3, 1)
    processed = process_reals(tf.constant(images), tf.constant(float(lod) % 1)).numpy()
    expected = golden[f'out/lod{lod}'].transpose(0, 2, 3, 1)
    factor = expected.shape[1] // processed.shape[1]
    assert_allclose(processed.repeat(factor, axis=1).repeat(factor, axis=2), expected, atol=1e-5)


def test_process_reals_gives_the_asked_for_dtype():
    images = tf.zeros([2, 4, 4, 3], tf.uint8)
    assert process_reals(images, 0.0, tf.float16).dtype == tf.float16
    assert_array_equal(process_reals(images, 0.0), -np.ones([2, 4, 4, 3]))
