"""Multi-resolution data sets: their files, and reading them with random access.

A data set is a folder `name/` of uncompressed files `name-r02.tfrecords` .. `name-rLL.tfrecords`, one per resolution 4,
8, .., 2**LL, and optionally `name-rxx.labels`, a NumPy file of float32 [N, label_size]. Large ones may split each file
into n shards `name-rLL-sssss-of-nnnnn.tfrecords`: image i is then in shard i % n. `name.manifest` holds digests
and the names of classes.
"""
import contextlib
import hashlib
import io
import json
import os
import re

import numpy as np

from data.fingerprints import file_facts, fingerprint
from data.records import RecordFile, ShardedFile
from files import TEXT, read, sha256_of
from presets.datasets import MADE_BY
from wording import command

_INPUTS = {'mnist': 'MNIST_DIR', 'mnistrgb': 'MNIST_DIR', 'cifar10': 'CIFAR10_DIR', 'cifar100': 'CIFAR100_DIR',
           'svhn': 'SVHN_DIR', 'celeba': 'CELEBA_DIR', 'celebahq': 'CELEBA_DIR DELTA_DIR'}
_CLASSES = re.compile(r'[0-9a-f]{64}  classes (.*)\n')  # The line of the manifest that names them.


def level_files(name, log2_resolution, shards=1):
    """File names of one resolution of data set `name`."""
    stem = f'{name}-r{log2_resolution:02d}'
    if shards == 1:
        return [f'{stem}.tfrecords']
    return [f'{stem}-{shard:05d}-of-{shards:05d}.tfrecords' for shard in range(shards)]


def labels_file(name):
    """File name of the labels of data set `name`."""
    return f'{name}-rxx.labels'


def partial_folder(target):
    """Where the data set `target` grows until it is complete."""
    folder, name = os.path.split(os.path.abspath(target))
    return os.path.join(folder, f'.{name}.partial')


def manifest_file(name):
    """File name of the digests of data set `name`."""
    return f'{name}.manifest'


def manifest_line(path, digest):
    """What a manifest says of a file of records: the SHA-256 of their checksums; of the labels: that of the file."""
    name = os.fsencode(os.path.basename(path)).decode(**TEXT)  # Whatever the locale reads it as.
    return f'{digest.hexdigest()}  {name}\n'


def labels_line(path):
    """The line of a file of labels."""
    with open(path, 'rb') as file:
        return manifest_line(path, hashlib.file_digest(file, 'sha256'))


def classes_line(names):
    """The line of the names of classes: the SHA-256 of the names as JSON, and they themselves."""
    text = json.dumps(names)
    return f'{sha256_of([text.encode()])}  classes {text}\n'


