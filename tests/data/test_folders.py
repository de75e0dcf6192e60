import json
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from data.folders import from_images

NAMES = [f'{i}.png' for i in range(10)]


@pytest.fixture
def pixels():
    return np.random.RandomState(0).randint(256, size=[10, 16, 16, 3]).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, pixels):
    (tmp_path / 'pictures').mkdir()
    for name, image in zip(NAMES, pixels, strict=True):
        Image.fromarray(image).save(tmp_path / 'pictures' / name)
    return tmp_path / 'pictures'


def read(source):
    """All images of a source."""
    return np.stack([source.load(item) for item in source.items])


def load_all(image_dir, **arguments):
    return read(from_images(str(image_dir), shuffle=0, **arguments))


def test_images_come_in_the_order_of_their_names_or_in_the_references(folder, pixels):
    order = np.arange(10)
    np.random.RandomState(123).shuffle(order)
    assert_array_equal(load_all(folder), pixels.transpose(0, 3, 1, 2))
    assert_array_equal(read(from_images(str(folder))), pixels[order].transpose(0, 3, 1, 2))


def test_other_files_and_hidden_ones_are_no_images(folder):
    for name in ('notes.txt', '.hidden.png', 'Thumbs.db'):
        (folder / name).write_bytes(b'x')
    assert len(from_images(str(folder)).items) == 10


def test_a_zip_file_is_as_good_as_its_folder(folder, tmp_path, pixels):
    with zipfile.ZipFile(tmp_path / 'pictures.zip', 'w') as file:
        for name in NAMES:
            file.write(folder / name, f'inside/{name}')
        file.writestr('__MACOSX/inside/._0.png', b'x')
    assert_array_equal(load_all(tmp_path / 'pictures.zip'), pixels.transpose(0, 3, 1, 2))


def test_damaged_zip_files_are_named(folder, tmp_path):
    path = tmp_path / 'pictures.zip'
    path.write_bytes(b'no zip')
    with pytest.raises(ValueError, match='pictures.zip. is neither a folder nor a zip file, or is damaged'):
        from_images(str(path))
    other = tmp_path / 'other.zip'
    with zipfile.ZipFile(other, 'w') as file:
        for name in NAMES:
            file.write(folder / name, name)
    data = bytearray(other.read_bytes())
    data[data.index(b'7.png') + 200] ^= 1
    other.write_bytes(data)
    source = from_images(str(other), shuffle=0)
    source.load('6.png')
    with pytest.raises(ValueError, match='cannot be unpacked .Bad CRC-32'):
        source.load('7.png')


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='is neither a folder nor a zip file'):
        from_images(str(tmp_path / 'none'))
    with pytest.raises(FileNotFoundError, match='holds no image files'):
        from_images(str(tmp_path))


@pytest.mark.parametrize('size', [(16, 8), (24, 24)])
def test_what_is_no_square_power_of_two_is_refused_with_the_way_out(folder, size):
    Image.new('RGB', size).save(folder / '0.png')
    with pytest.raises(ValueError, match=f"'0.png' is {size[0]}x{size[1]}, not a square power of two; choose a --res"):
        from_images(str(folder))


def test_an_image_of_another_size_is_refused(folder):
    Image.new('RGB', (8, 8)).save(folder / '5.png')
    with pytest.raises(ValueError, match='is 8x8, the first is 16x16; choose a --resolution'):
        load_all(folder)


def test_any_size_is_brought_to_the_resolution(folder):
    Image.new('RGB', (31, 47)).save(folder / '5.png')
    for fit in ('crop', 'pad', 'stretch'):
        assert load_all(folder, resolution=8, fit=fit).shape == (10, 3, 8, 8)
    with pytest.raises(ValueError, match='is 31x47, not square'):
        load_all(folder, resolution=8)
    with pytest.raises(ValueError, match='--fit=crop needs a --resolution'):
        load_all(folder, fit='crop')


def test_gray_among_colours_becomes_rgb_but_not_the_reverse(folder, pixels):
    Image.fromarray(pixels[5, :, :, 0]).save(folder / '5.png')
    assert_array_equal(load_all(folder)[5], np.stack([pixels[5, :, :, 0]] * 3))
    Image.fromarray(pixels[0, :, :, 0]).save(folder / '0.png')
    with pytest.raises(ValueError, match='has colours, the first is gray; choose --channels=1 or --channels=3'):
        load_all(folder)
    assert load_all(folder, channels=1).shape == (10, 1, 16, 16)
    assert load_all(folder, channels=3).shape == (10, 3, 16, 16)


def test_bad_images_at_the_beginning_do_not_decide(folder):
    (folder / '0.png').write_bytes(b'x')
    source = from_images(str(folder), shuffle=0)
    assert source.resolution == 16
    with pytest.raises(ValueError, match='is not an image'):
        source.load('0.png')
    for name in NAMES:
        (folder / name).write_bytes(b'x')
    with pytest.raises(ValueError, match="none of the 10 images of .* can be read: '9.png' is not an image"):
        from_images(str(folder))


def test_sub_folders_are_classes(tmp_path, pixels):
    for i in range(10):
        path = tmp_path / f'class{i % 3}' / 'deeper'
        path.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[i]).save(path / f'{i}.png')
    source = from_images(str(tmp_path), shuffle=0, labels='folders')
    assert_array_equal(source.labels.argmax(axis=1), [0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert source.labels.shape == (10, 3)
    Image.fromarray(pixels[0]).save(tmp_path / 'alone.png')
    with pytest.raises(ValueError, match="'alone.png' is in none"):
        from_images(str(tmp_path), labels='folders')


def test_labels_are_shuffled_with_their_images(folder, tmp_path, pixels):
    (tmp_path / 'labels.json').write_text(json.dumps({name: [i, -i] for i, name in enumerate(NAMES)}))
    source = from_images(str(folder), labels=str(tmp_path / 'labels.json'))
    assert_array_equal(read(source), pixels[source.labels[:, 0].astype(int)].transpose(0, 3, 1, 2))
