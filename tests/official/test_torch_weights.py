"""PyTorch's files of weights, both formats: read as they were written, and nothing else is believed or run."""
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from malicious_pickles import COMMAND, reduce_to
from numpy.testing import assert_array_equal
from torch_files import legacy, zipped

from official.torch_weights import read_torch
from official.weights import read_weights

WEIGHTS = {'features.0.weight': np.random.RandomState(0).randn(4, 3, 3, 3).astype(np.float32),
           'features.0.bias': np.arange(4, dtype=np.float32), 'tracked': np.array([7], np.int64),
           'half': np.arange(6, dtype=np.float16).reshape(1, 6)}


@pytest.mark.parametrize('form', [legacy, zipped])
def test_weights_are_read_in_both_formats_in_their_order(write, form):
    path = write(form(WEIGHTS))
    for read in read_torch, read_weights:
        found = read(path)
        assert list(found) == list(WEIGHTS)
        for name, array in WEIGHTS.items():
            assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype


def rezipped(changes):
    """The zip file with members replaced, or left out where the new content is None."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped(WEIGHTS))) as old, zipfile.ZipFile(file, 'w') as new:
        for name in {**dict.fromkeys(old.namelist()), **changes}:
            content = changes.get(name, old.read(name) if name in old.namelist() else None)
            if content is not None:
                new.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize('data, sentence', [
    (legacy(WEIGHTS)[:-3], 'is truncated: it ends within the 108 numbers'),
    (legacy(WEIGHTS)[:200], 'is truncated or damaged near byte'),
    (legacy(WEIGHTS) + b'more', 'has 4 bytes after its last storage'),
    (legacy(WEIGHTS).replace(b'little_endian', b'larger_endian'), 'another byte order'),
    (legacy({'a': np.zeros(5, np.float32)}).replace(b'K\5', b'K\3', 1), 'a tensor that is no part of its storage'),
    (legacy({'a': np.zeros(5, np.float32)}).replace(b'\5' + bytes(7), b'\4' + bytes(7)), 'the size of a storage'),
    (zipped(WEIGHTS)[:-30], r'is a truncated or damaged zip file \(BadZipFile\)'),
    (zipped(WEIGHTS, b'bigger'), 'another byte order'),
    (rezipped({'vgg16/data.pkl': None}), 'without the one data.pkl'),
    (rezipped({'vgg16/data/1': None}), "holds no member 'data/1' of the size"),
    (rezipped({'vgg16/data/1': b'1234'}), "holds no member 'data/1' of the size"),
    (rezipped({'vgg16/data.pkl': reduce_to('os', 'system', COMMAND)}), "asks for 'os.system'.*attempt to run code"),
    (rezipped({'vgg16/data.pkl': pickle.dumps({'a': 1}, 2)}), 'something else than tensors'),
    (pickle.dumps(0x1950a86a20f9469cfc6c, 2) + reduce_to('os', 'system', COMMAND), "asks for 'os.system'"),
    (b'<html>not found</html>', 'looks like a web page'),
])
def test_files_that_are_damaged_or_run_code_end_in_one_sentence(write, tmp_path, monkeypatch, data, sentence):
    monkeypatch.chdir(tmp_path)
    path = write(data)
    with pytest.raises(ValueError, match=sentence) as raised:
        read_weights(path)
    assert str(raised.value).startswith(path) and str(raised.value).endswith('.')
    assert os.listdir(tmp_path) == ['file']


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        read_weights(str(tmp_path / 'absent.pth'))


@pytest.mark.parametrize('form', [legacy, zipped])
def test_any_changed_byte_is_read_or_refused_in_one_sentence(write, form):
    whole, random = form(WEIGHTS), np.random.RandomState(0)
    for _ in range(60):
        data = bytearray(whole)
        data[random.randint(len(data))] = random.randint(256)
        try:
            assert all(isinstance(array, np.ndarray) for array in read_weights(write(data)).values())
        except ValueError as error:
            assert str(error).endswith('.')