class Dataset:
    """The images and labels of the data set folder `path`, opened at its own or at a lower `resolution`; the first
    `max_images` of them, if that is given.

    Attributes: name, resolution, num_channels, num_images, label_size, labels (float32 [N, label_size]), class_names (of
    each component of the labels, or None). `label_size` is 'full' for the labels as they are, 1 for their first component
    only, 0 for none.
    """

    def __init__(self, path, resolution=None, label_size='full', max_images=None):
        self.name = os.path.basename(os.path.abspath(path))
        self._path, (self._prefix, found) = path, _find_levels(path)
        self.resolution = resolution or 2 ** max(found)
        top = self.resolution.bit_length() - 1
        if self.resolution != 2 ** top or top < 2:
            raise ValueError(f'resolution {resolution} is not a power of two of at least 4.')
        missing = [level for level in range(2, top + 1) if level not in found]
        if missing:
            side, largest = 2 ** missing[-1], 2 ** max(found)
            raise FileNotFoundError(f"data set '{path}' has no {side}x{side} images: "
                                    f"'{level_files(self._prefix, missing[-1])[0]}' is missing, "
                                    f'its largest are {largest}x{largest}.')
        self._levels = [ShardedFile([RecordFile(file, 2 ** level) for file in found[level]])
                        for level in range(top, 1, -1)]
        first = self._levels[0]
        self.num_images, self.num_channels = first.num_images, first.shape[0]
        for file in self._levels:
            if (file.num_images, file.shape[0]) != (self.num_images, self.num_channels):
                raise ValueError(f"'{file.path}' holds {file.num_images} images of {file.shape[0]} channels, "
                                 f"'{first.path}' {self.num_images} of {self.num_channels}; "
                                 'build the data set again.')
        if self.num_channels not in (1, 3):
            raise ValueError(f"'{first.path}' holds images of {self.num_channels} channels; "
                             'expected 1 (gray) or 3 (RGB).')
        self.labels = self._read_labels(label_size)[:max_images]
        self.num_images = len(self.labels)
        self.label_size = self.labels.shape[1]
        self.class_names = self._read_class_names() if label_size == 'full' else None
        if self.class_names and len(self.class_names) != self.label_size:
            raise ValueError(f"'{path}' names {len(self.class_names)} classes, its labels have {self.label_size} "
                             'components; build the data set again.')

    def read(self, level, indices):
        """Images at `indices`: uint8 [n, C, r, r] with r = resolution >> level; level 0 is the full size."""
        return self._levels[level].read(indices)

    def level_sizes(self):
        """Resolution, number of files and their bytes, for every level from the largest."""
        return [(level.shape[-1], len(level.files), sum(os.path.getsize(file.path) for file in level.files))
                for level in self._levels]

    def fingerprint(self):
        """A checksum of the resolution and the manifest; where there is none, or a newer file, of sizes and times."""
        facts = file_facts(self._path, sorted(name for name in os.listdir(self._path) if name.startswith(self._prefix)))
        times = {name: time for name, _, time in facts}
        if times.get(manifest_file(self._prefix)) == max(times.values()):
            facts = self._manifest()
        all_of_them = self.num_images == self._levels[0].num_images
        return fingerprint([self.resolution, facts] if all_of_them else [self.resolution, facts, self.num_images])

    def _manifest(self):
        """Lines of the manifest; none if there is none."""
        path = os.path.join(self._path, manifest_file(self._prefix))
        if not os.path.exists(path):
            return []
        return re.findall('[^\n]*\n|[^\n]+', read(path).decode(**TEXT))

    def _read_class_names(self):
        manifest = os.path.join(self._path, manifest_file(self._prefix))
        for line in self._manifest():
            if match := _CLASSES.fullmatch(line):
                with contextlib.suppress(ValueError, RecursionError):
                    names = json.loads(match[1])
                    if classes_line(names) == line and isinstance(names, list):
                        return names
                raise ValueError(f"'{manifest}' is damaged where it names the classes; copy or build the data set again.")
        return None

    def _read_labels(self, label_size):
        """The labels, float32 [N, label_size], where there is a manifest as it notes them."""
        path = os.path.join(self._path, labels_file(self._prefix))
        if label_size == 0 or not os.path.exists(path):
            return _components(path, np.zeros([self.num_images, 0], np.float32), label_size)
        labels, manifest = _checked_labels(path, read_array(path), self.num_images), self._manifest()
        if manifest and labels_line(path) not in manifest:
            raise ValueError(f"'{path}' is not as '{os.path.join(self._path, manifest_file(self._prefix))}' notes it; one "
                             'of them is damaged, copy or build the data set again.')
        return _components(path, labels, label_size)

    def verify(self):
        """Checks every record of every level, and all files against the manifest; tells whether there is one.

        Raises a ValueError that names the first bad record or file.
        """
        lines = [manifest_line(file.path, file.verify()) for level in self._levels for file in level.files]
        labels, path = (os.path.join(self._path, name(self._prefix)) for name in (labels_file, manifest_file))
        if not os.path.exists(path):
            return False
        if os.path.exists(labels):
            lines.append(labels_line(labels))
        if names := self._read_class_names():
            lines.append(classes_line(names))
        written = self._manifest()
        for line in lines:
            if line not in written:
                what = line.split(maxsplit=1)[1].strip()
                raise ValueError(f"'{what}' is not as '{path}' notes it; one of them is damaged, build the data set again.")
        if lines != written:
            raise ValueError(f"'{path}' is damaged or names files that are missing; build the data set again.")
        return True


class SyntheticDataset:
    """Black images behind the interface of Dataset, without files: syn1024rgb, for measuring speed, and for plans."""

    def __init__(self, resolution=1024, num_channels=3, num_images=10000, label_size=0, name=None):
        self.name = name or f'syn{resolution}{"rgb" if num_channels == 3 else ""}'
        self.resolution, self.num_channels, self.num_images = resolution, num_channels, num_images
        self.label_size, self.class_names = label_size, None
        self.labels = np.zeros([num_images, label_size], np.float32)

    def fingerprint(self):
        """What tells it from others."""
        return self.name

    def read(self, level, indices):
        """Black images: uint8 [n, C, r, r] with r = resolution >> level."""
        side = self.resolution >> level
        return np.zeros([len(indices), self.num_channels, side, side], np.uint8)


