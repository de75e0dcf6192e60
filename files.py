"""Files that appear complete or not at all, folders that one process at a time writes, and checksums."""
import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import socket
import sys

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked.
    fcntl = None

TEXT = {'encoding': 'utf-8', 'errors': 'surrogateescape'}  # How text is written, whatever the locale and names of files.
_PARTIAL = re.compile(r'\.(\d{1,9})\..+')  # The process that writes it, and what it will be called.


def partial_path(path):
    """The name of a new file or folder beside `path`, with its ending: hidden, and of this process alone."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f'.{os.getpid()}.{name}')


@contextlib.contextmanager
def replacing(path):
    """Yields the name of a new file beside `path`, with its ending, which takes the place of `path` when all went well.

    After an error the new file is gone and the old one as it was, after a power failure one of them is there whole; OSError
    says what could not be written.
    """
    partial = partial_path(path)
    try:
        with writing(path):
            yield partial
            replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def write_text(path, text):
    """Writes a text file, which appears whole or not at all."""
    with replacing(path) as partial, open(partial, 'w', **TEXT) as file:
        file.write(text)


def check_exist(**paths):
    """FileNotFoundError for the first path {flag: path} that is given, not None or '', and leads to nothing."""
    for flag, path in paths.items():
        if path and not os.path.exists(path):
            raise FileNotFoundError(f'There is no {path}; give --{flag} what exists.')


def check_new(path, overwrite=False):
    """OSError unless a file can be made there: its folder can be written, and no such file exists or `overwrite` is set."""
    if os.path.isdir(path):
        raise IsADirectoryError(f'{path} is a folder; give the name of a file.')
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f'{path} exists already; give another name, or --overwrite to replace it.')
    check_folder(os.path.dirname(path))


def check_folder(path):
    """OSError unless files can be written into a folder, which may have to be made first."""
    there = os.path.abspath(path)
    while not os.path.exists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise NotADirectoryError(f'{there} is a file, so there can be no folder {path}; give another name.')
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f'{there} may not be written; give another folder or check permissions.')


@contextlib.contextmanager
def writing(path):
    """OSError says that `path` could not be written where what is within fails to write."""
    try:
        yield
    except OSError as error:
        raise OSError(f'{path} cannot be written ({error}); free disk space or check permissions.') from error


def replace(partial, path):
    """Moves a file to the place of another, which it takes only when its bytes are on the disk."""
    sync(partial)
    os.replace(partial, path)
    sync(os.path.dirname(path) or '.')


def sync(path):
    """Waits until the bytes of a file, or the names in a folder, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Folders of some network drives.
            raise
    finally:
        os.close(opened)


def sweep(folder):
    """Removes what killed processes left half written in a folder."""
    for name in os.listdir(folder):
        match = _PARTIAL.fullmatch(name)
        if match and not _lives(int(match[1])):
            remove(os.path.join(folder, name))


def remove(path):
    """Removes a file or a folder with all that is in it."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        os.remove(path)


def _lives(process):
    if process == os.getpid():  # The number of an earlier one.
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # Someone else's.
        pass
    return True


@contextlib.contextmanager
def locked(folder, doing, advice, name='lock'):
    """Holds the file `name` of a folder, which the end of the process frees, however it ends, and yields it, open: a
    process that inherits it holds it too.

    BlockingIOError names the process that holds it: FOLDER is being `doing` by ...; `advice`.
    """
    with open(os.path.join(folder, name), 'a+') as file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(200).strip() or 'another process'
            raise BlockingIOError(f'{folder} is being {doing} by {holder}; {advice}.') from error
        except OSError:  # A file system without locks.
            pass
        with contextlib.suppress(OSError):  # A full disk: the lock holds, if namelessly.
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f'process {os.getpid()} on {socket.gethostname()}'.encode())
        yield file


def read(path, most=None):
    """The bytes of a regular file, at most so many; a ValueError or OSError says why they are not read.

    Pipes and devices are no regular files: they may never end, or never begin.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"'{path}' is no regular file; give the name of a file.")
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise ValueError(f"'{path}' has {size} bytes; at most {most} are expected of such a file.")
        return file.read()


def is_number(value):
    """Whether a value from JSON is a finite number."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def json_lines(path, *numbers):
    """The records, dicts that hold these `numbers`, of a file of JSON lines; what is none is passed over.

    The last may be cut off by a kill.
    """
    found = []
    if os.path.exists(path):
        for line in read(path).splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                record = json.loads(line)
                if isinstance(record, dict) and all(is_number(record.get(name)) for name in numbers):
                    found.append(record)
    return found


@contextlib.contextmanager
def staging(target, doing):
    """An empty folder beside `target`, of this process alone, which is gone afterwards unless it has been moved.

    BlockingIOError names the process that makes `target` meanwhile; what one that was killed left is removed.
    """
    parent, name = os.path.split(os.path.abspath(target))
    hidden = os.path.join(parent, f'.{name}.staging')
    os.makedirs(hidden, exist_ok=True)
    with locked(hidden, doing, 'wait for it, or give another name'):
        folder = os.path.join(hidden, name)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
            yield folder
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


def move_folder(folder, target):
    """Moves a folder to its name once all that is in it is on the disk."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(os.path.join(parent, name))
        sync(parent)
    os.replace(folder, target)
    sync(os.path.dirname(os.path.abspath(target)))


def sha256(path):
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def sha256_of(blocks):
    """The SHA-256 of blocks of bytes one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()
