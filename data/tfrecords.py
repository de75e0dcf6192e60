"""Multi-resolution data sets: a writer of all levels at once and a reader with random access.

A data set is a folder `name/` of uncompressed files `name-r02.tfrecords` .. `name-rLL.tfrecords`, one per
resolution 4, 8, .., 2**LL, and optionally `name-rxx.labels`, a NumPy file of float32 [N, label_size]. Large
ones may split each file into n shards `name-rLL-sssss-of-nnnnn.tfrecords`: image i is then in shard i % n.
`name.manifest` holds digests.
"""
import contextlib
import hashlib
import os
import re
import shutil

import numpy as np

from data.records import RecordFile, ShardedFile, count_intact, encode_records, record_length


def pyramid(images):
    """Images of every level from full size to 4x4: uint8 [n, C, R, R] -> uint8 [n, C, r, r], r = R, R/2, ..,
    4.

    A level is the 2x2 box mean of the level above in float; only what is given out is rounded, half to even.
    """
    yield images
    means = images.astype(np.float32)
    while means.shape[-1] > 4:
        pairs = means[:, :, 0::2] + means[:, :, 1::2]
        means = (pairs[..., 0::2] + pairs[..., 1::2]) * np.float32(0.25)
        yield np.rint(means).astype(np.uint8)


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


def manifest(record_files, labels_path):
    """One line per file: SHA-256 of the checksums of its records, or of the file of labels; and the file's name."""
    contents = {file.path: file.checksums() for file in record_files}
    if labels_path:
        with open(labels_path, 'rb') as file:
            contents[labels_path] = file.read()
    return [f'{hashlib.sha256(content).hexdigest()}  {os.path.basename(path)}\n'
            for path, content in contents.items()]


