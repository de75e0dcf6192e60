import os
import random
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from data.build import build
from data.sources import Source, from_arrays
from data.tfrecords import Dataset
from data.writer import Writer

# 80 noise images of 256x256 with labels, every ninth of them bad, in two shards: four batches.
SCRIPT = '''
import sys
import numpy as np
from data.build import build
from data.sources import Source

def load(seed):
    if seed % 9 == 4:
        raise ValueError('is bad')
    return np.random.RandomState(seed).bytes(3 * 256 * 256)

labels = np.arange(160, dtype=np.float32).reshape(80, 2)
source = Source(256, 3, range(80), lambda seed: np.frombuffer(load(seed), np.uint8).reshape(3, 256, 256), labels)
build(sys.argv[1], source, 'noise', resume=True, shards=2, on_error='skip')
'''


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def load_noise(seed):
    return np.random.RandomState(seed).randint(256, size=[3, 64, 64]).astype(np.uint8)


def interrupted(seed):
    """Fails as Ctrl-C does, late enough for some batches to be written."""
    if seed == 900:
        raise KeyboardInterrupt
    return load_noise(seed)


def noise(load=load_noise, count=1000):
    return Source(64, 3, range(count), load)


def test_builds_killed_at_20_random_moments_end_in_the_same_data_set(tmp_path):
    def start(target):
        return subprocess.Popen([sys.executable, '-c', SCRIPT, target], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    begin = time.monotonic()
    assert start(tmp_path / 'whole' / 'set').wait() == 0
    duration = time.monotonic() - begin
    whole, target = files(tmp_path / 'whole' / 'set'), tmp_path / 'set'
    uniform, resumed = random.Random(0).uniform, 0
    for _ in range(20):
        if target.exists():
            assert files(target) == whole
            target.rename(tmp_path / f'complete{time.monotonic()}')
        rows = tmp_path / '.set.partial' / 'rows'
        resumed += rows.exists() and rows.stat().st_size > 0
        process = start(target)
        time.sleep(uniform(0, duration))
        process.kill()
        process.wait()
    if not target.exists():
        assert start(target).wait() == 0
    assert files(target) == whole
    assert resumed > 0
    assert Dataset(target).verify() and Dataset(target).num_images == 71


def test_an_interrupted_build_goes_on_with_resume_only(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / 'set', noise(interrupted))
    assert os.listdir(tmp_path) == ['.set.partial']
    with pytest.raises(FileNotFoundError, match='not complete; repeat the command .* with --resume'):
        Dataset(tmp_path / 'set')
    with pytest.raises(FileExistsError, match='was interrupted; continue it with --resume, or delete'):
        build(tmp_path / 'set', noise())
    loaded = []
    build(tmp_path / 'set', noise(lambda seed: loaded.append(seed) or load_noise(seed)), resume=True)
    assert loaded == list(range(850, 1000))  # Ten batches of 85 were written.
    build(tmp_path / 'whole' / 'set', noise())
    assert files(tmp_path / 'set') == files(tmp_path / 'whole' / 'set')
    assert sorted(os.listdir(tmp_path)) == ['set', 'whole']


def test_damage_to_an_interrupted_build_is_repaired(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / 'set', noise(interrupted))
    path = tmp_path / '.set.partial' / 'set' / 'set-r03.tfrecords'
    data = bytearray(path.read_bytes())
    data[400 * len(data) // 850 + 100] ^= 4
    path.write_bytes(data)
    build(tmp_path / 'set', noise(), resume=True)
    build(tmp_path / 'whole' / 'set', noise())
    assert files(tmp_path / 'set') == files(tmp_path / 'whole' / 'set')


def test_another_source_does_not_resume_a_build(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / 'set', noise(interrupted), 'create_from_images a')
    with pytest.raises(ValueError, match="was 'create_from_images a, 1000 images, .*; repeat its arguments"):
        build(tmp_path / 'set', noise(), 'create_from_images b', resume=True)
    assert os.listdir(tmp_path) == ['.set.partial']


def test_a_failed_build_leaves_nothing_unless_it_may_be_resumed(tmp_path):
    def bad(seed):
        if seed == 900:
            raise ValueError('is bad')
        return load_noise(seed)

    with pytest.raises(ValueError, match="'900' is bad"):
        build(tmp_path / 'set', noise(bad))
    assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match="'900' is bad"):
        build(tmp_path / 'set', noise(bad), resume=True)
    assert os.listdir(tmp_path) == ['.set.partial']
    build(tmp_path / 'set', noise(bad), resume=True, on_error='skip')
    assert Dataset(tmp_path / 'set').num_images == 999


def test_bad_images_are_left_out_with_their_labels(tmp_path, capsys):
    def load(number):
        if number in (0, 3):
            raise ValueError('is bad')
        return np.full([1, 4, 4], number, np.uint8)

    source = Source(4, 1, range(6), load, labels=np.arange(6, dtype=np.float32)[:, np.newaxis], on_error='skip')
    build(tmp_path / 'set', source)
    dataset = Dataset(tmp_path / 'set')
    assert_array_equal(dataset.labels[:, 0], [1, 2, 4, 5])
    assert_array_equal(dataset.read(0, range(4))[:, 0, 0, 0], [1, 2, 4, 5])
    assert capsys.readouterr().out.endswith('4 images of 4x4; 2 could not be used and were left out\n')


def test_a_source_with_no_good_image_leaves_nothing(tmp_path):
    def bad(number):
        raise ValueError('is bad')

    with pytest.raises(ValueError, match='would be empty'):
        build(tmp_path / 'set', Source(4, 1, range(6), bad, on_error='skip'))
    assert os.listdir(tmp_path) == []


def test_labels_that_are_not_finite_are_refused_before_anything_is_written(tmp_path):
    labels = np.zeros([5, 2])
    labels[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"^'3' has the label \[0.0, nan\]; expected finite numbers.$"):
        build(tmp_path / 'set', Source(64, 3, range(5), load_noise, labels))
    assert os.listdir(tmp_path) == []


def test_a_set_without_bright_pixels_brings_a_hint(tmp_path, caplog):
    for brightest, hint in (31, 'no pixel of .* is brighter than 31 of 255; if the pictures hold 12 bits'), (32, '^$'):
        caplog.clear()
        build(tmp_path / str(brightest), from_arrays(np.full([3, 1, 4, 4], brightest, np.uint8)))
        assert re.search(hint, caplog.text)


def test_max_images_counts_good_images_only(tmp_path):
    def load(number):
        if number == 1:
            raise ValueError('is bad')
        return np.full([1, 4, 4], number, np.uint8)

    build(tmp_path / 'set', Source(4, 1, range(10), load, max_images=3, on_error='skip'))
    assert_array_equal(Dataset(tmp_path / 'set').read(0, range(3))[:, 0, 0, 0], [0, 2, 3])


@pytest.mark.parametrize('shards', [2, 3, 7])
@pytest.mark.parametrize('count', [7, 20])
def test_shards_are_read_transparently(tmp_path, shards, count):
    images = np.stack([load_noise(seed) for seed in range(count)])
    with Writer(tmp_path / 'set', 64, 3, shards=shards) as writer:
        for start in range(0, count, 3):
            writer.add(images[start:start + 3])
    dataset = Dataset(tmp_path / 'set')
    indices = np.random.RandomState(0).randint(count, size=30)
    assert_array_equal(dataset.read(0, indices), images[indices])
    assert len(dataset.read(3, indices[:0])) == 0
    assert dataset.verify()


def test_more_shards_than_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match='3 images are too few for 4 shards'):
        build(tmp_path / 'set', noise(count=3), shards=4)


