"""Multi-resolution TFRecord data sets: a writer of all levels at once and a reader with random access.

A data set is a folder `name/` of uncompressed files `name-r02.tfrecords` .. `name-rLL.tfrecords`, one per
resolution 4, 8, .., 2**LL, and optionally `name-rxx.labels`, a NumPy file of float32 [N, label_size]. A
record is a tf.train.Example of `shape` = [C, H, W] and `data` = uint8 [C, H, W]. All records of a file have
one length, so record i starts at i * length. TensorFlow is not imported here, which keeps the data set tool
and its worker processes light.
"""
import contextlib
import functools
import math
import os
import shutil
import struct

import google_crc32c
import numpy as np

HEADER = struct.Struct('<QI')  # Length of the payload, masked checksum of those 8 bytes.
FOOTER = struct.Struct('<I')  # Masked checksum of the payload.


# --- One record ---

def masked_crc(data):
    """Checksum of TFRecord files: CRC-32C rotated right by 15 bits plus a constant (the format's
    description).
    """
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xa282ead8) & 0xffffffff


def _varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


@functools.cache
def record_frame(shape):
    """Bytes before and after the pixels in the record of an image of `shape` (C, H, W), without the last
    checksum.

    The protocol buffer is what tf.train.Example's SerializeToString(deterministic=True) gives.
    """
    def entry(key, feature):
        return _field(1, _field(1, key) + _field(2, feature))

    pixels = bytes(math.prod(shape))
    data = entry(b'data', _field(1, _field(1, pixels)))
    after = entry(b'shape', _field(3, _field(1, b''.join(map(_varint, shape)))))
    example = _field(1, data + after)
    length = struct.pack('<Q', len(example))
    return length + FOOTER.pack(masked_crc(length)) + example[:-len(pixels + after)], after


def encode_records(images):
    """Complete records of a batch of images. uint8 [n, C, H, W] -> uint8 [n, record length]."""
    before, after = record_frame(images.shape[1:])
    start, stop = len(before), len(before) + images[0].size
    records = np.empty([len(images), stop + len(after) + FOOTER.size], np.uint8)
    records[:, :start] = np.frombuffer(before, np.uint8)
    records[:, start:stop] = images.reshape(len(images), -1)
    records[:, stop:-FOOTER.size] = np.frombuffer(after, np.uint8)
    crcs = np.array([masked_crc(record[HEADER.size:-FOOTER.size]) for record in records], '<u4')
    records[:, -FOOTER.size:] = crcs[:, np.newaxis].view(np.uint8)
    return records


def pyramid(images):
    """Images of every level, from full resolution to 4x4: uint8 [n, C, R, R] -> uint8 [n, C, r, r], r = R,
    R/2, .., 4.

    A level is the 2x2 box mean of the level above in float; only what is given out is rounded, half to even.
    """
    yield images
    means = images.astype(np.float32)
    while means.shape[-1] > 4:
        pairs = means[:, :, 0::2] + means[:, :, 1::2]
        means = (pairs[..., 0::2] + pairs[..., 1::2]) * np.float32(0.25)
        yield np.rint(means).astype(np.uint8)


def level_file(name, log2_resolution):
    """File name of one resolution of data set `name`."""
    return f'{name}-r{log2_resolution:02d}.tfrecords'


def labels_file(name):
    """File name of the labels of data set `name`."""
    return f'{name}-rxx.labels'


# --- Writing ---

class Writer:
    """Writes a data set; it appears at `target` complete when the `with` block ends, or not at all.

    Until then the files grow in the folder `.<name>.partial` beside the target, which any error removes.
    """

    def __init__(self, target, resolution, num_channels, label_size=0):
        self.target = os.path.abspath(target)
        self.shape = (num_channels, resolution, resolution)
        self.label_size = label_size
        self.num_images = 0
        folder, self.name = os.path.split(self.target)
        self._partial = os.path.join(folder, f'.{self.name}.partial')
        self._labels = []
        if num_channels not in (1, 3):
            raise ValueError(f'images have {num_channels} channels; a data set holds 1 (gray) or 3 (RGB)')
        if resolution < 4 or resolution & (resolution - 1):
            raise ValueError(f'images are {resolution}x{resolution}; expected a power of two from 4 on')

    def __enter__(self):
        if os.path.exists(self.target) and not (os.path.isdir(self.target) and not os.listdir(self.target)):
            raise FileExistsError(f"'{self.target}' exists already; give another name or delete it first")
        with self._clear_errors():
            shutil.rmtree(self._partial, ignore_errors=True)
            os.makedirs(self._partial)
            self._files = [open(os.path.join(self._partial, level_file(self.name, level)), 'wb')  # noqa: SIM115
                           for level in range(self.shape[-1].bit_length() - 1, 1, -1)]
        return self

    def add(self, images, labels=None):
        """Appends images, uint8 [n, C, R, R], to every level, and their labels, float32 [n, label_size], if
        any.
        """
        if images.dtype != np.uint8 or images.shape[1:] != self.shape:
            raise ValueError(f'images are {images.dtype} {list(images.shape[1:])}; '
                             f'this data set takes uint8 {list(self.shape)}')
        labels = np.zeros([len(images), 0], np.float32) if labels is None else np.asarray(labels, np.float32)
        if labels.shape != (len(images), self.label_size):
            raise ValueError(f'labels are {list(labels.shape)}; expected {[len(images), self.label_size]}')
        with self._clear_errors():
            for file, level_images in zip(self._files, pyramid(images), strict=True):
                file.write(encode_records(level_images).data)
                file.flush()
        self._labels.append(labels)
        self.num_images += len(images)

    def __exit__(self, error_type, error, traceback):
        try:
            if error is None:
                with self._clear_errors():
                    self._finish()
        finally:
            for file in self._files:
                with contextlib.suppress(OSError):  # All is flushed, or that failed and is being reported.
                    file.close()
            shutil.rmtree(self._partial, ignore_errors=True)  # After a success this name is gone already.

    def _finish(self):
        if not self.num_images:
            raise ValueError(f"'{self.target}' would be empty: the source gave no images")
        if self.label_size:
            with open(os.path.join(self._partial, labels_file(self.name)), 'wb') as file:
                np.save(file, np.concatenate(self._labels))
        for file in self._files:
            os.fsync(file.fileno())
        os.replace(self._partial, self.target)

    @contextlib.contextmanager
    def _clear_errors(self):
        try:
            yield
        except OSError as error:
            raise OSError(f"cannot write '{self.target}': {error.strerror} "
                          f'(after {self.num_images} images)') from error


