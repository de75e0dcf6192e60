"""Files that appear complete or not at all, and their checksums."""
import contextlib
import hashlib
import os


@contextlib.contextmanager
def replacing(path):
    """Yields the name of a new file beside `path`, with its ending, which takes the place of `path` when all went well.

    After an error the new file is gone and the old one as it was; OSError says what could not be written.
    """
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f'.{os.getpid()}.{name}')  # Hidden, and of this process alone.
    try:
        yield partial
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # HDF5 raises either when the disk is full.
        raise OSError(f'{path} cannot be written ({error}); free disk space or check permissions.') from error
    finally:
        if os.path.exists(partial):
            os.remove(partial)


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