def test_a_missing_shard_is_named(tmp_path):
    build(tmp_path / 'set', noise(count=10), shards=3)
    (tmp_path / 'set' / 'set-r04-00001-of-00003.tfrecords').unlink()
    with pytest.raises(FileNotFoundError, match='set-r04-00001-of-00003.tfrecords'):
        Dataset(tmp_path / 'set')


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    script = '''
import sys
import numpy as np
from data.build import build
from data.sources import Source
from runtime import peak_memory_mib
image = np.zeros([3, 256, 256], np.uint8)
build(sys.argv[1], Source(256, 3, range(int(sys.argv[2])), lambda number: image + np.uint8(number % 256)))
print(peak_memory_mib())
'''
    def peak(count):
        output = subprocess.run([sys.executable, '-c', script, tmp_path / str(count), str(count)],
                                capture_output=True, text=True, check=True).stdout
        return float(output.splitlines()[-1])

    assert peak(600) < peak(60) + 50  # 540 more images are 140 MB of files.


def test_where_no_folder_can_be_the_reason_is_given(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match="'.*/file/set' cannot be written .Not a directory, after 0 images.; free"):
        build(tmp_path / 'file' / 'set', noise())


def test_images_in_memory_keep_their_order(tmp_path):
    images = np.stack([load_noise(seed)[:1] for seed in range(10)])
    build(tmp_path / 'set', from_arrays(images))
    assert_array_equal(Dataset(tmp_path / 'set').read(0, range(10)), images)
