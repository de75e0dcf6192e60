"""Folders of photographs with landmarks, right and wrong."""
import shutil

import numpy as np
import pytest

from data import faces

NAMES = ('b.jpg', 'a.jpg', 'with space.jpg')
LINE = '{} 10 20 30 20 20 30 12 40 28 40'


@pytest.fixture
def folder(tmp_path):
    """Three (empty) image files and their landmarks."""
    (tmp_path / 'img_celeba').mkdir()
    (tmp_path / 'Anno').mkdir()
    for name in NAMES:
        (tmp_path / 'img_celeba' / name).touch()
    write_landmarks(tmp_path, '3', 'lefteye_x ..', *map(LINE.format, NAMES))
    return tmp_path


def write_landmarks(folder, *lines):
    (folder / 'Anno' / 'list_landmarks_celeba.txt').write_text('\n'.join(lines) + '\n')


def test_landmarks_come_in_the_order_of_their_file(folder):
    found = faces.open_faces(folder, expected_images=3)
    assert found.names == NAMES
    assert found.landmarks.shape == (3, 5, 2) and found.landmarks.dtype == np.float32
    assert found.landmarks[2].tolist() == [[10, 20], [30, 20], [20, 30], [12, 40], [28, 40]]


@pytest.mark.parametrize('lines, message', [
    (['2', '..', *map(LINE.format, NAMES)], "lists '2' images, but 3 lines"),
    (['3', '..', *map(LINE.format, NAMES[:2])], "lists '3' images, but 2 lines"),
    (['3', '..', *map(LINE.format, NAMES[:2]), 'c.jpg 10 20 30'], 'line 5: expected a file name and'),
    (['3', '..', *map(LINE.format, [*NAMES[:2], 'a.jpg'])], "lists 'a.jpg' 2 times"),
    (['3', '..', *map(LINE.format, [*NAMES[:2], 'd.jpg'])], "'with space.jpg' is in .* but not in .*Anno"),
    (['4', '..', *map(LINE.format, [*NAMES, 'd.jpg'])], "'d.jpg' is in .* but not in .*img_celeba"),
    ([], 'truncated or no landmark file'),
])
def test_landmarks_that_do_not_match_the_images_are_refused(folder, lines, message):
    write_landmarks(folder, *lines)
    with pytest.raises(ValueError, match=message):
        faces.open_faces(folder, expected_images=0)


def test_a_wrong_count_of_images_is_refused(folder):
    with pytest.raises(ValueError, match='holds 3 images; expected 202599'):
        faces.open_faces(folder)


@pytest.mark.parametrize('missing', ['img_celeba', 'Anno'])
def test_a_missing_part_is_named(folder, missing):
    shutil.rmtree(folder / missing)
    with pytest.raises(FileNotFoundError, match=missing):
        faces.open_faces(folder)