# --- Reading ---

class RecordFile:
    """Random access to the images of one file that holds images of `resolution`.

    Files of other programs may have records of several lengths, or another order of fields: those records are
    found through an index of offsets and parsed one by one.
    """

    def __init__(self, path, resolution):
        self.path = path
        try:
            self._bytes = np.asarray(np.memmap(path, np.uint8, 'r'))
        except ValueError:  # What NumPy says about an empty file.
            raise ValueError(f"'{path}' is empty; build the data set again") from None
        length = self._length_at(0, 0)
        self.num_images, rest = divmod(len(self._bytes), length)
        equal_lengths = not rest and self._length_at(len(self._bytes) - length, self.num_images - 1) == length
        if not equal_lengths:
            self.num_images = len(self._offsets)
        self._rows = None
        for self.shape in (1, resolution, resolution), (3, resolution, resolution):
            self._before = np.frombuffer(record_frame(self.shape)[0], np.uint8)
            if equal_lengths and np.array_equal(self._bytes[:len(self._before)], self._before):
                self._rows = self._bytes.reshape(self.num_images, length)
                return
        self.shape = self._parse(0).shape
        if len(self.shape) != 3 or self.shape[1:] != (resolution, resolution):
            raise ValueError(f"'{path}' holds images of shape {list(self.shape)}; by its name it should be "
                             f'[channels, {resolution}, {resolution}]')

    def read(self, indices):
        """Images at `indices`, in that order: uint8 [n, C, r, r]."""
        if self._rows is not None:
            records = np.take(self._rows, indices, axis=0)
            start = len(self._before)
            if (records[:, :start] == self._before).all():
                return records[:, start:start + math.prod(self.shape)].reshape(-1, *self.shape)
        images = [self._parse(index) for index in indices]
        for index, image in zip(indices, images, strict=True):
            if image.shape != self.shape:
                raise ValueError(f"'{self.path}' has shape {list(image.shape)} in record {index}, "
                                 f'{list(self.shape)} in the first')
        return np.stack(images)

    def _length_at(self, offset, index):
        """Length of the whole record that starts at `offset`, after a check of its header."""
        header = self._bytes[offset:offset + HEADER.size].tobytes()
        if len(header) == HEADER.size:
            size, crc = HEADER.unpack(header)
            if crc != masked_crc(header[:8]):
                raise ValueError(f"'{self.path}' is not a TFRecord file or is damaged at record {index}; "
                                 'build the data set again')
            length = HEADER.size + size + FOOTER.size
            if offset + length <= len(self._bytes):
                return length
        raise ValueError(f"'{self.path}' is truncated in record {index}; build the data set again")

    @functools.cached_property
    def _offsets(self):
        """Where each record starts, followed through the file from length to length."""
        offsets, offset = [], 0
        while offset < len(self._bytes):
            offsets.append(offset)
            offset += self._length_at(offset, len(offsets) - 1)
        return offsets

    def _parse(self, index):
        """Image of one record of any layout, its checksum verified."""
        from tensorflow import train  # Takes seconds to import, and only records of other programs come here.
        start = self._offsets[index]
        stop = start + self._length_at(start, index)
        payload = self._bytes[start + HEADER.size:stop - FOOTER.size].tobytes()
        try:
            if FOOTER.pack(masked_crc(payload)) != self._bytes[stop - FOOTER.size:stop].tobytes():
                raise ValueError('checksum differs')
            feature = train.Example.FromString(payload).features.feature
            data, = feature['data'].bytes_list.value
            return np.frombuffer(data, np.uint8).reshape(feature['shape'].int64_list.value)
        except Exception as error:  # Among them protobuf's DecodeError, which is no ValueError.
            raise ValueError(f"'{self.path}' is damaged in record {index} ({error}); "
                             'build the data set again') from error


