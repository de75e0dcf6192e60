import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_array_equal
from places import GOLDENS

from data.records import encode_records
from data.tfrecords import Dataset, SyntheticDataset
from data.writer import Writer, pyramid


@pytest.fixture(scope='module')
def golden():
    """Images and labels of the golden data set, in its order."""
    source = np.load(GOLDENS / 'tfr32_source.npz')
    return source['images'][source['order']], source['labels'][source['order']]


@pytest.fixture
def copy(tmp_path, golden):
    """A fresh data set of the golden images."""
    with Writer(tmp_path / 'tfr32', 32, 3, label_size=10) as writer:
        writer.add(*golden)
    return tmp_path / 'tfr32'


def files(folder):
    """Contents of the files of a data set but its manifest, which the reference does not have."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != '.manifest'}


def feature(values):
    """A tf.train.Feature of ints or bytes."""
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(**features):
    features = {key: feature(values) for key, values in features.items()}
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return message.SerializeToString(deterministic=True)


def write_with_tensorflow(path, payloads, compression=''):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for payload in payloads:
            writer.write(payload)


@pytest.mark.parametrize('batch', [1, 7, 100])
def test_files_are_the_bytes_of_the_reference(tmp_path, golden, batch):
    images, labels = golden
    with Writer(tmp_path / 'tfr32', 32, 3, label_size=10) as writer:
        for start in range(0, 100, batch):
            writer.add(images[start:start + batch], labels[start:start + batch])
    assert files(tmp_path / 'tfr32') == files(GOLDENS / 'tfr32')


@pytest.mark.parametrize('shape', [(1, 4, 4), (3, 4, 4), (1, 128, 128), (3, 256, 256)])
def test_records_are_what_tensorflow_writes(tmp_path, shape):
    image = np.random.RandomState(0).randint(256, size=shape).astype(np.uint8)
    write_with_tensorflow(tmp_path / 'one', [example(shape=shape, data=[image.tobytes()])])
    assert encode_records(image[np.newaxis]).tobytes() == (tmp_path / 'one').read_bytes()


def test_levels_are_box_means_that_round_once():
    images = np.random.RandomState(0).randint(256, size=[2, 3, 64, 64]).astype(np.uint8)
    for level, shrunk in enumerate(pyramid(images)):
        side = 64 >> level
        boxes = images.reshape(2, 3, side, 2 ** level, side, 2 ** level).astype(np.float64)
        assert_array_equal(shrunk, np.rint(boxes.mean(axis=(3, 5))))
    assert side == 4


def test_reader_gives_images_and_labels_in_any_order(golden):
    images, labels = golden
    dataset = Dataset(GOLDENS / 'tfr32')
    assert (dataset.name, dataset.num_images) == ('tfr32', 100)
    assert (dataset.num_channels, dataset.resolution) == (3, 32)
    indices = [99, 0, 5, 5, 42]
    for level, expected in enumerate(pyramid(images)):
        assert_array_equal(dataset.read(level, indices), expected[indices])
    assert_array_equal(dataset.labels, labels)


def test_lower_resolution_and_fewer_labels(golden):
    dataset = Dataset(GOLDENS / 'tfr32', resolution=16, label_size=1)
    assert_array_equal(dataset.read(0, range(100)), list(pyramid(golden[0]))[1])
    assert_array_equal(dataset.labels, golden[1][:, :1])
    assert Dataset(GOLDENS / 'tfr32', label_size=0).labels.shape == (100, 0)


def test_the_first_so_many_images_are_a_data_set_of_their_own(golden):
    dataset, whole = Dataset(GOLDENS / 'tfr32', max_images=30), Dataset(GOLDENS / 'tfr32')
    assert dataset.num_images == 30 and Dataset(GOLDENS / 'tfr32', max_images=101).num_images == 100
    assert_array_equal(dataset.labels, golden[1][:30])
    assert dataset.fingerprint() != whole.fingerprint() == Dataset(GOLDENS / 'tfr32', max_images=100).fingerprint()


@pytest.mark.parametrize('irregular', [range(100), range(1, 100, 3), [40, 41]])
def test_records_of_other_lengths_and_layouts_are_found(copy, golden, irregular):
    images = list(pyramid(golden[0]))[1]
    write_with_tensorflow(copy / 'tfr32-r04.tfrecords', [
        example(shape=image.shape, data=[image.tobytes()], **({'file': [b'x' * i]} if i in irregular else {}))
        for i, image in enumerate(images)])
    assert_array_equal(Dataset(copy).read(1, range(100)), images)


def test_a_file_that_shrinks_while_it_is_read_is_named(copy, golden):
    dataset, path = Dataset(copy), copy / 'tfr32-r05.tfrecords'
    assert_array_equal(dataset.read(0, [99]), golden[0][[99]])
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match='tfr32-r05.tfrecords.* shrank from .* while it was read; let nothing write'):
        dataset.read(0, [99])


def test_records_that_only_seem_to_have_one_length_are_found(copy, golden):
    """A longer record and a shorter one add up to two of the usual length."""
    images = list(pyramid(golden[0]))[1]
    data = (copy / 'tfr32-r04.tfrecords').read_bytes()
    length = len(data) // 100
    payloads = [data[i * length + 12:(i + 1) * length - 4] for i in range(100)]
    payloads[30] += b'\x12\x03abc'  # A field unknown to tf.train.Example: parsers skip it.
    payloads[31] = example(shape=images[31].shape, data=[images[31].tobytes()])[:-5]
    write_with_tensorflow(copy / 'tfr32-r04.tfrecords', payloads)
    assert_array_equal(Dataset(copy).read(1, [29, 30, 32]), images[[29, 30, 32]])
    with pytest.raises(ValueError, match='tfr32-r04.tfrecords.* holds no image in record 31'):
        Dataset(copy).read(1, [31])


@pytest.mark.parametrize('edit, message', [
    (lambda data: data[:-1], 'truncated in record 99'),
    (lambda data: data[:-100], 'truncated in record 99'),
    (lambda data: data[:5], 'truncated in record 0'),
    (lambda data: data + b'x', 'truncated in record 100'),
    (lambda data: b'\x89PNG' + data[4:], 'is not a TFRecord file or is damaged at record 0'),
    (lambda data: data[:len(data) // 2], 'holds 50 images'),
    (lambda data: b'', 'is empty'),
])
def test_damaged_file_is_refused_by_name(copy, edit, message):
    path = copy / 'tfr32-r03.tfrecords'
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(ValueError, match=f'tfr32-r03.tfrecords.* {message}'):
        Dataset(copy)


def test_damaged_header_is_found_when_its_record_is_read(copy):
    path = copy / 'tfr32-r03.tfrecords'
    data = bytearray(path.read_bytes())
    data[17 * len(data) // 100 + 3] ^= 1
    path.write_bytes(data)
    dataset = Dataset(copy)
    dataset.read(2, [16, 18])
    with pytest.raises(ValueError, match='tfr32-r03.tfrecords.* record 17'):
        dataset.read(2, [16, 17, 18])


@pytest.mark.parametrize('level', range(4))
@pytest.mark.parametrize('place', [0.2, 0.5, 0.999])
def test_reading_finds_any_flipped_bit_of_a_record_and_names_it(copy, level, place):
    path = copy / f'tfr32-r{5 - level:02d}.tfrecords'
    data = bytearray(path.read_bytes())
    data[int((17 + place) * len(data) / 100)] ^= 1
    path.write_bytes(data)
    dataset = Dataset(copy)
    dataset.read(level, [16, 18])
    with pytest.raises(ValueError, match=f'{path.name}.* damaged in record 17 .*; see with dataset_tool.py verify'):
        dataset.read(level, [16, 17, 18])


@pytest.mark.parametrize('name', ['tfr32-rxx.labels', 'tfr32.manifest'])
def test_labels_are_those_of_the_manifest(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[-50] ^= 1  # In the manifest the digest of the labels, its last line.
    (copy / name).write_bytes(data)
    with pytest.raises(ValueError, match="tfr32-rxx.labels' is not as '.*tfr32.manifest' notes it; one of them is damaged"):
        Dataset(copy)
    assert Dataset(copy, label_size=0).num_images == 100


@pytest.mark.parametrize('name', ['tfr32-rxx.labels', 'tfr32.manifest', 'tfr32-r03.tfrecords'])
def test_pipes_in_a_data_set_are_refused_not_waited_for(copy, name):
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(ValueError, match=f"{name}' is no regular file"):
        Dataset(copy)


def test_wrong_shape_is_refused(copy):
    (copy / 'tfr32-r03.tfrecords').write_bytes((copy / 'tfr32-r04.tfrecords').read_bytes())
    with pytest.raises(ValueError, match=r'shape \[3, 16, 16\]; by its name it should be \[channels, 8, 8\]'):
        Dataset(copy)


def raw(*shape, value=7):
    return example(shape=shape, data=[bytes([value]) * int(np.prod(shape))])


@pytest.mark.parametrize('payload, compression, message', [
    (lambda side: raw(side, side, 3), '', r'shape \[16, 16, 3\], with the channels last as other programs'),
    (lambda side: raw(2, side, side), '', 'holds images of 2 channels; expected 1 .gray. or 3'),
    (lambda side: raw(3, side, side), 'GZIP', "a-r04.tfrecords' is compressed by gzip; unpack it, and give it this name"),
    (lambda side: raw(3, side, side), 'ZLIB', 'is not a TFRecord file or is damaged at record 0'),
    (lambda side: example(**{'image/encoded': [b'JPEG'], 'label': [1]}), '',
     "holds no image in record 0 .its fields are image/encoded, label; 'data' and 'shape' are expected.; build the data"),
    (lambda side: example(shape=[3, side, side], img=[b'PNG']), '', 'its fields are img, shape; '),
    (lambda side: example(), '', 'its fields are none; '),
    (lambda side: example(shape=[3, side, side], data=[b'PNG']), '', 'holds no image in record 0 .cannot reshape'),
    (lambda side: b'text', '', 'holds no image in record 0'),
])
def test_records_of_other_programs_are_refused_with_the_cause(tmp_path, payload, compression, message):
    for level in 2, 3, 4:
        write_with_tensorflow(tmp_path / f'a-r{level:02d}.tfrecords', [payload(2 ** level)] * 4, compression)
    with pytest.raises(ValueError, match=message) as error:
        Dataset(tmp_path)
    assert str(error.value).endswith('.')


@pytest.mark.parametrize('labels, message', [
    (np.arange(4), r'holds int64 \[4\]; expected a label for each image, float32 \[4, label size\]'),
    (np.eye(4)[:3], r'holds float64 \[3, 4\]; expected a label for each image'),
    (np.array([['cat']] * 4), 'expected a label for each image'),
    (np.full([4, 2], np.nan), 'holds the label'),
])
def test_a_renamed_folder_is_read_and_labels_that_do_not_fit_it_are_refused(tmp_path, labels, message):
    folder = tmp_path / 'another name'
    folder.mkdir()
    for level in 2, 3, 4:
        payloads = [raw(3, 2 ** level, 2 ** level, value=i) for i in range(4)]
        write_with_tensorflow(folder / f'good-r{level:02d}.tfrecords', payloads)
    assert_array_equal(Dataset(folder).read(0, range(4))[:, 0, 0, 0], range(4))
    with open(folder / 'good-rxx.labels', 'wb') as file:
        np.save(file, labels)
    with pytest.raises(ValueError, match=message):
        Dataset(folder)


def test_wrong_channel_count_is_refused(copy, tmp_path):
    with Writer(tmp_path / 'gray', 8, 1) as writer:
        writer.add(np.zeros([100, 1, 8, 8], np.uint8))
    (copy / 'tfr32-r03.tfrecords').write_bytes((tmp_path / 'gray' / 'gray-r03.tfrecords').read_bytes())
    with pytest.raises(ValueError, match='r03.tfrecords.* images of 1 channels.*r05.tfrecords.* 100 of 3'):
        Dataset(copy)


@pytest.mark.parametrize('level', ['r02', 'r04'])
def test_missing_level_is_named(copy, level):
    (copy / f'tfr32-{level}.tfrecords').unlink()
    with pytest.raises(FileNotFoundError, match=f'tfr32-{level}.tfrecords. is missing'):
        Dataset(copy)


def test_more_resolution_than_there_is_is_refused():
    with pytest.raises(FileNotFoundError, match='no 64x64 images.* its largest are 32x32'):
        Dataset(GOLDENS / 'tfr32', resolution=64)


@pytest.mark.parametrize('labels, message', [
    (np.zeros([99, 10], np.float32), r'float32 \[99, 10\]; expected a label for each image, float32 \[100'),
    (np.zeros([100], np.float32), r'float32 \[100\]'),
    (np.array([['x']] * 100), 'expected a label for each image'),
    (np.array([[None]] * 100), 'not a NumPy file'),
    (np.where(np.arange(100)[:, np.newaxis] == 7, np.nan, np.zeros([100, 2])), r'label \[nan, nan\] of image 7'),
])
def test_labels_of_another_length_or_kind_are_refused(copy, labels, message):
    with open(copy / 'tfr32-rxx.labels', 'wb') as file:
        np.save(file, labels)
    with pytest.raises(ValueError, match=f'tfr32-rxx.labels.* {message}'):
        Dataset(copy)
    assert Dataset(copy, label_size=0).num_images == 100


def test_more_labels_than_there_are_is_refused():
    with pytest.raises(ValueError, match='label size 11 is more than the 10'):
        Dataset(GOLDENS / 'tfr32', label_size=11)


@pytest.mark.parametrize('name, command', [('digits', 'create_digits'), ('digitsrgb', 'create_digitsrgb'),
                                           ('lsun-cat-100k', 'create_lsun'),
                                           ('lsun-car-512x384', 'create_lsun_wide'), ('faces32', 'create_drawnfaces'),
                                           ('mine', 'create_from_images')])
def test_missing_data_set_names_the_command_that_creates_it(tmp_path, name, command):
    with pytest.raises(FileNotFoundError, match=f'python dataset_tool.py {command} .*{name}'):
        Dataset(tmp_path / name)


def test_pictures_are_no_data_set_and_the_command_that_makes_one_is_named(tmp_path):
    (tmp_path / 'pets.zip').write_bytes(b'PK')
    with pytest.raises(ValueError, match='is a file, .* create_from_images .*/pets-set .*/pets.zip.$'):
        Dataset(tmp_path / 'pets.zip')
    (tmp_path / 'pets').mkdir()
    with pytest.raises(FileNotFoundError, match="is not a data set: .* create_from_images .*/pets-set .*/pets.$"):
        Dataset(tmp_path / 'pets')


def test_every_change_changes_the_fingerprint(copy, tmp_path, golden):
    images, labels = golden
    before = Dataset(copy).fingerprint()
    assert Dataset(copy).fingerprint() == before != Dataset(copy, resolution=16).fingerprint()
    shutil.copytree(copy, tmp_path / 'elsewhere' / 'tfr32')
    assert Dataset(tmp_path / 'elsewhere' / 'tfr32').fingerprint() == before
    other_images = images.copy()
    other_images[57, 0, 0, 0] ^= 1
    for i, content in enumerate([(images, labels[::-1]), (other_images, labels)]):
        with Writer(tmp_path / str(i) / 'tfr32', 32, 3, label_size=10) as writer:
            writer.add(*content)
        assert Dataset(tmp_path / str(i) / 'tfr32').fingerprint() != before
    os.utime(copy / 'tfr32-r05.tfrecords')  # As if it were written in place: then the manifest tells nothing.
    in_place = Dataset(copy).fingerprint()
    os.utime(copy / 'tfr32-r05.tfrecords', (0, 0))
    (copy / 'tfr32.manifest').unlink()
    assert len({before, in_place, Dataset(copy).fingerprint()}) == 3


def test_an_error_leaves_nothing_behind(tmp_path):
    with pytest.raises(KeyError), Writer(tmp_path / 'new', 8, 1) as writer:
        writer.add(np.zeros([3, 1, 8, 8], np.uint8))
        raise KeyError
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('images, labels', [
    (np.zeros([1, 3, 8, 8], np.float32), np.zeros([1, 2])),
    (np.zeros([1, 1, 8, 8], np.uint8), np.zeros([1, 2])),
    (np.zeros([1, 3, 8, 8], np.uint8), np.zeros([1, 3])),
    (np.zeros([1, 3, 8, 8], np.uint8), None),
])
def test_images_and_labels_of_another_shape_are_refused(tmp_path, images, labels):
    with pytest.raises(ValueError, match='expected|takes'), Writer(tmp_path / 'new', 8, 3, 2) as writer:
        writer.add(images, labels)


@pytest.mark.parametrize('resolution, num_channels', [(6, 3), (2, 3), (8, 2)])
def test_impossible_data_sets_are_refused(tmp_path, resolution, num_channels):
    with pytest.raises(ValueError, match='power of two|channels'):
        Writer(tmp_path / 'new', resolution, num_channels)


def test_existing_target_is_left_alone(copy):
    before = files(copy)
    with pytest.raises(FileExistsError, match='exists already'), Writer(copy, 32, 3) as writer:
        writer.add(np.zeros([1, 3, 32, 32], np.uint8))
    assert files(copy) == before


def test_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    script = f'''
import resource
import numpy as np
from data.writer import Writer
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
try:
    with Writer({str(tmp_path / 'new')!r}, 16, 3) as writer:
        for _ in range(100):
            writer.add(np.zeros([5, 3, 16, 16], np.uint8))
except OSError as error:
    print(error)
'''
    result = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
    assert result.stdout == (f"'{tmp_path / 'new'}' cannot be written (File too large, after 10 images); free disk "
                             'space or check permissions.\n')
    assert os.listdir(tmp_path) == []


def test_synthetic_images_are_black():
    dataset = SyntheticDataset(64)
    images = dataset.read(2, np.array([0, 7]))
    assert images.shape == (2, 3, 16, 16) and images.dtype == np.uint8 and not images.any()
    assert dataset.labels.shape == (dataset.num_images, 0)


def test_verify_finds_any_flipped_bit_in_any_file(copy):
    """200 random flips, in proportion to the sizes of the files, at least 15 in each."""
    random = np.random.RandomState(0)
    paths = sorted(copy.iterdir())
    sizes = np.array([path.stat().st_size for path in paths])
    chosen = np.concatenate([np.repeat(np.arange(len(paths)), 15),
                             random.choice(len(paths), 200 - 15 * len(paths), p=sizes / sizes.sum())])
    assert Dataset(copy).verify()
    for number in chosen:
        data = bytearray(paths[number].read_bytes())
        bit = random.randint(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        good = paths[number].read_bytes()
        paths[number].write_bytes(data)
        with pytest.raises(ValueError, match=re.escape(paths[number].name)):
            Dataset(copy).verify()
        paths[number].write_bytes(good)


def test_verify_names_the_first_bad_record(copy):
    path = copy / 'tfr32-r04.tfrecords'
    data = bytearray(path.read_bytes())
    for record in (20, 77):
        data[record * len(data) // 100 + 500] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match='tfr32-r04.tfrecords.* damaged in record 20 .its checksum differs'):
        Dataset(copy).verify()


def test_verify_accepts_data_sets_of_the_reference_which_have_no_manifest(goldens):
    assert Dataset(goldens / 'tfr32').verify() is False


def test_verify_sees_records_that_were_exchanged(copy):
    path = copy / 'tfr32-r04.tfrecords'
    data = path.read_bytes()
    length = len(data) // 100
    path.write_bytes(data[length:2 * length] + data[:length] + data[2 * length:])
    with pytest.raises(ValueError, match='tfr32-r04.tfrecords.* is not as .*tfr32.manifest. notes it'):
        Dataset(copy).verify()
