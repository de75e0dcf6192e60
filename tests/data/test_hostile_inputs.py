"""Files that would crash, hang or fill the memory: each ends in one sentence."""
import gzip
import io
import json
import os
import struct
import zipfile

import h5py
import lmdb
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import runtime
from data import sources
from data.celebahq import decode as decode_photograph
from data.folders import from_images
from data.image_files import ImageFiles
from data.images import decode
from data.isolated import isolated
from data.labels import read_labels

EPS = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(touched) (w) file closefile\n%%EOF\n'


def png():
    buffer = io.BytesIO()
    Image.new('L', (4, 4)).save(buffer, 'PNG')
    return buffer.getvalue()


def zipped(path, data, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, 'w', method) as archive:
        archive.writestr('0.png', data)
    return str(path)


@pytest.mark.parametrize('method', [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members_of_every_compression_are_one_sentence(tmp_path, method):
    path = zipped(tmp_path / 'a.zip', np.random.RandomState(0).bytes(5000), method)
    data = bytearray((tmp_path / 'a.zip').read_bytes())
    for place in (40, 50, 60, 1000, 3000):
        data[place] ^= 0xff
    (tmp_path / 'a.zip').write_bytes(data)
    with pytest.raises(ValueError, match=r'^cannot be unpacked \(.*\); get the zip file again.$'):
        ImageFiles(path).read('0.png')


@pytest.mark.parametrize('method', [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize('declared', [None, 1000])
def test_zip_bombs_are_refused_by_declared_and_by_actual_size(tmp_path, method, declared):
    size = 24 << 20
    path = zipped(tmp_path / 'bomb.zip', bytes(size), method)
    if declared:
        data = (tmp_path / 'bomb.zip').read_bytes()
        (tmp_path / 'bomb.zip').write_bytes(data.replace(struct.pack('<I', size), struct.pack('<I', declared)))
    before = runtime.peak_memory_mib()
    sentence = 'cannot be unpacked' if declared else 'unpacks to .* give a larger --max_file_mib'
    with pytest.raises(ValueError, match=sentence):
        ImageFiles(path, max_file_mib=8).read('0.png')
    assert runtime.peak_memory_mib() - before < 100


def test_a_gzip_bomb_is_refused(tmp_path):
    (tmp_path / 'train-labels-idx1-ubyte.gz').write_bytes(b'')
    (tmp_path / 'train-images-idx3-ubyte.gz').write_bytes(gzip.compress(bytes(100 << 20)))
    with pytest.raises(ValueError, match='train-images-idx3-ubyte.gz.*unpacks to over 10485760 bytes'):
        sources.mnist(tmp_path, max_file_mib=10)


@pytest.mark.parametrize('name', ['a.png', 'a.jpg'])
def test_postscript_never_reaches_ghostscript(tmp_path, name):
    (tmp_path / name).write_bytes(EPS)
    (tmp_path / 'b.eps').write_bytes(EPS)
    assert ImageFiles(str(tmp_path)).names == [name]
    with pytest.raises(ValueError, match='^is not an image'):
        decode(tmp_path / name)
    with pytest.raises(ValueError, match='it is no image'):
        decode_photograph(EPS)


def test_pipes_are_passed_over_or_refused(tmp_path):
    (tmp_path / 'a.png').write_bytes(png())
    os.mkfifo(tmp_path / 'b.png')
    os.mkfifo(tmp_path / 'labels.json')
    os.symlink('/dev/zero', tmp_path / 'c.png')
    assert ImageFiles(str(tmp_path)).names == ['a.png']
    for path in (tmp_path / 'labels.json', '/dev/zero'):
        with pytest.raises(ValueError, match='cannot be read .*no regular file'):
            read_labels(ImageFiles(str(tmp_path)), str(path))
    for source in sources.hdf5, sources.lsun:
        (tmp_path / 'set').mkdir(exist_ok=True)
        place = tmp_path / 'set' / 'data.mdb'
        if not place.exists():
            os.mkfifo(place)
        with pytest.raises(ValueError, match='no regular file'):
            source(str(place if source is sources.hdf5 else tmp_path / 'set'))


@pytest.mark.parametrize('text', ['[' * 100_000, '{"a.png": ' * 5000, '{"a.png": ' + '[' * 900 + ']' * 900 + '}',
                                  '{"a.png": {"b": 1}}', '{"a.png": 1' + '0' * 5000 + '}', '{"a.png": 1e999}', '\x00', ''])
def test_labels_of_any_nesting_and_size_are_one_sentence(tmp_path, text):
    (tmp_path / 'a.png').write_bytes(png())
    (tmp_path / 'l.json').write_text(text)
    with pytest.raises(ValueError) as error:
        read_labels(ImageFiles(str(tmp_path)), str(tmp_path / 'l.json'))
    assert 'l.json' in str(error.value) and '\n' not in str(error.value)


def test_a_class_per_picture_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    for i in range(6):
        (tmp_path / f'{i}.png').write_bytes(png())
    (tmp_path / 'l.json').write_text(json.dumps({f'{i}.png': f'name {i}' for i in range(6)}))
    monkeypatch.setattr('data.labels._MOST_LABELS', 30)
    with pytest.raises(ValueError, match='name 6 classes for 6 images'):
        from_images(str(tmp_path), labels=str(tmp_path / 'l.json'))


def write_hdf5(path):
    with h5py.File(path, 'w') as file:
        file['data4'] = np.zeros([3, 1, 4, 4], np.uint8)


@pytest.mark.parametrize('labels, sentence', [
    (b'', 'is not a NumPy file or is damaged'), (b'\x93NUMPY', 'is not a NumPy file or is damaged'),
    (np.full([3, 2], np.nan), None), (np.full([3, 2], 1e300), None), (np.array([['a', 'b']] * 3), 'expected numbers'),
    (np.zeros([4, 2]), 'expected numbers')])
def test_labels_beside_hdf5_are_finite_numbers(tmp_path, labels, sentence):
    from data.build import build
    write_hdf5(tmp_path / 'a.h5')
    if isinstance(labels, bytes):
        (tmp_path / 'a-labels.npy').write_bytes(labels)
    else:
        np.save(tmp_path / 'a-labels.npy', labels)
    with pytest.raises(ValueError, match=sentence or 'expected finite numbers'):
        build(tmp_path / 'out', sources.hdf5(str(tmp_path / 'a.h5')))


@pytest.mark.parametrize('link', [
    lambda file: file.__setitem__('data8', h5py.SoftLink('/data8')),
    lambda file: file.__setitem__('data8', h5py.SoftLink('/data4')),
    lambda file: file.__setitem__('data8', h5py.ExternalLink('/etc/other.h5', '/x')),
    lambda file: file.create_dataset('data8', [1, 1, 8, 8], 'u1', external=[('/etc/passwd', 0, 64)])])
def test_links_and_bytes_elsewhere_are_refused(tmp_path, link):
    write_hdf5(tmp_path / 'a.h5')
    with h5py.File(tmp_path / 'a.h5', 'a') as file:
        link(file)
    with pytest.raises(ValueError, match="a.h5' (holds '/data8' as a link|keeps the numbers of '/data8' in another)"):
        sources.hdf5(str(tmp_path / 'a.h5'))


def test_a_truncated_lmdb_is_named_and_does_not_end_the_process(tmp_path):
    environment = lmdb.open(str(tmp_path / 'l'), map_size=1 << 24)
    with environment.begin(write=True) as transaction:
        for i in range(100):
            transaction.put(b'%05d' % i, bytes(5000))
    environment.close()
    path = tmp_path / 'l' / 'data.mdb'
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match="data.mdb' is truncated: it has"):
        sources.lsun(str(tmp_path / 'l'))


def crash():
    os.abort()


def fail():
    return {}['x']


def test_what_crashes_apart_leaves_a_sentence():
    assert isolated(len, 'abc') == 3
    with pytest.raises(ValueError, match='^its reader crashed .SIGABRT.$'):
        isolated(crash)
    with pytest.raises(ValueError, match="^KeyError: 'x'$"):
        isolated(fail)


def test_a_damaged_mat_file_is_named(tmp_path):
    savemat(tmp_path / 'train_32x32.mat', {'X': np.zeros([32, 32, 3, 4], np.uint8), 'y': np.ones([4, 1])})
    data = bytearray((tmp_path / 'train_32x32.mat').read_bytes())
    data[150:170] = b'\xff' * 20
    (tmp_path / 'train_32x32.mat').write_bytes(data)
    with pytest.raises(ValueError, match="train_32x32.mat' (is not a MATLAB file or is damaged|does not hold)"):
        sources.svhn(tmp_path, expected_images=0)
