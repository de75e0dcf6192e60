"""Nearest training images by VGG16's features and in the crop of a face (figure 10 of ProGAN's paper)."""
import numpy as np
import pytest
import small_vgg16
from numpy.testing import assert_allclose, assert_array_equal

from data.build import build
from data.sources import from_arrays
from data.tfrecords import Dataset
from metrics.nearest import nearest, nearest_images, vgg16_features
from metrics.paths import crop_face
from metrics.precision_recall import squared_distances
from metrics.vgg16 import VGG16


@pytest.fixture(scope='module')
def weights():
    return small_vgg16.random_weights()[0]


@pytest.fixture(scope='module')
def describe(weights):
    return vgg16_features(VGG16(weights))


def random_images(count, size, seed=0):
    return np.random.RandomState(seed).randint(256, size=[count, 3, size, size]).astype(np.uint8)


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    """A data set of 20 images of 32x32."""
    folder = tmp_path_factory.mktemp('nearest') / 'faces'
    build(str(folder), from_arrays(random_images(20, 32)), '')
    return folder


def test_distances_are_lpips_with_equal_weights(describe, weights):
    images = random_images(3, 16)
    expected = np.zeros([3, 3])
    for layer in small_vgg16.features(images.transpose(0, 2, 3, 1), weights):
        unit = layer / (np.linalg.norm(layer, axis=-1, keepdims=True) + 1e-10)
        expected += np.square(unit[:, None] - unit).sum(-1).mean(axis=(2, 3))
    rows = describe(images)
    assert rows.dtype == np.float32 and len(rows) == 3
    assert_allclose(squared_distances(rows, rows), expected, atol=1e-4 * expected.max())
    assert expected.max() > 0.1


def test_gray_images_are_described_too(describe):
    gray = random_images(2, 16)[:, :1]
    assert_allclose(describe(gray), describe(np.repeat(gray, 3, axis=1)), atol=1e-6)


def test_of_faces_the_middle_counts_alone(describe, faces):
    """The face of image 5 before the background of image 11."""
    dataset = Dataset(faces)
    face, mixed = dataset.read(0, [5, 11])
    mixed[:, 12:28, 8:24] = face[:, 12:28, 8:24]
    whole = nearest(mixed[None], dataset, k=2, minibatch=7, describe=describe)
    cropped = nearest(mixed[None], dataset, k=2, minibatch=7, describe=describe, crop=crop_face)
    assert [found[0, 0] for found in whole] == [11, 11] and [found[0, 0] for found in cropped] == [5, 5]
    middle = [image[:, 12:28, 8:24] for image in dataset.read(0, range(20))]
    distances = squared_distances(describe(np.array(middle[5:6])), describe(np.array(middle)))
    assert_array_equal(cropped[1][0], np.argsort(distances[0])[:2])


def test_the_images_themselves_are_returned_whole(describe, faces):
    images = Dataset(faces).read(0, [3, 4]).transpose(0, 2, 3, 1)
    found = nearest_images(images, str(faces), 32, 1, describe=describe, crop=crop_face, minibatch=8)
    assert_array_equal(found, images[:, None].repeat(2, axis=1))


def test_images_too_small_for_the_features_or_the_crop_are_refused(describe, faces):
    images = Dataset(faces).read(0, [3]).transpose(0, 2, 3, 1)
    with pytest.raises(ValueError, match='compared at 8x8, but VGG16 needs 16x16 or more; raise --nearest_resolution'):
        nearest_images(images, str(faces), 16, 1, describe=describe, crop=crop_face)
    with pytest.raises(ValueError, match='of 4x4 the crop leaves nothing; raise --nearest_resolution'):
        nearest_images(images, str(faces), 4, 1, crop=crop_face)
