import json
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from data import inspection
from data.build import build
from data.folders import from_images
from data.tfrecords import Dataset
from data.writer import Writer


@pytest.fixture
def images():
    return np.random.RandomState(0).randint(256, size=[20, 3, 16, 16]).astype(np.uint8)


@pytest.fixture
def make(tmp_path):
    """Writes a data set -> its folder."""
    def write(name, images, labels=None, class_names=None):
        with Writer(tmp_path / name, images.shape[-1], images.shape[1], 0 if labels is None else labels.shape[1],
                    class_names=class_names) as writer:
            writer.add(images, labels)
        return tmp_path / name
    return write


def classes(count):
    return np.eye(4, dtype=np.float32)[np.arange(count) % 4]


def test_the_same_set_twice_is_identical(make, images, capsys):
    inspection.compare(make('a', images, classes(20)), make('b', images, classes(20)))
    assert capsys.readouterr().out == 'identical: 20 images and labels\n'


def test_a_different_image_is_numbered(make, images):
    other = images.copy()
    other[[4, 9], 0, 0, 0] ^= 1
    with pytest.raises(ValueError, match="^2 of 20 images or labels differ between .*; the first is number 4\\.$"):
        inspection.compare(make('a', images), make('b', other))


def test_different_labels_count_unless_ignored(make, images, capsys):
    a, b = make('a', images, classes(20)), make('b', images, 1 - classes(20))
    with pytest.raises(ValueError, match='20 of 20 images or labels differ'):
        inspection.compare(a, b)
    inspection.compare(a, b, ignore_labels=True)
    inspection.compare(a, make('c', images), ignore_labels=True)
    assert capsys.readouterr().out == 2 * 'identical: 20 images\n'


@pytest.mark.parametrize('other, what', [
    (np.zeros([20, 3, 8, 8], np.uint8), 'resolution is 16 in .* and 8 in'),
    (np.zeros([20, 1, 16, 16], np.uint8), 'num_channels is 3 in .* and 1 in'),
    (np.zeros([19, 3, 16, 16], np.uint8), 'num_images is 20 in .* and 19 in'),
])
def test_sets_of_another_kind_are_told_apart(make, images, other, what):
    with pytest.raises(ValueError, match=what):
        inspection.compare(make('a', images), make('b', other))


@pytest.mark.parametrize('num_channels', [1, 3])
def test_extract_writes_pictures_and_labels(make, images, tmp_path, num_channels):
    inspection.extract(make('a', images[:, :num_channels], classes(20)), tmp_path / 'png', num_workers=0)
    assert len(os.listdir(tmp_path / 'png')) == 21
    pixels = np.asarray(Image.open(tmp_path / 'png' / 'img00000013.png'))
    assert_array_equal(pixels.reshape(16, 16, num_channels).transpose(2, 0, 1), images[13, :num_channels])
    labels = json.loads((tmp_path / 'png' / 'labels.json').read_text())
    assert labels['img00000013.png'] == [0, 1, 0, 0]


def test_extract_overwrites_nothing(make, images, tmp_path):
    (tmp_path / 'png').mkdir()
    with pytest.raises(FileExistsError, match='png. exists already'):
        inspection.extract(make('a', images), tmp_path / 'png')


def test_info_tells_levels_and_classes(make, images, capsys):
    inspection.info(make('a', images, classes(20)))
    assert capsys.readouterr().out.splitlines() == [
        'a: 20 images of 16x16, RGB', '  16x16: 16,460 bytes in 1 file', '  8x8: 4,940 bytes in 1 file',
        '  4x4: 1,960 bytes in 1 file', '  4 classes: 0: 5, 1: 5, 2: 5, 3: 5']
    inspection.info(make('b', images, classes(20) * 2))
    inspection.info(make('c', images))
    said = capsys.readouterr().out
    assert 'labels of 4 numbers, mean [0.5 0.5 0.5 0.5]' in said and said.endswith('no labels\n')


