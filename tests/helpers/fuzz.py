"""Damages files at random, lets their readers read them, and prints a row of counts per kind of file.

    python tests/helpers/fuzz.py [KIND ...] [--cases=N] [--seed=N]

A reader must end in the same contents or in one sentence. Counted are crashes, hangs of over 10 seconds, tracebacks (any
other error, or an error that is no sentence) and silent changes: other contents, where the kind has checksums. Reading runs
in a process of its own, a new one after a crash. The last line is the table as JSON; the exit status is 1 where anything was
counted.
"""
import argparse
import hashlib
import io
import json
import multiprocessing
import os
import sys
import tempfile
import zipfile

import numpy as np
from mutations import mutate

import runtime  # noqa: F401  (it must come before TensorFlow)

HANG_SEC = 10
COUNTED = ('crashes', 'hangs', 'tracebacks', 'silent')


class Kind:
    """Files of one kind: `make(folder)` -> [path] of good ones, `read(path)` -> bytes that tell the contents.

    `names`: [(what is damaged, what is read)] of a folder that `make` fills; `checked`: whether other contents are a fault.
    """
    checked = True

    def make(self, folder):
        raise NotImplementedError

    def read(self, path):
        raise NotImplementedError


class Snapshots(Kind):
    def make(self, folder):
        from networks.progan import Discriminator, Generator
        from networks.snapshot import save_snapshot
        how = {'resolution': 8, 'num_channels': 1, 'fmap_base': 32, 'fmap_max': 4}
        path = os.path.join(folder, 'network.h5')
        save_snapshot(path, Generator(**how, seed=1), Discriminator(**how, seed=2), Generator(**how, seed=3), nimg=1234)
        return [(path, path)]

    def read(self, path):
        from networks.snapshot import load_snapshot
        snapshot, digest = load_snapshot(path), hashlib.sha256()
        for network in snapshot[:3]:
            digest.update(json.dumps(network.build_arguments()).encode())
            for name, variable in network.named_variables().items():
                digest.update(name.encode() + variable.numpy().tobytes())
        return digest.digest() + str(snapshot.nimg).encode()


class Records(Kind):
    """What training reads: every image of every level, and the labels."""

    def make(self, folder):
        from data.writer import Writer
        random, path = np.random.RandomState(0), os.path.join(folder, 'set')
        with Writer(path, 8, 3, label_size=2, class_names=['a', 'b']) as writer:
            writer.add(random.randint(256, size=[20, 3, 8, 8]).astype(np.uint8), np.eye(2, dtype=np.float32)[[0, 1] * 10])
        return [(os.path.join(path, name), path) for name in sorted(os.listdir(path)) if not name.endswith('.manifest')]

    def read(self, path):
        from data.tfrecords import Dataset
        dataset = Dataset(path)
        levels = [dataset.read(level, np.arange(dataset.num_images)).tobytes() for level in range(2)]
        return b''.join([*levels, dataset.labels.tobytes(), str(dataset.class_names).encode()])


class Manifests(Records):
    """Names of classes and digests, which may be unlike the labels' but never others."""

    def make(self, folder):
        super().make(folder)
        path = os.path.join(folder, 'set')
        return [(os.path.join(path, 'set.manifest'), path)]

    def read(self, path):
        # A manifest whose line of the classes is lost as a whole names none, as those of the reference do.
        return super().read(path).removesuffix(b"['a', 'b']").removesuffix(b'None')


class Configs(Kind):
    checked = False  # People edit them.

    def make(self, folder):
        import config
        path = os.path.join(folder, 'config.json')
        with open(path, 'w') as file:
            file.write(config.to_json(config.resolve(['celebahq', 'v2-1gpu'])))
        return [(path, path)]

    def read(self, path):
        import config
        return repr(config.load(path)).encode()


