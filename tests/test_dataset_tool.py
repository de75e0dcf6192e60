import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.datasets import load_digits

from data.tfrecords import Dataset

ROOT = pathlib.Path(__file__).parent.parent
GOLDENS = pathlib.Path(__file__).parent / 'goldens'


def run(*arguments, check=True):
    """Runs dataset_tool.py as a user does; returns its output, or where it should fail the one sentence it
    says.
    """
    command = [sys.executable, str(ROOT / 'dataset_tool.py'), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    if check:
        assert result.returncode == 0, result.stderr
        return result.stdout
    assert result.returncode == 1
    sentence, = result.stderr.splitlines()
    assert sentence.startswith('dataset_tool.py: ')
    return sentence.removeprefix('dataset_tool.py: ')


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp('data') / 'digits'
    run('create_digits', path)
    return path


@pytest.fixture
def pictures(tmp_path):
    """A folder of ten random 16x16 pictures; returns it and the pixels [10, 3, 16, 16]."""
    pixels = np.random.RandomState(0).randint(256, size=[10, 16, 16, 3]).astype(np.uint8)
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f'{i}.png')
    return folder, pixels.transpose(0, 3, 1, 2)


def test_digits_are_the_scans_shuffled_with_their_labels(digits):
    scans = load_digits()
    order = np.arange(1797)
    np.random.RandomState(123).shuffle(order)
    dataset = Dataset(digits)
    assert (dataset.num_images, dataset.num_channels, dataset.resolution) == (1797, 1, 16)
    assert_array_equal(dataset.labels, np.eye(10)[scans.target[order]])
    gray = np.rint(scans.images[order] * 255 / 16).astype(np.uint8)
    for i in (0, 1000, 1796):
        expected = Image.fromarray(gray[i]).resize((16, 16), Image.Resampling.LANCZOS)
        assert_array_equal(dataset.read(0, [i])[0, 0], np.asarray(expected))


def test_create_extract_create_gives_the_same_bytes(tmp_path):
    """Without labels, which PNG files cannot hold."""
    run('extract', GOLDENS / 'tfr32', tmp_path / 'png')
    assert sorted(os.listdir(tmp_path / 'png')) == [f'img{i:08d}.png' for i in range(100)]
    run('create_from_images', tmp_path / 'tfr32', tmp_path / 'png', '--shuffle', 0)
    expected = files(GOLDENS / 'tfr32')
    del expected['tfr32-rxx.labels']
    assert files(tmp_path / 'tfr32') == expected


def test_gray_images_survive_the_round_trip(tmp_path, digits):
    run('extract', digits, tmp_path / 'png')
    run('create_from_images', tmp_path / 'again', tmp_path / 'png', '--shuffle=0')
    assert 'identical' in run('compare', digits, tmp_path / 'again', '--ignore_labels')


def test_images_are_shuffled_as_the_reference_does(tmp_path, pictures):
    folder, pixels = pictures
    order = np.arange(10)
    np.random.RandomState(123).shuffle(order)
    run('create_from_images', tmp_path / 'shuffled', folder)
    assert_array_equal(Dataset(tmp_path / 'shuffled').read(0, range(10)), pixels[order])


def test_workers_do_not_change_the_order(tmp_path, pictures):
    for workers in ('0', '1', '3'):
        run('create_from_images', tmp_path / workers / 'set', pictures[0], '--num_workers', workers)
    assert files(tmp_path / '0' / 'set') == files(tmp_path / '1' / 'set') == files(tmp_path / '3' / 'set')


def test_compare_calls_the_same_set_identical(digits):
    assert run('compare', digits, digits) == 'identical: 1797 images and labels\n'


def test_compare_tells_differences(tmp_path, digits, pictures):
    folder, pixels = pictures
    run('create_from_images', tmp_path / 'a', folder, '--shuffle=0')
    Image.fromarray(255 - pixels[4].transpose(1, 2, 0)).save(folder / '4.png')
    run('create_from_images', tmp_path / 'b', folder, '--shuffle=0')
    sentence = run('compare', tmp_path / 'a', tmp_path / 'b', check=False)
    assert sentence.startswith('1 of 10 images or labels differ')
    assert sentence.endswith('the first is number 4')
    assert 'num_channels is 3 in' in run('compare', tmp_path / 'a', digits, check=False)


def test_compare_sees_labels_unless_told_not_to(tmp_path, digits):
    run('create_digits', tmp_path / 'digits')
    path = tmp_path / 'digits' / 'digits-rxx.labels'
    labels = np.load(path)
    labels[7] = 1 - labels[7]
    with open(path, 'wb') as file:
        np.save(file, labels)
    assert 'the first is number 7' in run('compare', digits, tmp_path / 'digits', check=False)
    assert 'identical' in run('compare', digits, tmp_path / 'digits', '--ignore_labels')


@pytest.mark.parametrize('edit, message', [
    (lambda folder: Image.new('RGB', (16, 8)).save(folder / '0.png'), "0.png' is 16x8 RGB; expected a square"),
    (lambda folder: Image.new('RGB', (24, 24)).save(folder / '0.png'), "0.png' is 24x24 RGB; expected a square"),
    (lambda folder: Image.new('RGB', (8, 8)).save(folder / '5.png'), "5.png': is 8x8 RGB; the first is"),
    (lambda folder: Image.new('L', (16, 16)).save(folder / '5.png'), "5.png': is 16x16 L; the first is"),
    (lambda folder: (folder / '5.png').write_bytes(b'no image'), "5.png': cannot identify image file"),
    (lambda folder: (folder / '0.png').write_bytes(b''), "0.png': cannot identify image file"),
    (lambda folder: (folder / '5.png').write_bytes((folder / '5.png').read_bytes()[:400]), "5.png': "),
])
def test_bad_image_is_named_and_nothing_is_left(tmp_path, pictures, edit, message):
    edit(pictures[0])
    assert message in run('create_from_images', tmp_path / 'set', pictures[0], check=False)
    assert os.listdir(tmp_path) == ['pictures']


def test_folder_without_images_is_refused(tmp_path):
    assert 'holds no image files' in run('create_from_images', tmp_path / 'set', tmp_path, check=False)
    assert 'is not a folder' in run('create_from_images', tmp_path / 'set', tmp_path / 'none', check=False)


def test_existing_target_is_refused(tmp_path, digits):
    assert 'exists already' in run('create_digits', digits, check=False)
    (tmp_path / 'png').mkdir()
    assert 'exists already' in run('extract', digits, tmp_path / 'png', check=False)


@pytest.mark.parametrize('arguments, message', [
    (['create_digit'], "unknown command 'create_digit'; did you mean 'create_digits'?"),
    (['create_digits'], 'usage: '),
    (['create_digits', 'a', 'b'], 'usage: '),
    (['create_digits', 'a', '--shuffle=1'], 'create_digits has no flag --shuffle'),
    (['extract', 'no-such-set', 'a'], 'python dataset_tool.py create_from_images no-such-set'),
])
def test_wrong_arguments_are_one_clear_sentence(arguments, message):
    assert message in run(*arguments, check=False)


def test_without_arguments_the_commands_are_listed():
    assert 'create_from_images TFRECORD_DIR IMAGE_DIR [--shuffle]' in run()
