"""Writing data sets: all levels at once, complete or not at all, continued after an interruption."""
import contextlib
import dataclasses
import hashlib
import itertools
import os
import shutil

import numpy as np

import files
from data.records import FOOTER, encode_records, intact_records, record_length
from data.tfrecords import classes_line, labels_file, labels_line, level_files, manifest_file, manifest_line, partial_folder


def pyramid(images):
    """Images of every level from full size to 4x4: uint8 [n, C, R, R] -> uint8 [n, C, r, r], r = R, R/2, .., 4.

    A level is the 2x2 box mean of the level above in float; only what is given out is rounded, half to even.
    """
    yield images
    means = images
    while means.shape[-1] > 4:
        pairs = np.add(means[:, :, 0::2], means[:, :, 1::2], dtype=np.float32)
        means = (pairs[..., 0::2] + pairs[..., 1::2]) * np.float32(0.25)
        yield np.rint(means).astype(np.uint8)


@dataclasses.dataclass
class _Part:
    """A file that grows: one shard of one level."""
    path: str
    shape: tuple
    shard: int
    file: object
    digest: object = dataclasses.field(default_factory=hashlib.sha256)  # Of the checksums of its records.

    def append(self, records):
        self.digest.update(np.ascontiguousarray(records[:, -FOOTER.size:]))
        _append(self.file, records)


def _append(file, array):
    """Writes an array through to the file, so that closing it cannot fail later."""
    file.write(np.ascontiguousarray(array).data)
    file.flush()


def check_target(target, resume):
    """OSError if the data set exists, is being built by another process, or is half built and not to be resumed.

    ValueError for a name that cannot be noted in the lines of a manifest.
    """
    if '\n' in os.path.basename(os.path.abspath(target)):
        raise ValueError(f'{target!r} breaks the line; give the data set another name.')
    if os.path.exists(target) and not (os.path.isdir(target) and not os.listdir(target)):
        raise FileExistsError(f"'{target}' exists already; give another name or delete it first.")
    if os.path.exists(partial_folder(target)):
        with contextlib.suppress(FileNotFoundError), _locked(target):  # It may have ended just now.
            pass
    if os.path.exists(partial_folder(target)) and not resume:
        raise FileExistsError(f"a build of '{target}' was interrupted; continue it with --resume, "
                              f"or delete '{partial_folder(target)}' to start anew.")


def _locked(target):
    return files.locked(partial_folder(target), 'built', 'wait for it, or give another name')