def open_dataset(folder, name, resolution=None, label_size='full', max_images=None):
    """Opens the data set `name` in `folder`; 'syn1024rgb' is synthetic and needs no files."""
    if name == 'syn1024rgb':
        return SyntheticDataset(resolution or 1024)
    return Dataset(os.path.join(folder, name), resolution, label_size, max_images)


def _find_levels(path):
    """What is in a data set folder: name at the beginning of its files, {log2 of the resolution: paths}."""
    name = os.path.basename(os.path.abspath(path))
    if not os.path.isdir(path):
        if os.path.isdir(partial_folder(path)):
            raise FileNotFoundError(f"data set '{path}' is not complete; repeat the command that was "
                                    'interrupted, with --resume.')
        if os.path.isfile(path):
            raise ValueError(f"'{path}' is a file, a data set is a folder; {_advice(path)}.")
        raise FileNotFoundError(f"data set '{path}' does not exist; create it with: "
                                f'{command("dataset_tool")} {_command(name, path)}.')
    pattern = re.compile(r'(.+)-r(\d\d)(?:-(\d{5})-of-(\d{5}))?\.tfrecords')
    matches = [match for match in map(pattern.fullmatch, sorted(os.listdir(path))) if match]
    names = sorted({match[1] for match in matches})
    if not names:
        raise FileNotFoundError(f"'{path}' is not a data set: it holds no '{level_files(name, 2)[0]}', "
                                f"'{level_files(name, 3)[0]}' and so on; {_advice(path)}.")
    if len(names) > 1:
        raise ValueError(f"'{path}' holds the files of several data sets ({', '.join(names)}); "
                         'give each a folder of its own.')
    found = {}
    for level in sorted({int(match[2]) for match in matches}):
        files = [match for match in matches if int(match[2]) == level]
        expected = level_files(names[0], level, int(files[0][4] or 1))
        wrong = sorted({match[0] for match in files}.symmetric_difference(expected))
        if wrong:
            raise FileNotFoundError(f"'{path}' lacks the shard '{wrong[0]}', or it is one too many; "
                                    'build the data set again.')
        found[level] = [os.path.join(path, file) for file in expected]
    return names[0], found


def _command(name, path):
    """What dataset_tool.py is to be given to create the data set `name`; what it reads is in capitals, as --help has it."""
    if name in MADE_BY:
        return f'{MADE_BY[name]} {path}'
    if name in _INPUTS:
        return f'create_{name} {path} {_INPUTS[name]}'
    if name.startswith('lsun'):
        return f'create_lsun{"_wide" * (name == "lsun-car-512x384")} {path} LMDB_DIR'
    return f'create_from_images {path} IMAGE_DIR'


def _advice(path):
    """What to do about pictures that are taken for a data set."""
    return (f'if it holds pictures, build a data set of them, for example with: {command("dataset_tool")} '
            f'create_from_images {os.path.splitext(os.path.normpath(path))[0]}-set {path}')


def read_array(path):
    """The array of a NumPy file from strangers; a ValueError says what else it is."""
    try:
        array = np.load(io.BytesIO(read(path)), allow_pickle=False)
    except Exception as error:  # A damaged header can raise anything.
        raise ValueError(f"'{path}' is not a NumPy file or is damaged ({error}); get it again.") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"'{path}' holds several arrays; expected a NumPy file of one.")
    return array


def _checked_labels(path, labels, num_images):
    """Labels as float32 [num_images, components]; a ValueError says what is wrong with them."""
    if labels.ndim != 2 or labels.dtype.kind not in 'fiu' or len(labels) != num_images:
        raise ValueError(f"'{path}' holds {labels.dtype} {list(labels.shape)}; expected a label for "
                         f'each image, float32 [{num_images}, label size].')
    with np.errstate(over='ignore'):
        labels = labels.astype(np.float32)
    if not np.isfinite(labels).all():
        row = np.flatnonzero(~np.isfinite(labels).all(axis=1))[0]
        raise ValueError(f"'{path}' holds the label {labels[row].tolist()} of image {row}; expected finite numbers, "
                         'build the data set again.')
    return labels


def _components(path, labels, label_size):
    """The first `label_size` components, or all. float32 [N, ...] -> float32 [N, label_size]."""
    if label_size == 'full':
        return labels
    if label_size > labels.shape[1]:
        raise ValueError(f"label size {label_size} is more than the {labels.shape[1]} that '{path}' holds.")
    return labels[:, :label_size]
