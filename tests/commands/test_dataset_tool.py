"""The commands as a user runs them; what they do in detail is tested beside the modules that do it."""
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from places import ROOT
from sklearn.datasets import load_digits

from data.tfrecords import Dataset
from data.writer import check_target


@pytest.fixture
def tool(run_command):
    """Runs dataset_tool.py -> its output, or where it `fails` the one sentence that it says."""
    def run(*arguments, fails=False):
        result = run_command('dataset_tool.py', *arguments, timeout=600)
        assert result.returncode == fails, result.stderr
        if not fails:
            return result.stdout
        sentence, = result.stderr.splitlines()
        assert sentence.startswith('dataset_tool.py: ')
        return sentence.removeprefix('dataset_tool.py: ')
    return run


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_digits_are_the_scans_shuffled_with_their_labels(tool, tmp_path):
    assert tool('create_digits', tmp_path / 'digits') == f"'{tmp_path}/digits': 1797 images of 16x16\n"
    scans = load_digits()
    order = np.arange(1797)
    np.random.RandomState(123).shuffle(order)
    dataset = Dataset(tmp_path / 'digits')
    assert (dataset.num_images, dataset.num_channels, dataset.resolution) == (1797, 1, 16)
    assert_array_equal(dataset.labels, np.eye(10)[scans.target[order]])
    gray = np.rint(scans.images[order] * 255 / 16).astype(np.uint8)
    for i in (0, 1000, 1796):
        expected = Image.fromarray(gray[i]).resize((16, 16), Image.Resampling.LANCZOS)
        assert_array_equal(dataset.read(0, [i])[0, 0], np.asarray(expected))


def test_create_extract_create_gives_the_same_bytes_and_compare_agrees(tool, tmp_path, goldens):
    tool('extract', goldens / 'tfr32', tmp_path / 'png')
    assert sorted(os.listdir(tmp_path / 'png')) == [f'img{i:08d}.png' for i in range(100)] + ['labels.json']
    tool('create_from_images', tmp_path / 'tfr32', tmp_path / 'png', '--shuffle', 0,
         f'--labels={tmp_path}/png/labels.json')
    again = files(tmp_path / 'tfr32')
    assert again.pop('tfr32.manifest')
    assert again == files(goldens / 'tfr32')
    assert tool('compare', tmp_path / 'tfr32', goldens / 'tfr32') == 'identical: 100 images and labels\n'
    assert tool('verify', tmp_path / 'tfr32') == 'intact: 100 images in all levels\n'


def test_images_go_through_worker_processes_in_shuffled_order(tool, tmp_path):
    (tmp_path / 'pictures').mkdir()
    pixels = np.random.RandomState(0).randint(256, size=[40, 16, 16, 3]).astype(np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / 'pictures' / f'{i:02d}.png')
    order = np.arange(40)
    np.random.RandomState(123).shuffle(order)
    tool('create_from_images', tmp_path / 'set', tmp_path / 'pictures', '--num_workers=2')
    assert_array_equal(Dataset(tmp_path / 'set').read(0, range(40)), pixels[order].transpose(0, 3, 1, 2))


def test_a_bad_image_is_named_and_nothing_is_left(tool, tmp_path):
    (tmp_path / 'pictures').mkdir()
    Image.new('RGB', (16, 16)).save(tmp_path / 'pictures' / '0.png')
    (tmp_path / 'pictures' / '1.png').write_bytes(b'no image')
    sentence = tool('create_from_images', tmp_path / 'set', tmp_path / 'pictures', fails=True)
    assert sentence == "'1.png' is not an image, or of a kind that Pillow does not know."
    assert os.listdir(tmp_path) == ['pictures']