class Zips(Kind):
    """Pictures in a zip file, of which every member has a checksum."""

    def make(self, folder):
        found, random = [], np.random.RandomState(0)
        for method in zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA:
            path = os.path.join(folder, f'{method}.zip')
            with zipfile.ZipFile(path, 'w', method) as archive:
                for i in range(3):
                    archive.writestr(f'{i}.png', picture('PNG', random))
            found.append((path, path))
        return found

    def read(self, path):
        from data import image_files
        image_files._open_zip.cache_clear()
        image_files._members.cache_clear()
        files = image_files.ImageFiles(path, max_file_mib=64)
        return b''.join(sorted(files.read(name) for name in files.names))


class Pictures(Kind):
    checked = False  # Most of their formats have no checksums.

    def make(self, folder):
        random, found = np.random.RandomState(0), []
        for kind in 'PNG', 'JPEG', 'GIF', 'BMP', 'TIFF', 'WEBP', 'PPM', 'TGA', 'ICO', 'JPEG2000', 'AVIF':
            path = os.path.join(folder, f'{kind}.png')
            with open(path, 'wb') as file:
                file.write(picture(kind, random))
            found.append((path, path))
        return found

    def read(self, path):
        from data.images import decode
        return decode(path, max_pixels=10 ** 7).tobytes()


class Labels(Kind):
    checked = False

    def make(self, folder):
        texts = {'a.json': '{"0.png": "cat", "1.png": "dog", "2.png": 3}',
                 'b.json': '{"labels": [["0.png", 1], ["1.png", 0]]}',
                 'c.csv': '0.png,1.5\n1.png,2e3\n', 'd.csv': '0.png;cat\n1.png;dog\n'}
        for i in range(2):
            with open(os.path.join(folder, f'{i}.png'), 'wb') as file:
                file.write(picture('PNG', np.random.RandomState(i)))
        for name, text in texts.items():
            with open(os.path.join(folder, name), 'w') as file:
                file.write(text)
        return [(os.path.join(folder, name), os.path.join(folder, name)) for name in texts]

    def read(self, path):
        from data.image_files import ImageFiles
        from data.labels import read_labels
        labels, names = read_labels(ImageFiles(os.path.dirname(path)), path)
        return labels.tobytes() + repr(names).encode()


class HDF5(Kind):
    checked = False  # Files of the Theano version have no checksums.

    def make(self, folder):
        import h5py
        path = os.path.join(folder, 'set.h5')
        with h5py.File(path, 'w') as file:
            file['data3'] = np.zeros([4, 1, 8, 8], np.uint8)
        np.save(os.path.join(folder, 'set-labels.npy'), np.eye(4, dtype=np.float32))
        return [(path, path), (os.path.join(folder, 'set-labels.npy'), path)]

    def read(self, path):
        from data import sources
        sources._largest_array.cache_clear()
        source = sources.hdf5(path)
        return b''.join(source.load(item).tobytes() for item in source.items) + source.labels.tobytes()


class Matlab(Kind):
    checked = False

    def make(self, folder):
        from scipy.io import savemat
        path = os.path.join(folder, 'train_32x32.mat')
        savemat(path, {'X': np.zeros([32, 32, 3, 2], np.uint8), 'y': np.ones([2, 1], np.uint8)}, do_compression=True)
        return [(path, folder)]

    def read(self, path):
        from data import sources
        return sources.svhn(path, expected_images=0).labels.tobytes()