class Writer:
    """Writes a data set; it appears at `target` complete when the `with` block ends, or not at all.

    Until then its files grow in a folder beside the target. An error removes that folder, an interruption (Ctrl-C, a
    killed process) leaves it: with `resume` the writer goes on after the last intact image in it, as `position` tells.
    `recipe` is any text that tells what the data set is made from, so that a resumed build does not mix two sources.
    `class_names`: of each component of the labels, if they have names.
    """

    def __init__(self, target, resolution, num_channels, label_size=0, shards=1, resume=False, recipe='',
                 class_names=None):
        if num_channels not in (1, 3):
            raise ValueError(f'images have {num_channels} channels; a data set holds 1 (gray) or 3 (RGB).')
        if resolution < 4 or resolution & (resolution - 1):
            raise ValueError(f'images are {resolution}x{resolution}; expected a power of two from 4 on.')
        if not 1 <= shards < 100_000:
            raise ValueError(f'{shards} shards are not possible; expected 1 or more.')
        self.target, self.partial = os.path.abspath(target), partial_folder(target)
        self.shape = (num_channels, resolution, resolution)
        self.shards, self.resume, self.class_names = shards, resume, class_names
        self.recipe = f'{recipe}, {num_channels} channels of {resolution}x{resolution}, {label_size} labels, {shards} shards'
        self.num_images = 0
        self.position = 0  # Images of the source that were taken so far, those that were left out included.
        # One row per image, kept beside the images until the build is complete.
        self._row = np.dtype([('position', '<i8'), ('label', '<f4', (label_size,))])
        self._recipe_path, self._rows_path = (os.path.join(self.partial, name) for name in ('recipe', 'rows'))
        self._folder = os.path.join(self.partial, os.path.basename(self.target))  # What becomes the target.

    def __enter__(self):
        check_target(self.target, self.resume)
        with self._clear_errors():
            os.makedirs(self._folder, exist_ok=True)
        with contextlib.ExitStack() as held:
            held.enter_context(_locked(self.target))
            interrupted = os.path.exists(self._recipe_path)
            if interrupted:
                self._check_recipe()
            try:
                with self._clear_errors():
                    self._open()
                    if interrupted:
                        self._recover()
            except Exception:
                if not interrupted:
                    shutil.rmtree(self.partial, ignore_errors=True)
                raise
            self._held = held.pop_all()
        return self

    def add(self, images, labels=None, positions=None):
        """Appends images, uint8 [n, C, R, R], to every level, and their labels, float32 [n, label_size], if any.

        `positions` are the numbers of the images in the source, where some were left out.
        """
        n, label_size = len(images), self._row['label'].shape[0]
        if images.dtype != np.uint8 or images.shape[1:] != self.shape:
            raise ValueError(f'images are {images.dtype} {list(images.shape[1:])}; '
                             f'this data set takes uint8 {list(self.shape)}.')
        rows = np.zeros(n, self._row)
        rows['position'] = np.arange(self.position, self.position + n) if positions is None else positions
        if label_size or labels is not None:
            if np.shape(labels) != (n, label_size):
                raise ValueError(f'labels are {list(np.shape(labels))}; expected {[n, label_size]}.')
            rows['label'] = labels
        with self._clear_errors():
            parts = iter(self._parts)
            for level_images in pyramid(images):
                records = encode_records(level_images)
                for part in itertools.islice(parts, self.shards):
                    part.append(records[(part.shard - self.num_images) % self.shards::self.shards])
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
            for file in (self._rows, *(part.file for part in self._parts)):
                with contextlib.suppress(OSError):  # All is flushed, or that failed and is being reported.
                    file.close()
            if error is None or isinstance(error, Exception) and not self.resume:
                shutil.rmtree(self.partial, ignore_errors=True)
            self._held.close()

    def _open(self):
        """Opens the files of the folder, old ones to go on with them."""
        with open(f'{self._recipe_path}.new', 'w', **files.TEXT) as file:
            file.write(self.recipe)
        os.replace(file.name, self._recipe_path)
        self._rows = open(self._rows_path, 'ab')  # noqa: SIM115
        self._parts = []
        for log2_resolution in range(self.shape[-1].bit_length() - 1, 1, -1):
            shape = (self.shape[0], 2 ** log2_resolution, 2 ** log2_resolution)
            for shard, name in enumerate(level_files(os.path.basename(self.target), log2_resolution, self.shards)):
                path = os.path.join(self._folder, name)
                self._parts.append(_Part(path, shape, shard, open(path, 'ab')))  # noqa: SIM115

    def _check_recipe(self):
        """Refuses to go on with what another command began."""
        with open(self._recipe_path, **files.TEXT) as file:
            recipe = file.read()
        if recipe != self.recipe:
            raise ValueError(f"the interrupted build of '{self.target}' was '{recipe}', this one is '{self.recipe}'; "
                             f"repeat its arguments, or delete '{self.partial}'.")

    def _recover(self):
        """Cuts all files to the images that are whole in each of them, and takes up the position after the last."""
        rows = np.fromfile(self._rows_path, self._row)
        # Of the images with a row, the first that some file lacks.
        self.num_images = min([len(rows)] + [intact_records(part.path, part.shape)[0] * self.shards + part.shard
                                             for part in self._parts])
        for part in self._parts:
            count = len(range(part.shard, self.num_images, self.shards))
            os.truncate(part.path, count * record_length(part.shape))
            _, part.digest = intact_records(part.path, part.shape)
        os.truncate(self._rows_path, self.num_images * self._row.itemsize)
        if self.num_images:
            self.position = int(rows['position'][self.num_images - 1]) + 1

    def _finish(self):
        if not self.num_images:
            raise ValueError(f"'{self.target}' would be empty: the source gave no images.")
        if self.num_images < self.shards:
            raise ValueError(f'{self.num_images} images are too few for {self.shards} shards.')
        name, lines = os.path.basename(self.target), []
        for part in self._parts:
            lines.append(manifest_line(part.path, part.digest))
        if self._row['label'].shape[0]:
            path = os.path.join(self._folder, labels_file(name))
            with open(path, 'wb') as file:
                np.save(file, np.ascontiguousarray(np.fromfile(self._rows_path, self._row)['label']))
            lines.append(labels_line(path))
        if self.class_names:
            lines.append(classes_line(self.class_names))
        with open(os.path.join(self._folder, manifest_file(name)), 'w', **files.TEXT) as file:
            file.writelines(lines)
        files.move_folder(self._folder, self.target)

    @contextlib.contextmanager
    def _clear_errors(self):
        try:
            yield
        except OSError as error:
            raise OSError(f"'{self.target}' cannot be written ({error.strerror}, after {self.num_images} images); free disk "
                          f'space or check permissions.') from error
