"""create_celebahq and create_toyfaces as a user runs them."""
import pathlib
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from places import GOLDENS

from data import celebahq, deltas, faces
from data.tfrecords import Dataset

CELEBAHQ = GOLDENS / 'celebahq'


@pytest.fixture
def create(run_command):
    """Runs create_celebahq with two workers -> what it says, or the one sentence it fails with."""
    def run(*arguments, fails=False):
        result = run_command('dataset_tool.py', 'create_celebahq', *arguments, '--num_workers=2', timeout=600)
        assert result.returncode == fails, result.stderr
        if not fails:
            return result.stdout
        sentence, = result.stderr.splitlines()
        return sentence.removeprefix('dataset_tool.py: ')
    return run


@pytest.fixture
def celeba(tmp_path):
    """A copy of the golden photographs to spoil."""
    return pathlib.Path(shutil.copytree(CELEBAHQ / 'celeba', tmp_path / 'celeba'))


@pytest.fixture
def delta_dir(tmp_path):
    return pathlib.Path(shutil.copytree(CELEBAHQ / 'deltas', tmp_path / 'deltas'))


def test_images_are_the_published_ones_in_shuffled_order(create, tmp_path):
    said = create(tmp_path / 'celebahq', f'--celeba_dir={CELEBAHQ}/celeba', f'--delta_dir={CELEBAHQ}/deltas',
                  '--expected_images=0')
    assert '4 images of 1024x1024, 4 exact' in said
    order = np.arange(4)
    np.random.RandomState(123).shuffle(order)
    names = faces.open_faces(CELEBAHQ / 'celeba', 0).names
    expected = [delta.final_md5 for delta in deltas.read_deltas(CELEBAHQ / 'deltas', names)]
    dataset = Dataset(tmp_path / 'celebahq')
    assert [deltas.md5(image) for image in dataset.read(0, range(4))] == [expected[i] for i in order]
    assert dataset.resolution == 1024 and dataset.label_size == 0


def test_images_of_another_decoder_are_counted_as_approximate(create, tmp_path, delta_dir):
    path = delta_dir / 'image_list.txt'
    lines = path.read_text().splitlines()
    path.write_text('\n'.join([lines[0], lines[2].replace('5f0444151', '000000000'), lines[4]]))
    said = create(tmp_path / 'celebahq', f'--celeba_dir={CELEBAHQ}/celeba', f'--delta_dir={delta_dir}',
                  '--expected_images=0', '--size=256')
    assert re.search('2 images of 256x256, 1 approximate .*, 1 exact', said)


def aligned(name, size):
    """The aligned golden photograph, as box means."""
    found = faces.open_faces(CELEBAHQ / 'celeba', 0)
    jpeg = (CELEBAHQ / 'celeba' / 'img_celeba' / name).read_bytes()
    image = celebahq.align(jpeg, found.landmarks[found.names.index(name)])
    factor = 1024 // size
    return np.uint8(np.rint(np.float64(image).reshape(3, size, factor, size, factor).mean(axis=(2, 4))))


def test_other_faces_are_aligned_selected_and_shrunk(create, tmp_path):
    names = ['000003.jpg', '000008.jpg', '000002.jpg']
    (tmp_path / 'list.txt').write_text('\n'.join(names))
    arguments = (f'--celeba_dir={CELEBAHQ}/celeba', '--expected_images=0', f'--image_list={tmp_path}/list.txt')
    grades = tmp_path / 'grades.txt'
    create(tmp_path / 'two', *arguments, '--select=2', f'--grades={grades}', '--size=512')
    lines = grades.read_text().splitlines()
    assert [line.split()[0] for line in lines] == names
    best = sorted(lines, key=lambda line: -float(line.split()[1]))[:2]
    expected = {aligned(line.split()[0], 512).tobytes() for line in best}
    assert {image.tobytes() for image in Dataset(tmp_path / 'two').read(0, range(2))} == expected

    # One grade is raised by hand, another cut short: the first is used, the other computed again.
    grades.write_text(f'{lines[0].split()[0]} 0.999999\n{lines[1]}\n{lines[2][:12]}')
    create(tmp_path / 'one', *arguments, '--select=1', f'--grades={grades}', '--size=256')
    assert grades.read_text().splitlines()[1:] == lines[1:]
    assert_array_equal(Dataset(tmp_path / 'one').read(0, [0])[0], aligned(names[0], 256))


