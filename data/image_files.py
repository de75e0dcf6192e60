"""The image files of a folder or a zip file: which there are, their pixels, and a checksum that tells a change."""
import collections
import contextlib
import functools
import io
import os
import posixpath

from absl import logging
from PIL import Image

from data.archives import check_name, open_zip, read_member
from data.fingerprints import file_facts, fingerprint
from data.images import FORMATS, decode
from files import read

with contextlib.suppress(ImportError):  # Whoever installs it has such pictures.
    import pillow_heif
    pillow_heif.register_heif_opener()

_READERS = {'.heic': 'pillow-heif', '.heif': 'pillow-heif'}  # Packages that would read what Pillow alone does not.
_LITTER = ('.', '__macosx', 'thumbs.db', 'ehthumbs.db', 'desktop.ini')  # How the names begin that systems leave behind.
_LABELS = 'dataset.json'  # StyleGAN2-ADA's name for the labels of a folder or zip file.


class ImageFiles:
    """The image files of the folder or zip file `path`, its folders and linked folders included.

    `names`: sorted, relative to `path`, with / between folders; members of a zip file that share a name get numbers.
    `labels`: the name of StyleGAN2-ADA's file of labels, if there is one. `max_pixels`: see decode;
    `max_file_mib`: of a file in a zip file. A line of the log
    counts what is no image and was passed over.
    """

    def __init__(self, path, max_pixels=None, max_file_mib=None):
        self.path, self._max_pixels, self._is_zip = path, max_pixels, os.path.isfile(path)
        self._max_file_mib = max_file_mib
        if not self._is_zip and not os.path.isdir(path):
            raise FileNotFoundError(f"'{path}' is neither a folder nor a zip file; check its name.")
        (_, *self._version), = file_facts('', [path])  # Of a zip file that is written again, nothing old is used.
        found = sorted(self._members() if self._is_zip else _walk(path))
        found = [name for name in found if not any(map(_is_litter, name.split('/')))]
        self.names = [name for name in found if _ending(name) in _endings()]
        others = [name for name in found if _ending(name) not in _endings()]
        above = os.path.commonprefix([name.split('/')[:-1] for name in self.names])  # The folders that hold all.
        places = ['/'.join([*above[:depth], _LABELS]) for depth in range(len(above) + 1)]
        self.labels = next((name for name in places if name in others), None)
        others = [name for name in others if name != self.labels]
        if not self.names:
            raise FileNotFoundError(f"'{path}' holds no image files{', but ' * bool(others)}{_counted(others)}; name a "
                                    'folder or a zip file of images.')
        if self._is_zip:
            for name in others:
                self._check(name)
        if others:
            logging.info("'%s': %d of %d files are pictures; passed over: %s", path, len(self.names),
                         len(self.names) + len(others), _counted(others))

    def _check(self, name):
        try:
            check_name(self._zip(), self._members()[name])
        except ValueError as error:
            raise ValueError(f"'{self.path}' {error}; get it again.") from error

    def decode(self, name):
        """The image `name` as decode gives it; a ValueError says what is wrong with it."""
        return decode(io.BytesIO(self.read(name)) if self._is_zip else os.path.join(self.path, name), self._max_pixels)

    def read(self, name):
        """The bytes of a file; a ValueError says why a zip file does not give them."""
        if not self._is_zip:
            return read(os.path.join(self.path, name))
        return read_member(self._zip(), self._members()[name], self._max_file_mib)

    def _zip(self):
        return _open_zip(self.path, *self._version, os.getpid())

    def _members(self):
        return _members(self.path, *self._version, os.getpid())

    def fingerprint(self):
        """A short checksum of all names, and of the CRCs in a zip file, the sizes and times of the files in a folder."""
        if not self._is_zip:
            return fingerprint(file_facts(self.path, self.names))
        members = self._members()
        return fingerprint([(name, members[name].CRC) for name in self.names])


def _is_litter(part):
    return part != '..' and part.lower().startswith(_LITTER)


def _ending(name):
    return os.path.splitext(name)[1].lower()


def _counted(names):
    """How many files there are of each ending, in words, and what would read them."""
    counts = collections.Counter(map(_ending, names))
    packages = sorted({_READERS[ending] for ending in counts if ending in _READERS})
    return (', '.join(f'{count} {ending or "without an ending"}' for ending, count in sorted(counts.items()))
            + ''.join(f' (pip install {package} makes them readable)' for package in packages))


@functools.cache
def _endings():
    """Endings of the kinds of files that are read."""
    return {ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS and kind in Image.OPEN}


def _walk(path):
    """Names of all files under a folder. Linked folders are seen once, those inside by their own names."""
    seen, waiting, names = set(), [path], []
    while waiting:
        for folder, folders, files in os.walk(waiting.pop(0), onerror=_refuse):
            if (place := os.path.realpath(folder)) in seen:
                folders.clear()
                continue
            seen.add(place)
            paths = [os.path.join(folder, name) for name in sorted(folders)]
            waiting += filter(os.path.islink, paths)  # Which os.walk does not follow.
            names += [os.path.relpath(file, path).replace(os.sep, '/')
                      for file in (os.path.join(folder, name) for name in files)
                      # No pipes, no devices, but links to nothing: they are told like what else cannot be read.
                      if os.path.isfile(file) or not os.path.exists(file)]
    return names


def _refuse(error):
    raise OSError(f"'{error.filename}' cannot be read ({error.strerror}); check its permissions.") from error


@functools.cache
def _open_zip(path, size, mtime, process_id):
    """The zip file, opened once by each process: two that share it would move each other's place in it."""
    try:
        return open_zip(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"'{path}' is neither a folder nor a zip file, or is damaged ({error}); get it again.") from error


@functools.cache
def _members(path, size, mtime, process_id):
    """The files in a zip file by name: {name: ZipInfo}."""
    members = {}
    for member in _open_zip(path, size, mtime, process_id).infolist():
        name = posixpath.normpath(member.filename.replace('\\', '/'))  # Some programs write a\\b, others ./a.
        (stem, ending), number = os.path.splitext(name), 1
        while name in members:
            number += 1
            name = f'{stem}#{number}{ending}'
        if not member.is_dir():
            members[name] = member
    return members
