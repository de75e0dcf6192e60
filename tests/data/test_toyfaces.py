"""Drawn faces: a folder that the whole path of CelebA-HQ accepts."""
import os

import numpy as np
import PIL.Image
import pytest
from numpy.testing import assert_array_equal

from data import celebahq, deltas, faces, toyfaces


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp('toys') / 'toyfaces'
    toyfaces.create(target, num_images=8, num_deltas=1)
    return target


def test_folder_opens_with_landmarks_and_deltas(folder):
    found = faces.open_faces(folder, expected_images=8)
    assert [delta.orig_file for delta in deltas.read_deltas(folder / 'deltas', found.names)] == ['000001.jpg']


def test_pictures_have_many_sizes(folder):
    sizes = {PIL.Image.open(entry.path).size for entry in os.scandir(folder / 'img_celeba')}
    assert len(sizes) == 8 and min(min(sizes)) < 100 and max(max(sizes)) > 2000


@pytest.mark.parametrize('index', [0, 3, 5])
def test_aligned_eyes_are_where_they_belong(index):
    """By the quad's formula the eyes are at (384, 488) and (640, 488): black pupils, white 50 pixels away."""
    image, landmarks = toyfaces.draw(index)
    aligned = celebahq.align_image(image, np.float32(landmarks)).max(axis=0)
    for x in 384, 640:
        assert aligned[480:496, x - 5:x + 5].min() < 60 and aligned[480:496, x - 55:x - 45].max() > 200


def test_drawing_depends_on_seed_and_index_only():
    first, landmarks = toyfaces.draw(0, seed=1)
    again, same_landmarks = toyfaces.draw(0, seed=1)
    assert_array_equal(np.asarray(first), np.asarray(again))
    assert_array_equal(landmarks, same_landmarks)
    assert not np.array_equal(np.asarray(first), np.asarray(toyfaces.draw(0, seed=2)[0]))


def test_an_existing_folder_is_left_alone_and_a_failure_leaves_nothing(tmp_path):
    (tmp_path / 'mine').mkdir()
    with pytest.raises(FileExistsError, match='exists already'):
        toyfaces.create(tmp_path / 'mine')
    with pytest.raises(ValueError, match='at most one delta for each'):
        toyfaces.create(tmp_path / 'toys', num_images=2, num_deltas=3)
    assert [entry.name for entry in os.scandir(tmp_path)] == ['mine']