def test_drawn_faces_go_all_the_way(create, run_command, tmp_path):
    result = run_command('dataset_tool.py', 'create_toyfaces', tmp_path / 'toys', '--num_images=3', '--num_deltas=2')
    assert f'{tmp_path}/toys {tmp_path}/toys/deltas --expected_images=0' in result.stdout, result.stderr
    said = create(tmp_path / 'toyhq', f'--celeba_dir={tmp_path}/toys', f'--delta_dir={tmp_path}/toys/deltas',
                  '--expected_images=0')
    assert '2 images of 1024x1024, 2 exact' in said


def test_a_killed_build_goes_on_and_ends_in_the_same_files(create, tmp_path):
    arguments = (f'--celeba_dir={CELEBAHQ}/celeba', '--expected_images=0', '--max_images=3')
    create(tmp_path / 'whole' / 'hq', *arguments)
    command = [sys.executable, 'dataset_tool.py', 'create_celebahq', tmp_path / 'hq', *arguments, '--num_workers=1']
    rows = tmp_path / '.hq.partial' / 'rows'
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=CELEBAHQ.parents[2]) as process:
        while process.poll() is None and not (rows.exists() and rows.stat().st_size):
            time.sleep(0.02)
        process.kill()
    assert not (tmp_path / 'hq').exists()
    assert re.search('3 images of 1024x1024, [12] of them built now', create(tmp_path / 'hq', *arguments, '--resume'))
    whole, resumed = ({path.name: path.read_bytes() for path in (folder / 'hq').iterdir()}
                      for folder in (tmp_path / 'whole', tmp_path))
    assert resumed == whole


def test_a_truncated_photograph_is_named_and_leaves_nothing(create, tmp_path, celeba):
    path = celeba / 'img_celeba' / '000002.jpg'
    path.write_bytes(path.read_bytes()[:4000])
    sentence = create(tmp_path / 'hq', f'--celeba_dir={celeba}', '--expected_images=0', '--max_images=2', fails=True)
    assert '000002.jpg' in sentence and 'cannot be decoded' in sentence
    assert sorted(path.name for path in tmp_path.iterdir()) == ['celeba']


def test_a_photograph_of_another_source_is_named_and_leaves_nothing(create, tmp_path, celeba):
    shutil.copy(celeba / 'img_celeba' / '000001.jpg', celeba / 'img_celeba' / '000003.jpg')
    sentence = create(tmp_path / 'hq', f'--celeba_dir={celeba}', f'--delta_dir={CELEBAHQ}/deltas',
                      '--expected_images=0', '--max_images=2', fails=True)
    assert "000003.jpg' does not open its delta" in sentence
    assert sorted(path.name for path in tmp_path.iterdir()) == ['celeba']


@pytest.mark.parametrize('arguments, message', [
    (['--celeba_dir=nowhere'], "'nowhere/img_celeba' does not exist"),
    (['--celeba_dir={}/celeba'], 'holds 12 images; expected 202599'),
    (['--celeba_dir={}/celeba', '--size=128'], 'expected 256, 512 or 1024'),
    (['--celeba_dir={}/celeba', '--delta_dir={}/deltas', '--select=2'], 'the deltas bring their own list'),
])
def test_what_cannot_be_is_refused_at_once(arguments, message):
    values = dict(argument.format(CELEBAHQ).removeprefix('--').split('=') for argument in arguments)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        faces.celebahq_source(**{name: int(value) if value.isdigit() else value for name, value in values.items()})


def test_lists_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / 'list.txt'
    for text, message in ('000001.jpg\nx.jpg', "'x.jpg', which has no landmarks"), ('a\na', "'a' 2 times"):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            faces.read_choice(path, ['000001.jpg', 'a'])


def test_more_images_than_there_are_cannot_be_selected(tmp_path, celeba):
    """All grades are known already, so that nothing is computed; one image is not readable."""
    (tmp_path / 'grades.txt').write_text(''.join(f'{i:06d}.jpg 0.5\n' for i in range(1, 12)))
    (celeba / 'img_celeba' / '000012.jpg').write_bytes(b'')
    arguments = {'celeba_dir': celeba, 'expected_images': 0, 'grades': tmp_path / 'grades.txt', 'num_workers': 0}
    assert len(faces.celebahq_source(**arguments, select=11, on_error='skip').items) == 11
    with pytest.raises(ValueError, match='--select=12 is more than the 11 images'):
        faces.celebahq_source(**arguments, select=12, on_error='skip')
    with pytest.raises(ValueError, match='000012.jpg. cannot be decoded'):
        faces.celebahq_source(**arguments, select=11)


def test_a_foreign_file_is_not_taken_for_grades_and_stays_as_it_is(tmp_path):
    path = tmp_path / 'grades.txt'
    for text in 'my only copy', 'my only\ncopy':
        path.write_text(text)
        with pytest.raises(ValueError, match='grade'):
            faces.read_grades(path)
        assert path.read_text() == text