class Writer:
    """Writes a data set; it appears at `target` complete when the `with` block ends, or not at all.

    Until then its files grow in a folder beside the target. An error removes that folder, an interruption
    (Ctrl-C, a killed process) leaves it: with `resume` the writer goes on after the last intact image in it,
    as `position` tells. `recipe` is any text that tells what the data set is made from, so that a resumed
    build does not mix two sources.
    """

    def __init__(self, target, resolution, num_channels, label_size=0, shards=1, resume=False, recipe=''):
        if num_channels not in (1, 3):
            raise ValueError(f'images have {num_channels} channels; a data set holds 1 (gray) or 3 (RGB)')
        if resolution < 4 or resolution & (resolution - 1):
            raise ValueError(f'images are {resolution}x{resolution}; expected a power of two from 4 on')
        if not 1 <= shards < 100_000:
            raise ValueError(f'{shards} shards are not possible; expected 1 or more')
        self.target, self.partial = os.path.abspath(target), partial_folder(target)
        self.name = os.path.basename(self.target)
        self.shape = (num_channels, resolution, resolution)
        self.shards, self.resume = shards, resume
        self.recipe = (f'{recipe}, {num_channels} channels of {resolution}x{resolution}, '
                       f'{label_size} labels, {shards} shards')
        self.num_images = 0
        self.position = 0  # Images of the source that were taken so far, those that were left out included.
        # One row per image, kept beside the images until the build is complete.
        self._row = np.dtype([('position', '<i8'), ('label', '<f4', (label_size,))])
        self._rows_path = os.path.join(self.partial, 'rows')
        self._recipe_path = os.path.join(self.partial, 'recipe')
        self._folder = os.path.join(self.partial, self.name)  # What becomes the target.
        self._levels = [([os.path.join(self._folder, file) for file in level_files(self.name, level, shards)],
                         (num_channels, 2 ** level, 2 ** level))
                        for level in range(resolution.bit_length() - 1, 1, -1)]

    def __enter__(self):
        if os.path.exists(self.target) and not (os.path.isdir(self.target) and not os.listdir(self.target)):
            raise FileExistsError(f"'{self.target}' exists already; give another name or delete it first")
        interrupted = os.path.exists(self._recipe_path)
        if interrupted:
            self._check_recipe()
        with self._clear_errors():
            os.makedirs(self._folder, exist_ok=True)
            with open(f'{self._recipe_path}.new', 'w') as file:
                file.write(self.recipe)
            os.replace(file.name, self._recipe_path)
            paths = [path for paths, _ in self._levels for path in paths] + [self._rows_path]
            *self._files, self._rows = [open(path, 'ab') for path in paths]  # noqa: SIM115
            if interrupted:
                self._recover()
        return self

    def add(self, images, labels=None, positions=None):
        """Appends images, uint8 [n, C, R, R], to every level, and their labels, float32 [n, label_size], if
        any.

        `positions` are the numbers of the images in the source, where some were left out.
        """
        n, label_size = len(images), self._row['label'].shape[0]
        if images.dtype != np.uint8 or images.shape[1:] != self.shape:
            raise ValueError(f'images are {images.dtype} {list(images.shape[1:])}; '
                             f'this data set takes uint8 {list(self.shape)}')
        rows = np.zeros(n, self._row)
        rows['position'] = np.arange(self.position, self.position + n) if positions is None else positions
        if label_size or labels is not None:
            if np.shape(labels) != (n, label_size):
                raise ValueError(f'labels are {list(np.shape(labels))}; expected {[n, label_size]}')
            rows['label'] = labels
        with self._clear_errors():
            files = iter(self._files)
            for level_images in pyramid(images):
                records = encode_records(level_images)
                for shard in range(self.shards):
                    first = (shard - self.num_images) % self.shards
                    _append(next(files), records[first::self.shards])
            _append(self._rows, rows)
        self.num_images += n
        self.position = int(rows['position'][-1]) + 1

    def __exit__(self, error_type, error, traceback):
        try:
            if error is None:
                with self._clear_errors():
                    self._finish()
        except BaseException as failure:
            error = failure
            raise
        finally:
            for file in (*self._files, self._rows):
                with contextlib.suppress(OSError):  # All is flushed, or that failed and is being reported.
                    file.close()
            if error is None or isinstance(error, Exception) and not self.resume:
                shutil.rmtree(self.partial, ignore_errors=True)

    def _check_recipe(self):
        """Refuses to touch what an interrupted build left, unless it is to be resumed with the same arguments."""
        if not self.resume:
            raise FileExistsError(f"a build of '{self.target}' was interrupted; continue it with --resume, "
                                  f"or delete '{self.partial}' to start anew")
        with open(self._recipe_path) as file:
            recipe = file.read()
        if recipe != self.recipe:
            raise ValueError(f"the interrupted build of '{self.target}' was '{recipe}', this one is "
                             f"'{self.recipe}'; repeat its arguments, or delete '{self.partial}'")

    def _recover(self):
        """Cuts all files to the images that are whole in each of them, and takes up the position after the last."""
        rows = np.fromfile(self._rows_path, self._row)
        whole = [len(rows)]
        for paths, shape in self._levels:
            for shard, path in enumerate(paths):
                whole.append(count_intact(path, shape) * self.shards + shard)  # The first this file lacks.
        self.num_images = min(whole)
        for paths, shape in self._levels:
            for shard, path in enumerate(paths):
                os.truncate(path, len(range(shard, self.num_images, self.shards)) * record_length(shape))
        os.truncate(self._rows_path, self.num_images * self._row.itemsize)
        if self.num_images:
            self.position = int(rows['position'][self.num_images - 1]) + 1

    def _finish(self):
        if not self.num_images:
            raise ValueError(f"'{self.target}' would be empty: the source gave no images")
        if self.num_images < self.shards:
            raise ValueError(f'{self.num_images} images are too few for {self.shards} shards')
        for file in self._files:
            os.fsync(file.fileno())
        labels = None
        if self._row['label'].shape[0]:
            labels = os.path.join(self._folder, labels_file(self.name))
            with open(labels, 'wb') as file:
                np.save(file, np.ascontiguousarray(np.fromfile(self._rows_path, self._row)['label']))
        records = [RecordFile(path, shape[-1]) for paths, shape in self._levels for path in paths]
        with open(os.path.join(self._folder, manifest_file(self.name)), 'w') as file:
            file.writelines(manifest(records, labels))
        os.replace(self._folder, self.target)

    @contextlib.contextmanager
    def _clear_errors(self):
        try:
            yield
        except OSError as error:
            raise OSError(f"cannot write '{self.target}': {error.strerror} "
                          f'(after {self.num_images} images)') from error


def _append(file, array):
    """Writes an array through to the file, so that closing it cannot fail later."""
    file.write(np.ascontiguousarray(array).data)
    file.flush()


