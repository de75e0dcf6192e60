"""The records of TFRecord files: encoding batches of images, and random access to those of a file.

A record is a tf.train.Example of `shape` = [C, H, W] and `data` = uint8 [C, H, W], framed by its length and checksums.
All records of a file have one length, so record i starts at i * length. TensorFlow is not imported here, which keeps
the data set tool and its worker processes light.
"""
import functools
import hashlib
import math
import mmap
import os
import struct

import google_crc32c
import numpy as np

HEADER = struct.Struct('<QI')  # Length of the payload, masked checksum of those 8 bytes.
FOOTER = struct.Struct('<I')  # Masked checksum of the payload.
_ADVICE = 'see with dataset_tool.py verify what else is, then copy or build the data set again'


def masked_crc(data):
    """Checksum of TFRecord files: CRC-32C rotated right by 15 bits plus a constant (the format's description)."""
    return _masked(google_crc32c.value(data))


def _masked(crc):
    """Of one CRC-32C, or of an array uint32."""
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
    """Bytes before and after the pixels in the record of an image of `shape` (C, H, W), without the last checksum.

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


def are_intact(records):
    """Whether the checksum at the end of each record is that of its payload. uint8 [n, record length] -> bool."""
    crcs = np.array([google_crc32c.value(payload) for payload in records[:, HEADER.size:-FOOTER.size]], np.uint32)
    stored = np.ascontiguousarray(records[:, -FOOTER.size:]).view('<u4')[:, 0]
    return np.array_equal(_masked(crcs), stored)


def record_length(shape):
    """Bytes of the record of an image of `shape` (C, H, W)."""
    return sum(map(len, record_frame(shape))) + math.prod(shape) + FOOTER.size


def intact_records(path, shape):
    """Number of records at the start of a file that are whole, undamaged and laid out as by encode_records.

    Also the SHA-256 of their checksums. Reads about a megabyte at a time.
    """
    before, after = record_frame(shape)
    length, digest, count = record_length(shape), hashlib.sha256(), 0
    with open(path, 'rb') as file:
        while data := file.read(max(2 ** 20 // length, 1) * length):
            for record in np.frombuffer(data, np.uint8)[:len(data) // length * length].reshape(-1, length):
                footer = FOOTER.pack(masked_crc(record[HEADER.size:-FOOTER.size]))
                end = record[length - len(after) - FOOTER.size:].tobytes()
                if record[:len(before)].tobytes() != before or end != after + footer:
                    return count, digest
                digest.update(footer)
                count += 1
    return count, digest


class RecordFile:
    """Random access to the images of one file that holds images of `resolution`.

    Files of other programs may have records of several lengths, or another order of fields: those records are found
    through an index of offsets and parsed one by one.
    """

    def __init__(self, path, resolution):
        self.path = path
        if not os.path.isfile(path):  # Opening a pipe would wait for ever.
            raise ValueError(f"'{path}' is no regular file; build the data set again.")
        with open(path, 'rb') as file:
            if not os.fstat(file.fileno()).st_size:
                raise ValueError(f"'{path}' is empty; build the data set again.")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._bytes = np.frombuffer(self._map, np.uint8)
        length = self._length_at(0, 0)
        self.num_images, rest = divmod(len(self._bytes), length)
        equal_lengths = not rest and self._length_at(len(self._bytes) - length, self.num_images - 1) == length
        if not equal_lengths:
            self.num_images = len(self._offsets)
        self._rows = None
        for self.shape in (1, resolution, resolution), (3, resolution, resolution):
            before, after = record_frame(self.shape)
            self._before, first = np.frombuffer(before, np.uint8), self._bytes[:length].tobytes()
            if equal_lengths and first.startswith(before) and first[:-FOOTER.size].endswith(after):
                self._rows = self._bytes.reshape(self.num_images, length)
                return
        self.shape = None
        self.shape = self._parse(0, self._payload(0)).shape
        if len(self.shape) != 3 or self.shape[1:] != (resolution, resolution):
            order = ', with the channels last as other programs write them' * (self.shape[:2] == (resolution, resolution))
            raise ValueError(f"'{path}' holds images of shape {list(self.shape)}{order}; by its name it should be "
                             f'[channels, {resolution}, {resolution}]; build the data set from the pictures.')

    def read(self, indices):
        """Images at `indices`, in that order: uint8 [n, C, r, r]; a ValueError names a damaged record."""
        if (size := self._map.size()) < len(self._bytes):  # Of the file now: reading beyond its end kills the process.
            raise ValueError(f"'{self.path}' shrank from {len(self._bytes)} to {size} bytes while it was read; let nothing "
                             'write to a data set in use, copy or build it again.')
        if self._rows is not None:
            records = np.take(self._rows, indices, axis=0)
            start = len(self._before)
            # What does not look right is looked at alone, which names what is wrong.
            if (records[:, :start] == self._before).all() and are_intact(records):
                return records[:, start:start + math.prod(self.shape)].reshape(len(records), *self.shape)
        payloads = [self._payload(index) for index in indices]  # All checksums, before what takes seconds.
        return np.stack([self._parse(*pair) for pair in zip(indices, payloads, strict=True)])

    def verify(self):
        """Returns the SHA-256 of all checksums; a ValueError names the first damaged or misshapen record."""
        count, digest = intact_records(self.path, self.shape)
        for index in range(count, self.num_images):
            self._parse(index, self._payload(index))
        return digest

    def _length_at(self, offset, index):
        """Length of the whole record that starts at `offset`, after a check of its header."""
        header = self._bytes[offset:offset + HEADER.size].tobytes()
        if len(header) == HEADER.size:
            size, crc = HEADER.unpack(header)
            if crc != masked_crc(header[:8]):
                if self._bytes[:2].tobytes() == b'\x1f\x8b':
                    raise ValueError(f"'{self.path}' is compressed by gzip; unpack it, and give it this name again.")
                raise ValueError(f"'{self.path}' is not a TFRecord file or is damaged at record {index}; {_ADVICE}.")
            length = HEADER.size + size + FOOTER.size
            if offset + length <= len(self._bytes):
                return length
        raise ValueError(f"'{self.path}' is truncated in record {index}; {_ADVICE}.")

    @functools.cached_property
    def _offsets(self):
        """Where each record starts, followed through the file from length to length."""
        offsets, offset = [], 0
        while offset < len(self._bytes):
            offsets.append(offset)
            offset += self._length_at(offset, len(offsets) - 1)
        return offsets

    def _payload(self, index):
        """Bytes of one record, their checksum verified."""
        start = self._offsets[index]
        stop = start + self._length_at(start, index)
        payload = self._bytes[start + HEADER.size:stop - FOOTER.size].tobytes()
        if FOOTER.pack(masked_crc(payload)) != self._bytes[stop - FOOTER.size:stop].tobytes():
            raise ValueError(f"'{self.path}' is damaged in record {index} (its checksum differs); {_ADVICE}.")
        return payload

    def _parse(self, index, payload):
        """Image of one record of any layout."""
        from tensorflow import train  # Takes seconds to import, and only records of other programs come here.
        try:
            feature = train.Example.FromString(payload).features.feature
            if not {'data', 'shape'} <= feature.keys():
                raise ValueError(f"its fields are {', '.join(sorted(feature)) or 'none'}; 'data' and 'shape' are expected")
            data, = feature['data'].bytes_list.value
            image = np.frombuffer(data, np.uint8).reshape(feature['shape'].int64_list.value)
        except Exception as error:  # Among them protobuf's DecodeError, which is no ValueError.
            raise ValueError(f"'{self.path}' holds no image in record {index} ({error}); build the data set "
                             'from the pictures.') from error
        if self.shape and image.shape != self.shape:
            raise ValueError(f"'{self.path}' has shape {list(image.shape)} in record {index}, "
                             f'{list(self.shape)} in the first.')
        return image


class ShardedFile:
    """Several RecordFiles read as one: image i is number i // n of file i % n."""

    def __init__(self, files):
        self.files, self.path, self.shape = files, files[0].path, files[0].shape
        self.num_images = sum(file.num_images for file in files)
        for shard, file in enumerate(files):
            expected = len(range(shard, self.num_images, len(files)))
            if (file.num_images, file.shape) != (expected, self.shape):
                raise ValueError(f"'{file.path}' holds {file.num_images} images of shape {list(file.shape)}; "
                                 f'by the other shards it should be {expected} of {list(self.shape)}; '
                                 'build the data set again.')

    def read(self, indices):
        """Images at `indices`, in that order: uint8 [n, C, r, r]."""
        if len(self.files) == 1:
            return self.files[0].read(indices)
        numbers, shards = np.divmod(indices, len(self.files))
        images = np.empty([len(shards), *self.shape], np.uint8)
        for shard in np.unique(shards):
            images[shards == shard] = self.files[shard].read(numbers[shards == shard])
        return images
