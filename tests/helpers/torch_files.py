"""Writes weights as PyTorch does, in both of its formats, without PyTorch."""
import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np

MAGIC = 0x1950a86a20f9469cfc6c


def _rebuild_tensor_v2(*arguments):
    raise AssertionError('the file was run')


class _Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


class _Tensor:
    def __init__(self, storage):
        self.storage = storage

    def __reduce__(self):
        array = self.storage.array
        strides = tuple(stride // array.itemsize for stride in array.strides)
        return _rebuild_tensor_v2, (self.storage, 0, array.shape, strides, False, collections.OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, item):
        if isinstance(item, _Storage):
            kind = {'f4': 'FloatStorage', 'i8': 'LongStorage', 'f2': 'HalfStorage'}[item.array.dtype.str[1:]]
            cls = type(kind, (), {'__module__': 'torch'})
            setattr(sys.modules['torch'], kind, cls)
            return ('storage', cls, item.key, 'cpu', item.array.size, *self.view)
        return None


def _pickled(content, view):
    there = {'torch': types.ModuleType('torch'), 'torch._utils': types.ModuleType('torch._utils')}
    _rebuild_tensor_v2.__module__ = 'torch._utils'
    there['torch._utils']._rebuild_tensor_v2 = _rebuild_tensor_v2
    sys.modules.update(there)
    try:
        file = io.BytesIO()
        pickler = _Pickler(file, 2)
        pickler.view = view
        pickler.dump(content)
        return file.getvalue()
    finally:
        for name in there:
            del sys.modules[name]


def _tensors(weights):
    """-> (OrderedDict with the attribute of state dicts, storages)"""
    storages = [_Storage(str(i), np.ascontiguousarray(array)) for i, array in enumerate(weights.values())]
    content = collections.OrderedDict(zip(weights, map(_Tensor, storages), strict=True))
    content._metadata = collections.OrderedDict({'': {'version': 1}})
    return content, storages


def legacy(weights):
    """{name: array} in the format of PyTorch before 1.6, its storages in another order than its tensors. -> bytes"""
    content, storages = _tensors(weights)
    storages = storages[::-1]
    sizes = {'short': 2, 'int': 4, 'long': 4}
    machine = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': sizes}
    parts = [pickle.dumps(item, 2) for item in (MAGIC, 1001, machine)]
    parts += [_pickled(content, [None]), pickle.dumps([storage.key for storage in storages], 2)]
    for storage in storages:
        parts += [struct.pack('<q', storage.array.size), storage.array.tobytes()]
    return b''.join(parts)


def zipped(weights, byteorder=b'little'):
    """{name: array} in the format of PyTorch from 1.6 on. -> bytes"""
    content, storages = _tensors(weights)
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr('vgg16/data.pkl', _pickled(content, []))
        archive.writestr('vgg16/byteorder', byteorder)
        for storage in storages:
            archive.writestr(f'vgg16/data/{storage.key}', storage.array.tobytes())
        archive.writestr('vgg16/version', b'3\n')
    return file.getvalue()