class Dataset:
    """The images and labels of the data set folder `path`, opened at its own or at a lower `resolution`.

    Attributes: name, resolution, num_channels, num_images, label_size, labels (float32 [N, label_size]).
    `label_size` is 'full' for the labels as they are, 1 for their first component only, 0 for none.
    """

    def __init__(self, path, resolution=None, label_size='full'):
        self.name = os.path.basename(os.path.abspath(path))
        self._path, (self._prefix, found) = path, _find_levels(path)
        self.resolution = resolution or 2 ** max(found)
        top = self.resolution.bit_length() - 1
        if self.resolution != 2 ** top or top < 2:
            raise ValueError(f'resolution {resolution} is not a power of two of at least 4')
        missing = [level for level in range(2, top + 1) if level not in found]
        if missing:
            side, largest = 2 ** missing[-1], 2 ** max(found)
            raise FileNotFoundError(f"data set '{path}' has no {side}x{side} images: "
                                    f"'{level_files(self._prefix, missing[-1])[0]}' is missing, "
                                    f'its largest are {largest}x{largest}')
        self._levels = [ShardedFile([RecordFile(file, 2 ** level) for file in found[level]])
                        for level in range(top, 1, -1)]
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
        self.labels = _read_labels(os.path.join(path, labels_file(self._prefix)), self.num_images, label_size)
        self.label_size = self.labels.shape[1]

    def read(self, level, indices):
        """Images at `indices`: uint8 [n, C, r, r] with r = resolution >> level; level 0 is the full size."""
        return self._levels[level].read(indices)

    def level_sizes(self):
        """Resolution, number of files and their bytes, for every level from the largest."""
        return [(level.shape[-1], len(level.files), sum(os.path.getsize(file.path) for file in level.files))
                for level in self._levels]

    def verify(self):
        """Checks every record of every level, and all files against the manifest; tells whether there is one.

        Raises a ValueError that names the first bad record or file.
        """
        for level in self._levels:
            for file in level.files:
                file.verify()
        path = os.path.join(self._path, manifest_file(self._prefix))
        if not os.path.exists(path):
            return False
        with open(path, encoding='latin-1') as file:
            written = file.readlines()
        labels = os.path.join(self._path, labels_file(self._prefix))
        found = manifest([file for level in self._levels for file in level.files],
                         labels if os.path.exists(labels) else None)
        for line in found:
            if line not in written:
                raise ValueError(f"'{line.split()[-1]}' is not as '{path}' notes it; one of them is damaged, "
                                 'build the data set again')
        if found != written:
            raise ValueError(f"'{path}' is damaged or names files that are missing; build the data set again")
        return True


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


def _find_levels(path):
    """What is in a data set folder: name at the beginning of its files, {log2 of the resolution: paths}."""
    name = os.path.basename(os.path.abspath(path))
    if not os.path.isdir(path):
        if os.path.isdir(partial_folder(path)):
            raise FileNotFoundError(f"data set '{path}' is not complete; repeat the command that was "
                                    'interrupted, with --resume')
        raise FileNotFoundError(f"data set '{path}' does not exist; create it with: "
                                f'python dataset_tool.py {_command(name)} {path}')
    pattern = re.compile(r'(.+)-r(\d\d)(?:-(\d{5})-of-(\d{5}))?\.tfrecords')
    matches = [match for match in map(pattern.fullmatch, sorted(os.listdir(path))) if match]
    names = sorted({match[1] for match in matches})
    if not names:
        raise FileNotFoundError(f"'{path}' is not a data set: it holds no '{level_files(name, 2)[0]}', "
                                f"'{level_files(name, 3)[0]}' and so on")
    if len(names) > 1:
        raise ValueError(f"'{path}' holds the files of several data sets ({', '.join(names)}); "
                         'give each a folder of its own')
    found = {}
    for level in sorted({int(match[2]) for match in matches}):
        files = [match for match in matches if int(match[2]) == level]
        expected = level_files(names[0], level, int(files[0][4] or 1))
        wrong = sorted({match[0] for match in files}.symmetric_difference(expected))
        if wrong:
            raise FileNotFoundError(f"'{path}' lacks the shard '{wrong[0]}', or it is one too many; "
                                    'build the data set again')
        found[level] = [os.path.join(path, file) for file in expected]
    return names[0], found


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