def test_info_of_one_image_one_number_and_many_classes(make, images, capsys):
    inspection.info(make('one', images[:1], np.float32([[0.55]])))
    inspection.verify(make('another', images[:1]))
    said = capsys.readouterr().out
    assert 'one: 1 image of 16x16' in said and '  labels of 1 number, mean [0.55]\n' in said and 'intact: 1 image in' in said
    inspection.info(make('many', images, np.eye(9000, dtype=np.float32)[-20:]))
    assert capsys.readouterr().out.splitlines()[-1].endswith(
        ' 97: 0, 98: 0, .., 8999: 1, 0 to 1 each, 8980 of them without an image')


def test_names_of_classes_are_kept_through_extract_and_create_again(make, images, tmp_path, capsys):
    names = ['ant', 'bee', 'cat', 'größe']
    path = make('named', images, classes(20), names)
    assert Dataset(path).class_names == names and Dataset(path, label_size=1).class_names is None
    inspection.info(path)
    inspection.verify(path)
    inspection.display(path, output=tmp_path / 'sheet.png')
    said = capsys.readouterr().out
    assert '  4 classes: ant: 5, bee: 5, cat: 5, größe: 5\n' in said and 'intact: 20 images in all levels\n' in said
    inspection.extract(path, tmp_path / 'png', num_workers=0)
    build(tmp_path / 'again', from_images(str(tmp_path / 'png'), shuffle=0, labels=str(tmp_path / 'png' / 'labels.json')))
    inspection.compare(path, tmp_path / 'again')
    assert Dataset(tmp_path / 'again').class_names == names


@pytest.mark.parametrize('names, kept', [(['0.5', '1.5', '2.5', '3.5'], False), (['01', '02', '1', '2'], True)])
def test_labels_are_kept_through_extract_where_names_of_classes_look_like_numbers(make, images, tmp_path, names, kept):
    path = make('named', images, classes(20), names)
    inspection.extract(path, tmp_path / 'png', num_workers=0)
    build(tmp_path / 'again', from_images(str(tmp_path / 'png'), shuffle=0, labels=str(tmp_path / 'png' / 'labels.json')))
    inspection.compare(path, tmp_path / 'again')
    assert Dataset(tmp_path / 'again').class_names == (names if kept else None)


def test_names_that_do_not_fit_the_labels_or_were_changed_are_refused(make, images):
    with pytest.raises(ValueError, match="names 1 classes, its labels have 4 components; build the data set again"):
        Dataset(make('few', images, classes(20), ['ant']))
    path = make('named', images, classes(20), list('abcd'))
    manifest = path / 'named.manifest'
    written = manifest.read_bytes()
    for place in range(written.rindex(b'\n', 0, -1) + 1, len(written)):
        manifest.write_bytes(written[:place] + bytes([written[place] ^ 1]) + written[place + 1:])
        with pytest.raises(ValueError, match='damaged'):
            inspection.verify(path)


def test_a_contact_sheet_shows_the_images_from_any_number_on(make, images, tmp_path):
    path = make('a', images, classes(20))
    inspection.display(path, output=str(tmp_path / 'sheet'), start=5)
    sheet = np.asarray(Image.open(tmp_path / 'sheet.png'))
    gap, text = inspection.SHEET_GAP, 15
    assert sheet.shape == (gap + text + 64 + gap, gap + 15 * (64 + gap), 3)  # No larger than what it holds.
    for place, image in enumerate(images[5:]):
        tile = sheet[gap + text:, gap + place * (64 + gap):][:64, :64]
        assert_array_equal(tile[::4, ::4].transpose(2, 0, 1), image)
    assert sheet[gap:gap + text, gap:gap + 64].max() > 200
    with pytest.raises(FileExistsError, match='exists already'):
        inspection.display(path, output=str(tmp_path / 'sheet.png'))
    with pytest.raises(ValueError, match='--start=20 is not a number from 0 to 19'):
        inspection.display(path, output=str(tmp_path / 'sheet.png'), start=20)
