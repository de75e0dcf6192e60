"""One function per published source of images; each checks its input and describes it as a Source.

The arguments of these functions are the arguments of the `create_*` commands of dataset_tool.py. `expected_images` is
the number of images of the published files; 0 accepts any.
"""
import contextlib
import dataclasses
import functools
import glob
import io
import os
import resource
from collections.abc import Callable, Sequence

import lmdb
import numpy as np
from PIL import Image

import hdf5 as hdf5_files
from data import pickles
from data.archives import read_gzip
from data.images import crop_square, decode, to_planes
from data.isolated import isolated
from data.one_hot import one_hot
from data.tfrecords import read_array


@dataclasses.dataclass(frozen=True)
class Source:
    """N images, read one by one: image i is load(items[i]), uint8 [C, R, R], or None where the item is not wanted."""

    resolution: int
    num_channels: int
    items: Sequence  # What `load` needs for each image, for example its path.
    load: Callable
    labels: np.ndarray | None = None  # float32 [N, label_size]
    class_names: list | None = None  # Of each component of the labels.
    heavy: bool = False  # Whether `load` is worth worker processes.
    max_images: int | None = None  # Stop after so many good ones.
    on_error: str = 'stop'  # What to do about a bad item unless the user says: 'stop' or 'skip' it.
    remarks: bool = False  # Whether `load` returns (image, a word on it), to be counted and reported.

    def shuffled(self):
        """The same images and labels in the order of the reference's commands that shuffle."""
        order = np.arange(len(self.items))
        np.random.RandomState(123).shuffle(order)
        labels = None if self.labels is None else self.labels[order]
        return dataclasses.replace(self, items=[self.items[i] for i in order], labels=labels)


def from_arrays(images, labels=None):
    """Source of images in memory: uint8 [N, C, R, R], labels float32 [N, label_size]."""
    return Source(images.shape[-1], images.shape[1], images, np.asarray, labels)


def _checked(path, images, classes, num_classes, shape, expected_images):
    """Images uint8 [N, *shape] and one-hot labels, or an error that says what is wrong with the contents of `path`."""
    images, classes = np.asarray(images), np.asarray(classes).reshape(-1)
    if (images.dtype != np.uint8 or images.size != len(classes) * np.prod(shape) or not len(classes)
            or classes.dtype.kind not in 'iu'):
        raise ValueError(f"'{path}' holds {images.dtype} {list(images.shape)} and {len(classes)} labels of "
                         f'{classes.dtype}; expected uint8 images of {list(shape)}, each with the number of its class.')
    if expected_images and len(images) != expected_images:
        raise ValueError(f"'{path}' holds {len(images)} images; expected {expected_images} "
                         '(--expected_images=0 takes any number).')
    if classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(f"'{path}' holds labels from {classes.min()} to {classes.max()}; "
                         f'expected 0 to {num_classes - 1}.')
    return images.reshape(-1, *shape), one_hot(classes, num_classes)


def _found(folder, *names):
    """Paths of files that must be in a folder."""
    missing = [name for name in names if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise FileNotFoundError(f"'{folder}' lacks {', '.join(missing)}{_packed(folder)}.")
    return [os.path.join(folder, name) for name in names]


def _packed(place):
    """The end of a sentence on what is missing in a folder: what to do about archives that may hold it."""
    names = sorted(os.listdir(place)) if os.path.isdir(place) else [place]
    archives = [name for name in names if name.endswith(('.zip', '.tar', '.tar.gz', '.tgz', '.7z'))]
    return f'; unpack {", ".join(archives)} and name the folder that comes out' if archives else ''


def _read_digits():
    from sklearn.datasets import load_digits  # Takes seconds to import, and only these sources need it.
    scans = load_digits()
    gray = np.rint(scans.images * (255 / 16)).astype(np.uint8)
    images = [np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.LANCZOS)) for image in gray]
    return np.stack(images)[:, np.newaxis], one_hot(scans.target, 10)


def digits():
    """The 1797 handwritten digits of scikit-learn (scans of 8x8), as 16x16 with 10 labels; needs no download."""
    return from_arrays(*_read_digits()).shuffled()