class Dataset:
    """The images and labels of the data set folder `path`, opened at its own or at a lower `resolution`.

    Attributes: name, resolution, num_channels, num_images, label_size, labels (float32 [N, label_size]).
    `label_size` is 'full' for the labels as they are, 1 for their first component only, 0 for none.
    """

    def __init__(self, path, resolution=None, label_size='full'):
        self.name = os.path.basename(os.path.abspath(path))
        found = _level_paths(path, self.name)
        self.resolution = resolution or 2 ** max(found)
        top = self.resolution.bit_length() - 1
        if self.resolution != 2 ** top or top < 2:
            raise ValueError(f'resolution {resolution} is not a power of two of at least 4')
        missing = [level for level in range(2, top + 1) if level not in found]
        if missing:
            raise FileNotFoundError(f"data set '{path}' has no {2 ** missing[-1]}x{2 ** missing[-1]} images: "
                                    f"'{level_file(self.name, missing[-1])}' is missing, its largest are "
                                    f'{2 ** max(found)}x{2 ** max(found)}')
        self._levels = [RecordFile(found[level], 2 ** level) for level in range(top, 1, -1)]
        first = self._levels[0]
        self.num_images, self.num_channels = first.num_images, first.shape[0]
        for file in self._levels:
            if (file.num_images, file.shape[0]) != (self.num_images, self.num_channels):
                raise ValueError(f"'{file.path}' holds {file.num_images} images of {file.shape[0]} channels, "
                                 f"'{first.path}' {self.num_images} of {self.num_channels}; "
                                 'build the data set again')
        if self.num_channels not in (1, 3):
            raise ValueError(f"'{first.path}' holds images of {self.num_channels} channels; "
                             'expected 1 (gray) or 3 (RGB)')
        self.labels = _read_labels(os.path.join(path, labels_file(self.name)), self.num_images, label_size)
        self.label_size = self.labels.shape[1]

    def read(self, level, indices):
        """Images at `indices`: uint8 [n, C, r, r] with r = resolution >> level; level 0 is the full size."""
        return self._levels[level].read(indices)


class SyntheticDataset:
    """Black images behind the interface of Dataset, without files: syn1024rgb, for measuring speed."""

    def __init__(self, resolution=1024, num_channels=3):
        self.name = f'syn{resolution}{"rgb" if num_channels == 3 else ""}'
        self.resolution, self.num_channels, self.num_images = resolution, num_channels, 10000
        self.label_size, self.labels = 0, np.zeros([self.num_images, 0], np.float32)

    def read(self, level, indices):
        """Black images: uint8 [n, C, r, r] with r = resolution >> level."""
        side = self.resolution >> level
        return np.zeros([len(indices), self.num_channels, side, side], np.uint8)


def open_dataset(folder, name, resolution=None, label_size='full'):
    """Opens the data set `name` in `folder`; 'syn1024rgb' is synthetic and needs no files."""
    if name == 'syn1024rgb':
        return SyntheticDataset(resolution or 1024)
    return Dataset(os.path.join(folder, name), resolution, label_size)


def _level_paths(path, name):
    """Files of a data set folder: {log2 of the resolution: path}."""
    if not os.path.isdir(path):
        raise FileNotFoundError(f"data set '{path}' does not exist; create it with: "
                                f'python dataset_tool.py {_command(name)} {path}')
    levels = {level: os.path.join(path, level_file(name, level)) for level in range(2, 32)}
    found = {level: file for level, file in levels.items() if os.path.exists(file)}
    if not found:
        raise FileNotFoundError(f"'{path}' is not a data set: it holds no '{level_file(name, 2)}', "
                                f"'{level_file(name, 3)}' and so on")
    return found


def _command(name):
    """The subcommand of dataset_tool.py that creates the data set called `name`."""
    if name in ('digits', 'mnist', 'mnistrgb', 'cifar10', 'cifar100', 'svhn', 'celeba', 'celebahq'):
        return f'create_{name}'
    return 'create_lsun' if name.startswith('lsun') else 'create_from_images'


def _read_labels(path, num_images, label_size):
    """Labels of a data set as float32 [num_images, label_size]."""
    labels = np.zeros([num_images, 0], np.float32)
    if label_size == 0:
        return labels
    if os.path.exists(path):
        try:
            labels = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"'{path}' is not a NumPy file or is damaged: {error}") from error
        if labels.ndim != 2 or labels.dtype.kind not in 'fiu' or len(labels) != num_images:
            raise ValueError(f"'{path}' holds {labels.dtype} {list(labels.shape)}; expected a label for "
                             f'each image, float32 [{num_images}, label size]')
    if label_size == 'full':
        return labels.astype(np.float32)
    if label_size > labels.shape[1]:
        raise ValueError(f"label size {label_size} is more than the {labels.shape[1]} that '{path}' holds")
    return labels[:, :label_size].astype(np.float32)
