"""Weights in PyTorch's files (.pth), of both of its formats, read without PyTorch: nothing in them is run.

The older format is four pickles (a magic number, a version, facts of the machine, the tensors), a list of storages and their
bytes one after the other; the newer one a zip file of the tensors' pickle and a member per storage.
"""
import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

import pickles
from pickles import Name, Refused

_MAGIC, _VERSION = 0x1950a86a20f9469cfc6c, 1001
_DTYPES = {'FloatStorage': '<f4', 'HalfStorage': '<f2', 'DoubleStorage': '<f8', 'LongStorage': '<i8', 'IntStorage': '<i4'}
_TENSOR, _OLD_TENSOR, _PARAMETER = '_rebuild_tensor_v2', '_rebuild_tensor', '_rebuild_parameter'


@dataclass(frozen=True)
class _Storage:
    """Numbers that lie elsewhere in the file."""
    key: str
    dtype: np.dtype
    size: int


@dataclass(eq=False)
class _Tensor:
    """A part of a storage."""
    storage: _Storage
    offset: int
    shape: tuple


def _storage(reference):
    match reference:
        case ('storage', Name(kind), str() as key, str(), int() as size, *view) if kind in _DTYPES and view in ([], [None]):
            if not 0 < size < 1 << 40:
                raise Refused(f'tells of {size} numbers in one storage')
            return _Storage(key, np.dtype(_DTYPES[kind]), size)
    raise Refused('refers to something beside its pickle that is no storage of numbers')


def _tensor(storage, offset, shape, strides, *_):
    whole = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 8 and all(
        type(number) is int and number >= 0 for number in (offset, *shape, *strides))
    if not isinstance(storage, _Storage) or not whole or offset + math.prod(shape) > storage.size:
        raise Refused('describes a tensor that is no part of its storage')
    expected = [math.prod(shape[i + 1:]) for i in range(len(shape))]
    if any(stride != right for size, stride, right in zip(shape, strides, expected, strict=True) if size > 1):
        raise Refused('holds a tensor whose numbers do not lie one after the other')
    return _Tensor(storage, offset, shape)


def _parameter(tensor, *_):
    if not isinstance(tensor, _Tensor):
        raise Refused('holds a parameter that is no tensor')
    return tensor


WEIGHTS = pickles.Kind(
    'PyTorch file of weights', max_bytes=4 << 30,
    names={('collections', 'OrderedDict'): pickles.DICT, **{('torch', name): name for name in _DTYPES},
           **{('torch._utils', name): name for name in (_TENSOR, _OLD_TENSOR, _PARAMETER)}},
    calls={_TENSOR: _tensor, _OLD_TENSOR: _tensor, _PARAMETER: _parameter}, elsewhere=_storage, attributes=True)


def is_torch(path):
    """Whether a file begins as PyTorch's do."""
    with open(path, 'rb') as file:
        start = file.read(14)
    return start[:4] == b'PK\3\4' or start[4:] == _MAGIC.to_bytes(10, 'little')


def read_torch(path):
    """The tensors of a file by their names, in its order. -> {name: np.ndarray}

    Raises FileNotFoundError, or ValueError saying in one sentence what the file holds that it should not.
    """
    return pickles.read_by(path, WEIGHTS, lambda data, kind: (_zipped if data[:4] == b'PK\3\4' else _legacy)(data, kind))


def _legacy(data, kind):
    found, end = [], 0
    for _ in range(5):
        value, end = pickles.parse_first(data, kind, end)
        found.append(value)
    magic, version, machine, content, keys = found
    if (magic, version) != (_MAGIC, _VERSION):
        raise Refused('does not begin as a file of PyTorch')
    _check_little(isinstance(machine, dict) and machine.get('little_endian') is True)
    storages = {tensor.storage.key: tensor.storage for tensor in _tensors(content).values()}
    arrays = {}
    for key in keys if isinstance(keys, list) else [None]:
        if not isinstance(key, str) or key not in storages or key in arrays:
            raise Refused('lists storages that its tensors do not use')
        arrays[key], end = _numbers(data, end, storages[key])
    if end != len(data):
        raise Refused(f'has {len(data) - end} bytes after its last storage')
    return _filled(content, arrays)


def _numbers(data, start, storage):
    """The storage whose size stands at a byte, then its numbers. -> (array, where they end)"""
    end = start + 8 + storage.size * storage.dtype.itemsize
    if end > len(data):
        raise Refused(f'is truncated: it ends within the {storage.size} numbers of a storage')
    if struct.unpack_from('<q', data, start)[0] != storage.size:
        raise Refused('contradicts itself about the size of a storage')
    return np.frombuffer(data, storage.dtype, storage.size, start + 8), end


def _zipped(data, kind):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            roots = [name.removesuffix('data.pkl') for name in members if name.endswith('/data.pkl')]
            if len(roots) != 1:
                raise Refused('is a zip file without the one data.pkl that a file of PyTorch has')
            root = roots[0]

            def member(name, size=None):
                info = members.get(root + name)
                if info is None or size is not None and info.file_size != size:
                    raise Refused(f'holds no member {name[:60]!r} of the size that its tensors have')
                if info.file_size > kind.max_bytes:
                    raise Refused(f'unpacks to more than any {kind.noun}')
                return archive.read(info)

            _check_little(root + 'byteorder' not in members or member('byteorder', 6) == b'little')
            content = pickles.parse(member('data.pkl'), kind)
            arrays, left = {}, kind.max_bytes
            for storage in {tensor.storage.key: tensor.storage for tensor in _tensors(content).values()}.values():
                left -= (size := storage.size * storage.dtype.itemsize)
                if left < 0:
                    raise Refused(f'unpacks to more than any {kind.noun}')
                arrays[storage.key] = np.frombuffer(member(f'data/{storage.key}', size), storage.dtype)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Refused(f'is a truncated or damaged zip file ({type(error).__name__})') from error
    return _filled(content, arrays)


def _check_little(fits):
    if not fits:
        raise Refused('was written by a machine of another byte order')


def _tensors(content):
    if not isinstance(content, dict) or not content or not all(isinstance(value, _Tensor) for value in content.values()):
        raise Refused('holds something else than tensors by their names')
    return content


def _filled(content, arrays):
    filled = {}
    for name, tensor in content.items():
        array = arrays.get(tensor.storage.key)
        if array is None or tensor.storage.dtype != array.dtype or tensor.storage.size != len(array):
            raise Refused(f'lacks the numbers of {name[:60]!r}')
        filled[name] = array[tensor.offset:tensor.offset + math.prod(tensor.shape)].reshape(tensor.shape)
    return filled