def digitsrgb(*, num_images=100_000):
    """Random triples of these digits as the three channels of an image, as MNIST-RGB has them; needs no download."""
    return _triples(_read_digits()[0], num_images)


def _triples(gray, num_images):
    """Source of random triples of images uint8 [N, 1, R, R], those of one seed."""
    if not 1 <= num_images <= 10 ** 9:
        raise ValueError(f'--num_images={num_images} is not possible; expected 1 to 1000000000.')
    triples = np.random.RandomState(seed=123).randint(len(gray), size=[num_images, 3])
    return Source(gray.shape[-1], 3, triples, functools.partial(np.take, gray[:, 0], axis=0))


def _read_idx(path, max_file_mib):
    """Array of a gzipped IDX file (the format's description is on the MNIST page)."""
    try:
        data = read_gzip(path, max_file_mib)
        ndim = data[3]
        shape = np.frombuffer(data, '>i4', ndim, offset=4)
        if data[:3] != b'\0\0\x08':
            raise ValueError(f'it begins with {data[:4]!r}')
        return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)
    except Exception as error:  # gzip and zlib have kinds of their own.
        raise ValueError(f"'{path}' is not a gzipped IDX file or is damaged ({error}).") from error


def _read_mnist(mnist_dir, expected_images, max_file_mib, part='train'):
    paths = _found(mnist_dir, f'{part}-images-idx3-ubyte.gz', f'{part}-labels-idx1-ubyte.gz')
    images, labels = _checked(paths[0], *(_read_idx(path, max_file_mib) for path in paths), 10, (1, 28, 28), expected_images)
    return np.pad(images, [(0, 0), (0, 0), (2, 2), (2, 2)]), labels


def mnist(mnist_dir, *, expected_images=60000, max_file_mib=None):
    """MNIST: 60000 gray images, 28x28 padded to 32x32, with 10 labels."""
    return from_arrays(*_read_mnist(mnist_dir, expected_images, max_file_mib)).shuffled()


def mnist_test(mnist_dir, expected_images=10000):
    """MNIST's 10000 images that are not for training, as those are; classifiers are tried on them."""
    return from_arrays(*_read_mnist(mnist_dir, expected_images, None, 't10k'))


def mnistrgb(mnist_dir, *, num_images=1_000_000, expected_images=60000, max_file_mib=None):
    """Random triples of MNIST digits as the three channels of an image: 1000 modes, for counting them."""
    return _triples(_read_mnist(mnist_dir, expected_images, max_file_mib)[0], num_images)


def cifar10(cifar10_dir, *, expected_images=50000):
    """CIFAR-10: 50000 RGB images of 32x32 with 10 labels, from the Python version's data_batch_1 .. data_batch_5."""
    return _cifar(cifar10_dir, [f'data_batch_{i}' for i in range(1, 6)], 'labels', 10, expected_images)


def cifar100(cifar100_dir, *, expected_images=50000):
    """CIFAR-100: 50000 RGB images of 32x32 with 100 fine labels, from the Python version's file train."""
    return _cifar(cifar100_dir, ['train'], 'fine_labels', 100, expected_images)


def _cifar(folder, names, key, num_classes, expected_images):
    images, classes = _joined([(path, *pickles.arrays(path, 'data', key)) for path in _found(folder, *names)])
    images, labels = _checked(folder, images, classes, num_classes, (3, 32, 32), expected_images)
    return from_arrays(images, labels).shuffled()


def _joined(parts):
    """The images and classes of several (path, images, classes), one after the other; all must be of one form."""
    first, *arrays = parts[0]
    for path, *others in parts[1:]:
        for array, other in zip(arrays, others, strict=True):
            if (array.shape[1:], array.dtype) != (other.shape[1:], other.dtype):
                raise ValueError(f"'{path}' holds {other.dtype} {list(other.shape)} where '{first}' holds {array.dtype} "
                                 f'{list(array.shape)}; download both again.')
    return [np.concatenate(each) for each in list(zip(*parts, strict=True))[1:]]


def _keys(path, contents, *keys):
    if not isinstance(contents, dict) or not set(keys) <= set(contents):
        raise ValueError(f"'{path}' does not hold a dict with the keys {', '.join(keys)}.")
    return [contents[key] for key in keys]