class LMDB(Kind):
    checked = False

    def make(self, folder):
        import lmdb
        path = os.path.join(folder, 'lmdb')
        with lmdb.open(path, map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
            for i in range(20):
                transaction.put(b'%05d' % i, picture('WEBP', np.random.RandomState(i)) + bytes(3000))
        return [(os.path.join(path, 'data.mdb'), path)]

    def read(self, path):
        from data import sources
        return repr(sources.lsun(path, resolution=4).items).encode()


class MNIST(Kind):
    def make(self, folder):
        import gzip
        import struct
        for name, data in (('train-images-idx3-ubyte.gz', struct.pack('>4B3i', 0, 0, 8, 3, 5, 28, 28) + bytes(5 * 784)),
                           ('train-labels-idx1-ubyte.gz', struct.pack('>4Bi', 0, 0, 8, 1, 5) + bytes(range(5)))):
            with gzip.open(os.path.join(folder, name), 'wb') as file:
                file.write(data)
        return [(os.path.join(folder, name), folder) for name in sorted(os.listdir(folder))]

    def read(self, path):
        from data import sources
        source = sources.mnist(path, expected_images=0, max_file_mib=64)
        return b''.join(source.load(item).tobytes() for item in source.items) + source.labels.tobytes()


KINDS = {'snapshots': Snapshots, 'records': Records, 'manifests': Manifests, 'configs': Configs, 'zips': Zips,
         'pictures': Pictures, 'labels': Labels, 'hdf5': HDF5, 'matlab': Matlab, 'lmdb': LMDB, 'mnist': MNIST}


def picture(kind, random):
    """The bytes of a small picture."""
    from PIL import Image
    buffer = io.BytesIO()
    Image.fromarray(random.randint(256, size=[16, 16, 3]).astype(np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def attempt(kind, path, expected):
    """Reads a file -> what happened, and a text that tells more."""
    try:
        found = kind.read(path)
    except (ValueError, OSError, MemoryError) as error:
        text = str(error)
        return ('refused' if text and '\n' not in text and len(text) < 1000 else 'tracebacks'), text[:200]
    except BaseException as error:
        return 'tracebacks', f'{type(error).__name__}: {error}'[:200]
    if found == expected:
        return 'same', ''
    return ('silent' if kind.checked else 'accepted'), ''


def work(pipe, name, seed, start, end):
    """Runs cases start .. end, each announced before it is tried."""
    kind = KINDS[name]()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # What libraries say of damaged files.
    with tempfile.TemporaryDirectory() as folder:
        files = kind.make(folder)
        wholes = {}
        for damaged, path in files:
            with open(damaged, 'rb') as file:
                wholes[damaged] = file.read(), kind.read(path)
        pipe.send('ready')
        for case in range(start, end):
            damaged, path = files[case % len(files)]
            whole, expected = wholes[damaged]
            with open(damaged, 'wb') as file:
                file.write(mutate(whole, np.random.RandomState([seed, case])))
            pipe.send(case)
            pipe.send(attempt(kind, path, expected))
            with open(damaged, 'wb') as file:
                file.write(whole)


def fuzz(name, cases, seed=0):
    """Tries that many cases of a kind -> ({what happened: how often}, the first few faults)."""
    counts, faults, case = dict.fromkeys(('cases', 'refused', 'same', 'accepted', *COUNTED), 0), [], 0
    while case < cases:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context('fork').Process(target=work, args=(theirs, name, seed, case, cases))
        process.start()
        theirs.close()
        ended = 'crashes'
        try:
            ready = False
            ready = ours.recv()
            while case < cases:
                number = ours.recv()
                if not ours.poll(HANG_SEC):
                    ended = 'hangs'
                    break
                what, text = ours.recv()
                counts[what] += 1
                if what in COUNTED:
                    faults.append(f'case {number}: {what}: {text}')
                case, ended = number + 1, None
        except EOFError:
            if not ready:
                raise RuntimeError(f'The good files of {name} cannot be read.') from None
            ended = 'crashes'
        if case < cases:
            counts[ended] += 1
            faults.append(f'case {case}: {ended}')
            case += 1
            process.kill()
        process.join()
    return counts | {'cases': cases}, faults[:20]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('kinds', nargs='*', default=[], help=f'of {", ".join(KINDS)}')
    parser.add_argument('--cases', type=int, default=300)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    rows = {}
    print('| kind | cases | refused | same contents | others, unchecked | crashes | hangs | tracebacks | silent changes |')
    print('|' + '---|' * 9)
    for name in options.kinds or KINDS:
        rows[name], faults = fuzz(name, options.cases, options.seed)
        print(f'| {name} | ' + ' | '.join(map(str, rows[name].values())) + ' |', flush=True)
        print(*faults, sep='\n', end='\n' * bool(faults), file=sys.stderr, flush=True)
    print(json.dumps(rows))
    sys.exit(any(row[what] for row in rows.values() for what in COUNTED))


if __name__ == '__main__':
    main()