def test_a_zip_file_of_class_folders_becomes_a_data_set_that_knows_their_names(tool, tmp_path):
    with zipfile.ZipFile(tmp_path / 'top.zip', 'w') as file:
        for name in 'cat/0', 'cat/1', 'dog/0':
            Image.new('RGB', (16, 16)).save(tmp_path / 'picture.png')
            file.write(tmp_path / 'picture.png', f'pets/{name}.png')
            file.writestr(f'__MACOSX/pets/{name[:3]}/._{name[-1]}.png', 'x')
    tool('create_from_images', tmp_path / 'pets', tmp_path / 'top.zip', '--labels=folders')
    assert '  2 classes: cat: 2, dog: 1\n' in tool('info', tmp_path / 'pets')
    assert tool('verify', tmp_path / 'pets') == 'intact: 3 images in all levels\n'
    assert tool('create_from_images', tmp_path / 'other', tmp_path / 'top.zip', '--max_pixels=255', fails=True) == (
        f"none of the 3 images of '{tmp_path}/top.zip' can be read: 'pets/dog/0.png' has 256 pixels, 255 are allowed; "
        'if that is right, give --max_pixels=256.')


def test_ctrl_c_says_how_to_go_on_and_resume_does(tool, tmp_path):
    (tmp_path / 'pictures').mkdir()
    for i, image in enumerate(np.random.RandomState(0).randint(256, size=[200, 16, 16, 3]).astype(np.uint8)):
        Image.fromarray(image).save(tmp_path / 'pictures' / f'{i:03d}.png')
    arguments = ['create_from_images', tmp_path / 'set', tmp_path / 'pictures', '--resolution=512', '--num_workers=2']
    process = subprocess.Popen(  # A terminal's default: a suite in the background would hand on that SIGINT is ignored.
        [sys.executable, ROOT / 'dataset_tool.py', *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    rows = tmp_path / '.set.partial' / 'rows'
    while process.poll() is None and not (rows.exists() and rows.stat().st_size):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # As the terminal does: the workers get it too.
    assert process.communicate(timeout=600)[1] == ('dataset_tool.py: interrupted; a create command goes on where it was '
                                                  'with --resume.\n')
    assert sorted(os.listdir(tmp_path)) == ['.set.partial', 'pictures']
    assert re.search('200 images of 512x512, .* of them built now', tool(*arguments, '--resume'))
    assert sorted(os.listdir(tmp_path)) == ['pictures', 'set']


@pytest.mark.parametrize('arguments, message', [
    (['create_digit'], "unknown command 'create_digit'; did you mean 'create_digits'?"),
    (['create_digits'], 'usage: python dataset_tool.py create_digits TFRECORD_DIR'),
    (['create_digits', 'a', 'b'], 'usage: '),
    (['create_digits', 'a', '--shuffle=1'], 'create_digits has no flag --shuffle'),
    (['extract', 'no-such-set', 'a'], "'no-such-set' does not exist; create it with: "
                                      'python dataset_tool.py create_from_images no-such-set IMAGE_DIR.'),
])
def test_wrong_arguments_are_one_clear_sentence(tool, arguments, message):
    assert message in tool(*arguments, fails=True)


def test_without_arguments_the_commands_are_listed(tool):
    listing = tool()
    assert 'create_from_images TFRECORD_DIR IMAGE_DIR' in listing
    assert 'create_celebahq TFRECORD_DIR CELEBA_DIR [DELTA_DIR]' in listing


LATIN = {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}  # A locale that knows no letter beyond a to z.


def test_names_are_the_same_in_every_locale_and_with_closed_streams(tmp_path):
    for name in 'cat', 'dög':
        (tmp_path / 'pics' / name).mkdir(parents=True)
        Image.new('L', (4, 4), 9).save(tmp_path / 'pics' / name / '0.png')

    def run(arguments, **environment):
        return subprocess.run(f'{sys.executable} {ROOT}/dataset_tool.py {arguments}', shell=True, cwd=tmp_path, check=True,
                              stdout=subprocess.PIPE, timeout=600, env={**os.environ, **environment}).stdout

    run('create_from_images höhe pics --labels=folders <&- >&- 2>&-')
    run('create_from_images 海 pics --labels=folders --num_workers=0', **LATIN)
    assert run('compare höhe 海') == b'identical: 2 images and labels\n'
    for name in 'höhe', '海':
        assert Dataset(tmp_path / name).class_names == ['cat', 'dög']
        assert run(f'verify {name}') == run(f'verify {name}', **LATIN) == b'intact: 2 images in all levels\n'


def test_a_name_that_breaks_lines_is_refused(tmp_path):
    with pytest.raises(ValueError, match='breaks the line'):
        check_target(str(tmp_path / 'a\nb'), resume=False)