def svhn(svhn_dir, *, expected_images=73257):
    """SVHN, cropped digits: 73257 RGB images of 32x32 with 10 labels, from train_32x32.mat or train_1 .. train_3.pkl."""
    path = os.path.join(svhn_dir, 'train_32x32.mat')
    if os.path.isfile(path):
        images, classes = _read_mat(path)
        images = images.transpose(3, 2, 0, 1) if images.ndim == 4 else images  # From [H, W, C, N].
    else:
        images, classes = _joined([(path, *pickles.arrays(path))
                                   for path in _found(svhn_dir, *(f'train_{i}.pkl' for i in (1, 2, 3)))])
    classes = np.where(classes == 10, 0, classes)  # The site's files call the digit 0 class 10.
    return from_arrays(*_checked(svhn_dir, images, classes, 10, (3, 32, 32), expected_images)).shuffled()


def _read_mat(path):
    try:
        contents = isolated(_load_mat, path)  # SciPy crashes on some damaged files.
    except ValueError as error:
        raise ValueError(f"'{path}' is not a MATLAB file or is damaged ({error}); download it again.") from error
    return _keys(path, contents, 'X', 'y')


def _load_mat(path):
    from scipy.io import loadmat  # Takes a second to import, and only this source needs it.
    most = max(64 * os.path.getsize(path), 1 << 30) + (1 << 33)  # Of addresses; a few bytes may unpack to any number.
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    contents = loadmat(path, variable_names=['X', 'y'])
    return {name: value for name, value in contents.items() if isinstance(value, np.ndarray) and value.dtype.kind in 'fiu'}


def lsun(lmdb_dir, *, resolution=256, max_images=None):
    """A category of LSUN: encoded images in an LMDB, cropped to the centred square; undecodable ones are left out."""
    return _lsun(lmdb_dir, resolution, functools.partial(_square, resolution), max_images)


def lsun_wide(lmdb_dir, *, width=512, height=384, max_images=None):
    """A category of LSUN as wide images in black squares; those that are too narrow, flat or undecodable are left out."""
    if width < 4 or width & (width - 1):
        raise ValueError(f'--width={width} is not possible; expected a power of two from 4 on, since networks are square.')
    if not 1 <= height <= width:
        raise ValueError(f'--height={height} is not possible; expected 1 to {width}, the --width.')
    return _lsun(lmdb_dir, width, functools.partial(_wide, width, height), max_images)


def _lsun(lmdb_dir, resolution, fit, max_images):
    """Source of the images of an LMDB, each made a square of that resolution by `fit`."""
    if max_images is not None and max_images < 0:
        raise ValueError(f'--max_images={max_images} is not possible; expected 1 or more, or 0 for all.')
    try:
        keys = isolated(_lmdb_keys, lmdb_dir)  # Damaged pages crash the library.
    except (ValueError, OSError) as error:
        raise ValueError(f"'{lmdb_dir}' is not an LMDB folder or is damaged ({error}){_packed(lmdb_dir)}.") from error
    if not keys:
        raise ValueError(f"'{lmdb_dir}' holds no images.")
    load = functools.partial(_load_lsun, lmdb_dir, fit)
    return Source(resolution, 3, keys, load, heavy=True, max_images=max_images, on_error='skip')


def _lmdb_keys(path):
    with contextlib.closing(_open_lmdb(path)) as environment, environment.begin() as transaction:
        return [bytes(key) for key in transaction.cursor().iternext(values=False)]


@functools.cache
def _shared_lmdb(path, process_id):
    """The LMDB, opened once by each process, as it demands."""
    return _open_lmdb(path)


def _open_lmdb(path):
    data = os.path.join(path, 'data.mdb')
    if os.path.exists(data) and not os.path.isfile(data):
        raise ValueError(f"'{data}' is no regular file")
    if not os.path.exists(data):
        raise ValueError(f"'{data}' is missing")
    environment = lmdb.open(path, readonly=True, lock=False, readahead=False, create=False)
    needed = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
    if os.path.getsize(data) < needed:
        environment.close()
        raise ValueError(f"'{data}' is truncated: it has {os.path.getsize(data)} bytes and needs {needed}")
    return environment


