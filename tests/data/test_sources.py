import gzip
import io
import pickle
import struct

import h5py
import lmdb
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from scipy.io import savemat

from data import sources
from data.build import build
from data.tfrecords import Dataset


@pytest.fixture
def random():
    return np.random.RandomState(0)


def read(source):
    """All images of a source."""
    return np.stack([source.load(item) for item in source.items])


def shuffled(count):
    """The order of the reference's commands that shuffle."""
    order = np.arange(count)
    np.random.RandomState(123).shuffle(order)
    return order


def idx(array):
    return b'\0\0\x08' + struct.pack(f'>B{array.ndim}i', array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def mnist_dir(tmp_path, random):
    images, classes = random.randint(256, size=[50, 28, 28]), random.randint(10, size=50)
    for name, array in ('train-images-idx3-ubyte.gz', images), ('train-labels-idx1-ubyte.gz', classes):
        with gzip.open(tmp_path / name, 'wb') as file:
            file.write(idx(array))
    np.savez(tmp_path / 'expected.npz', images=images, classes=classes)
    return tmp_path


def test_mnist_is_padded_to_32x32_and_shuffled_with_its_labels(mnist_dir):
    source, expected = sources.mnist(mnist_dir, expected_images=50), np.load(mnist_dir / 'expected.npz')
    images = read(source)
    assert images.shape == (50, 1, 32, 32) and images.dtype == np.uint8
    assert_array_equal(images[:, 0, 2:-2, 2:-2], expected['images'][shuffled(50)])
    assert images.sum() == expected['images'].sum()
    assert_array_equal(source.labels, np.eye(10)[expected['classes'][shuffled(50)]])


def test_mnistrgb_takes_three_random_digits_as_channels(mnist_dir):
    source, gray = sources.mnistrgb(mnist_dir, num_images=30, expected_images=0), np.load(mnist_dir / 'expected.npz')
    random, images = np.random.RandomState(seed=123), read(source)
    assert source.labels is None and images.shape == (30, 3, 32, 32)
    for image in images:
        assert_array_equal(image[:, 2:-2, 2:-2], gray['images'][random.randint(50, size=3)])


def test_digitsrgb_takes_three_random_digits_as_channels():
    source, gray = sources.digitsrgb(num_images=5), [bytes(digit) for digit in read(sources.digits())]
    images, random = read(source), np.random.RandomState(seed=123)
    assert source.labels is None and images.shape == (5, 3, 16, 16) and images.dtype == np.uint8
    unshuffled = np.argsort(shuffled(1797))  # Where the scans' order has gone.
    for image in images:
        assert [bytes(channel) for channel in image] == [gray[unshuffled[i]] for i in random.randint(1797, size=3)]


@pytest.mark.parametrize('number', [0, -3])
def test_no_triples_are_refused(number):
    with pytest.raises(ValueError, match=f'--num_images={number} is not possible; expected 1 to'):
        sources.digitsrgb(num_images=number)


def test_the_images_of_mnist_for_tests_are_files_of_their_own(mnist_dir):
    with pytest.raises(FileNotFoundError, match='lacks t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz'):
        sources.mnist_test(mnist_dir)
    for name in 'images-idx3', 'labels-idx1':
        (mnist_dir / f'train-{name}-ubyte.gz').rename(mnist_dir / f't10k-{name}-ubyte.gz')
    assert read(sources.mnist_test(mnist_dir, 50)).shape == (50, 1, 32, 32)


def test_mnist_of_another_size_is_refused(mnist_dir):
    with pytest.raises(ValueError, match='holds 50 images; expected 60000 .--expected_images=0 takes any number'):
        sources.mnist(mnist_dir)


@pytest.mark.parametrize('data', [b'', b'no gzip', gzip.compress(b'short'), gzip.compress(idx(np.zeros([3, 28, 28])))[:-9],
                                  gzip.compress(idx(np.zeros([3, 28, 28]))[:-5])],
                         ids=['empty', 'no gzip', 'short', 'cut', 'content cut'])
def test_damaged_mnist_is_named(mnist_dir, data):
    (mnist_dir / 'train-images-idx3-ubyte.gz').write_bytes(data)
    with pytest.raises(ValueError, match='train-images-idx3-ubyte.gz. is not a gzipped IDX file or is damaged'):
        sources.mnist(mnist_dir)


@pytest.mark.parametrize('function, names', [
    (sources.mnist, 'train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz'),
    (sources.cifar10, 'data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5'),
    (sources.cifar100, 'train'),
    (sources.svhn, 'train_1.pkl, train_2.pkl, train_3.pkl'),
])
def test_missing_files_are_all_named(tmp_path, function, names):
    with pytest.raises(FileNotFoundError, match=f'lacks {names}\\.$'):
        function(tmp_path)


def dump(path, contents, protocol=2):
    path.write_bytes(pickle.dumps(contents, protocol))


@pytest.mark.parametrize('protocol', [0, 2, 5])
def test_cifar10_joins_its_batches_in_order(tmp_path, random, protocol):
    data, classes = random.randint(256, size=[5, 8, 3072]).astype(np.uint8), random.randint(10, size=[5, 8])
    for i in range(5):
        dump(tmp_path / f'data_batch_{i + 1}', {'data': data[i], 'labels': classes[i].tolist()}, protocol)
    source = sources.cifar10(tmp_path, expected_images=40)
    assert_array_equal(read(source), data.reshape(40, 3, 32, 32)[shuffled(40)])
    assert_array_equal(source.labels, np.eye(10)[classes.reshape(-1)[shuffled(40)]])


def test_cifar100_has_the_fine_labels(tmp_path, random):
    data, classes = random.randint(256, size=[8, 3072]).astype(np.uint8), random.randint(100, size=8)
    dump(tmp_path / 'train', {'data': data, 'fine_labels': classes.tolist(), 'coarse_labels': [0] * 8, 'filenames': ['x']})
    source = sources.cifar100(tmp_path, expected_images=0)
    assert_array_equal(source.labels, np.eye(100)[classes[shuffled(8)]])


@pytest.mark.parametrize('contents, message', [
    ([1, 2], 'does not hold a dict with the keys data, fine_labels'),
    ({'data': np.zeros([4, 3072], np.uint8)}, 'does not hold a dict with the keys data, fine_labels'),
    ({'data': np.zeros([4, 3071], np.uint8), 'fine_labels': [1] * 4}, r'holds uint8 \[4, 3071\] and 4 labels'),
    ({'data': np.zeros([4, 3072], np.float32), 'fine_labels': [1] * 4}, 'holds float32'),
    ({'data': np.zeros([4, 3072], np.uint8), 'fine_labels': ['a'] * 4}, 'has an array or a list of whole numbers'),
    ({'data': np.zeros([4, 3072], np.uint8), 'fine_labels': [1] * 3}, r'\[4, 3072\] and 3 labels'),
    ({'data': np.zeros([4, 3072], np.uint8), 'fine_labels': [1, 1, 1, 100]}, 'labels from 1 to 100; expected 0 to 99'),
])
def test_cifar_of_another_form_is_refused(tmp_path, contents, message):
    dump(tmp_path / 'train', contents)
    with pytest.raises(ValueError, match=message):
        sources.cifar100(tmp_path, expected_images=0)


def test_svhn_reads_the_sites_files_and_pickles_alike(tmp_path, random):
    """The site stores [H, W, C, N] and calls the digit 0 class 10."""
    images, classes = random.randint(256, size=[12, 3, 32, 32]).astype(np.uint8), random.randint(10, size=12)
    (tmp_path / 'mat').mkdir()
    savemat(tmp_path / 'mat' / 'train_32x32.mat', {'X': images.transpose(2, 3, 1, 0),
                                                   'y': np.where(classes == 0, 10, classes)[:, np.newaxis]})
    for i in range(3):
        dump(tmp_path / f'train_{i + 1}.pkl', (images[i * 4:(i + 1) * 4], classes[i * 4:(i + 1) * 4]))
    for folder in tmp_path, tmp_path / 'mat':
        source = sources.svhn(folder, expected_images=12)
        assert_array_equal(read(source), images[shuffled(12)])
        assert_array_equal(source.labels, np.eye(10)[classes[shuffled(12)]])


@pytest.mark.parametrize('data', [b'', b'no MATLAB file', b'\0' * 200])
def test_damaged_mat_file_is_named(tmp_path, data):
    (tmp_path / 'train_32x32.mat').write_bytes(data)
    with pytest.raises(ValueError, match='train_32x32.mat.* is not a MATLAB file or is damaged'):
        sources.svhn(tmp_path)


@pytest.fixture
def lmdb_dir(tmp_path, random):
    """An LMDB of 8 encoded pictures, among them a gray one and one that is none; 1.png is one of them."""
    environment = lmdb.open(str(tmp_path / 'lsun'), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for i in range(8):
            buffer, shape = io.BytesIO(), [60, 41, 3] if i != 2 else [60, 41]
            Image.fromarray(random.randint(256, size=shape).astype(np.uint8)).save(buffer, 'PNG' if i % 2 else 'WEBP')
            transaction.put(b'%03d' % i, b'nothing' if i == 5 else buffer.getvalue())
            if i == 1:
                (tmp_path / '1.png').write_bytes(buffer.getvalue())
    environment.close()
    return str(tmp_path / 'lsun')


def test_lsun_is_the_centred_square_resized(lmdb_dir, tmp_path):
    source = sources.lsun(lmdb_dir, resolution=16, max_images=5)
    assert (source.max_images, source.on_error, len(source.items)) == (5, 'skip', 8)
    expected = Image.open(tmp_path / '1.png').crop((0, 9, 41, 50)).resize((16, 16), Image.Resampling.LANCZOS)
    assert_array_equal(source.load(b'001'), np.asarray(expected).transpose(2, 0, 1))
    assert source.load(b'002').shape == (3, 16, 16)
    with pytest.raises(ValueError, match='is not an image'):
        source.load(b'005')


@pytest.fixture
def wide_lmdb(tmp_path, random):
    """An LMDB of pictures 41x60, 60x41, 40x24, 32x24, 31x40 and one that is none; their pixels."""
    pictures = [random.randint(256, size=[height, width, 3]).astype(np.uint8)
                for width, height in [(41, 60), (60, 41), (40, 24), (32, 24), (31, 40)]]
    environment = lmdb.open(str(tmp_path / 'wide'), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for i, pixels in enumerate(pictures):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, 'PNG')
            transaction.put(b'%03d' % i, buffer.getvalue())
        transaction.put(b'005', b'nothing')
    environment.close()
    return str(tmp_path / 'wide'), pictures


def test_wide_lsun_is_the_middle_rows_in_a_black_square(wide_lmdb):
    """ch = round(32 h / w) rows from (h - ch) // 2 on, made 32x24, between black bars of 4."""
    folder, pictures = wide_lmdb
    source = sources.lsun_wide(folder, width=32, height=24)
    assert (source.resolution, source.num_channels, source.on_error) == (32, 3, 'skip')
    for key, pixels, top, bottom in (b'000', pictures[0], 6, 53), (b'003', pictures[3], 0, 24):
        image = source.load(key)
        assert image.shape == (3, 32, 32) and not image[:, :4].any() and not image[:, 28:].any()
        expected = Image.fromarray(pixels[top:bottom]).resize((32, 24), Image.Resampling.LANCZOS)
        assert_array_equal(image[:, 4:28], np.asarray(expected).transpose(2, 0, 1))


def test_lsun_pictures_too_flat_or_too_narrow_are_left_out_without_a_word(wide_lmdb, tmp_path, capsys, caplog):
    folder, _ = wide_lmdb
    source = sources.lsun_wide(folder, width=32, height=24)
    assert [source.load(b'%03d' % i) is None for i in range(5)] == [False, True, True, False, True]
    build(tmp_path / 'set', source, num_workers=0)
    assert capsys.readouterr().out == f"'{tmp_path}/set': 2 images of 32x32; 2 could not be used and were left out\n"
    record, = caplog.records
    assert record.getMessage().startswith("left out 'b'005'")
    build(tmp_path / 'first', sources.lsun_wide(folder, width=32, height=24, max_images=1), num_workers=0)
    assert Dataset(tmp_path / 'first').num_images == 1


@pytest.mark.parametrize('wrong, message', [
    ({'width': 500}, '--width=500 is not possible; expected a power of two'),
    ({'height': 513}, '--height=513 is not possible; expected 1 to 512'), ({'max_images': -1}, '--max_images=-1')])
def test_impossible_wide_pictures_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        sources.lsun_wide('lmdb', **wrong)


def test_what_is_no_lmdb_is_named(tmp_path):
    (tmp_path / 'data.mdb').write_bytes(b'x' * 5000)
    for path in tmp_path, tmp_path / 'none':
        with pytest.raises(ValueError, match=f"'{path}' is not an LMDB folder or is damaged"):
            sources.lsun(str(path))


def test_archives_that_wait_to_be_unpacked_are_named(tmp_path):
    for name in 'bedroom_train_lmdb.zip', 'cifar-10-python.tar.gz':
        (tmp_path / name).write_bytes(b'x')
    said = '; unpack bedroom_train_lmdb.zip, cifar-10-python.tar.gz and name the folder that comes out[.]$'
    for function in sources.lsun, sources.cifar10, sources.celeba:
        with pytest.raises((ValueError, FileNotFoundError), match=said):
            function(str(tmp_path))
    with pytest.raises(ValueError, match='; unpack .*/bedroom_train_lmdb.zip and name the folder'):
        sources.lsun(str(tmp_path / 'bedroom_train_lmdb.zip'))


@pytest.fixture
def celeba_dir(tmp_path, random):
    (tmp_path / 'img_align_celeba_png').mkdir()
    for i in range(4):
        pixels = random.randint(256, size=[218, 178, 3]).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'img_align_celeba_png' / f'{i}.png')
    return tmp_path


def test_celeba_is_the_crop_around_its_centre(celeba_dir):
    source = sources.celeba(celeba_dir, expected_images=4)
    first = celeba_dir / 'img_align_celeba_png' / f'{shuffled(4)[0]}.png'
    assert_array_equal(source.load(source.items[0]), np.asarray(Image.open(first))[57:185, 25:153].transpose(2, 0, 1))


def test_celeba_of_another_form_is_refused(celeba_dir):
    with pytest.raises(FileNotFoundError, match='holds 4 PNG files; expected 202599'):
        sources.celeba(celeba_dir)
    source = sources.celeba(celeba_dir, expected_images=0)
    Image.new('RGB', (178, 217)).save(source.items[2])
    with pytest.raises(ValueError, match='is 178x217 RGB; expected 178x218 RGB'):
        source.load(source.items[2])


@pytest.mark.parametrize('labels_name', ['set.h5-labels.npy', 'set-labels.npy'])
def test_hdf5_gives_the_largest_array_and_the_labels_beside_it(tmp_path, random, labels_name):
    images, labels = random.randint(256, size=[6, 3, 16, 16]).astype(np.uint8), random.rand(6, 2).astype(np.float32)
    with h5py.File(tmp_path / 'set.h5', 'w') as file:
        file['data3x8x8'], file['data3x16x16'] = images[:, :, ::2, ::2], images
    np.save(tmp_path / labels_name, labels)
    source = sources.hdf5(str(tmp_path / 'set.h5'))
    assert_array_equal(read(source), images[shuffled(6)])
    assert_array_equal(source.labels, labels[shuffled(6)])
    assert_array_equal(read(sources.hdf5(str(tmp_path / 'set.h5'), shuffle=0)), images)


@pytest.mark.parametrize('array, message', [
    (np.zeros([6, 3, 16, 8], np.uint8), 'expected uint8'), (np.zeros([6, 3, 8, 8], np.float32), 'expected uint8'),
    (np.zeros([6, 8, 8], np.uint8), 'no array data'),
])
def test_hdf5_of_another_form_is_refused(tmp_path, array, message):
    with h5py.File(tmp_path / 'set.h5', 'w') as file:
        file['data'] = array
    with pytest.raises(ValueError, match=f'set.h5.*{message}'):
        sources.hdf5(str(tmp_path / 'set.h5'))


def test_damaged_hdf5_and_labels_are_named(tmp_path):
    (tmp_path / 'bad.h5').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='bad.h5. is truncated, damaged or not an HDF5 file'):
        sources.hdf5(str(tmp_path / 'bad.h5'))
    with h5py.File(tmp_path / 'set.h5', 'w') as file:
        file['data'] = np.zeros([6, 3, 8, 8], np.uint8)
    np.save(tmp_path / 'set-labels.npy', np.zeros([5, 2]))
    with pytest.raises(ValueError, match=r'labels.npy. holds labels of shape \[5, 2\]; expected numbers \[6, label size\]'):
        sources.hdf5(str(tmp_path / 'set.h5'))