def _load_lsun(path, fit, key):
    try:
        with _shared_lmdb(path, os.getpid()).begin() as transaction:
            data = transaction.get(key)
    except (lmdb.Error, ValueError) as error:
        raise ValueError(f'cannot be read ({error}).') from error
    if data is None:
        raise ValueError('is not in the LMDB any more; get it again.')
    image = fit(decode(io.BytesIO(data)).convert('RGB'))
    return None if image is None else to_planes(image)


def _square(resolution, image):
    return crop_square(image).resize((resolution, resolution), Image.Resampling.LANCZOS)


def _wide(width, height, image):
    """The middle of an image as width x height in a black square; None if it is narrower, or too flat."""
    # Counted in rows of the image, though it is a height of the scaled one: as the reference does, for equal files.
    rows = round(width * image.height / image.width)
    if image.width < width or rows < height:
        return None
    top, bottom = (image.height - rows) // 2, (image.height + rows) // 2
    square = Image.new('RGB', (width, width))
    wide = image.crop((0, top, image.width, bottom)).resize((width, height), Image.Resampling.LANCZOS)
    square.paste(wide, (0, (width - height) // 2))
    return square


def celeba(celeba_dir, *, cx=89, cy=121, expected_images=202599):
    """CelebA, aligned and cropped: 128x128 centred at (cx, cy) of img_align_celeba_png/*.png, 178x218 each."""
    paths = sorted(glob.glob(os.path.join(glob.escape(celeba_dir), 'img_align_celeba_png', '*.png')))
    if not paths or expected_images and len(paths) != expected_images:
        raise FileNotFoundError(f"'{celeba_dir}/img_align_celeba_png' holds {len(paths)} PNG files; "
                                f'expected {expected_images or "some"} (--expected_images=0 takes any number)'
                                f'{_packed(celeba_dir)}.')
    return Source(128, 3, paths, functools.partial(_load_celeba, cx, cy), heavy=True).shuffled()


def _load_celeba(cx, cy, path):
    image = decode(path)
    if (image.mode, image.size) != ('RGB', (178, 218)):
        raise ValueError(f'is {image.width}x{image.height} {image.mode}; expected 178x218 RGB.')
    return to_planes(image.crop((cx - 64, cy - 64, cx + 64, cy + 64)))


def hdf5(hdf5_filename, *, shuffle=1):
    """A data set of the Theano version: the largest array data* [N, C, H, W], labels from <file>-labels.npy."""
    images = _largest_array(hdf5_filename)
    labels = None
    for path in (f'{hdf5_filename}-labels.npy', f'{os.path.splitext(hdf5_filename)[0]}-labels.npy'):
        if os.path.exists(path):
            labels = read_array(path)
            if labels.dtype.kind not in 'fiu' or labels.ndim != 2 or len(labels) != len(images):
                raise ValueError(f"'{path}' holds labels of shape {list(labels.shape)}; "
                                 f'expected numbers [{len(images)}, label size].')
            with np.errstate(over='ignore'):
                labels = labels.astype(np.float32)
            break
    load = functools.partial(_load_hdf5, hdf5_filename)
    source = Source(images.shape[-1], images.shape[1], range(len(images)), load, labels)
    return source.shuffled() if shuffle else source


@functools.cache
def _largest_array(path):
    try:
        members = hdf5_files.members(hdf5_files.open_file(path))
    except ValueError as error:
        raise ValueError(f"'{path}' {error}") from error
    arrays = [array for name, array in members
              if name.startswith('data') and getattr(array, 'ndim', 0) == 4]
    if not arrays:
        raise ValueError(f"'{path}' holds no array data* of four dimensions.")
    largest = max(arrays, key=lambda array: array.shape[-1])
    if largest.dtype != np.uint8 or largest.shape[2] != largest.shape[3]:
        raise ValueError(f"'{path}' holds {largest.name} of {largest.dtype} {list(largest.shape)}; "
                         'expected uint8 [N, C, H, H].')
    return largest


def _load_hdf5(path, index):
    try:
        return _largest_array(path)[index]
    except (OSError, RuntimeError) as error:
        raise ValueError(f"of '{path}' cannot be read ({error}); get the file again.") from error
