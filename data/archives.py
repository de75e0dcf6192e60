"""Zip and gzip files from strangers: a few bytes of them may stand for more than any memory holds."""
import contextlib
import gzip
import os
import zipfile

MAX_FILE_MIB = 1024  # Of one file when it is unpacked, unless the user allows more.


def open_zip(path):
    """Opens a zip file; ValueError if it is none or damaged, OSError if it cannot be read."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # zipfile raises many kinds for damaged files.
        raise ValueError(f'is no zip file or is damaged ({_short(error)})') from error
    noted, found = _noted_members(path), len(archive.infolist())
    if noted not in (found % 0x10000, 0xffff):  # 0xffff: it has no room for the number.
        raise ValueError(f'is damaged: it lists {found} files and should list {noted}')
    return archive


def _noted_members(path):
    """How many files the last record of a zip file says there are: zipfile does not look."""
    with open(path, 'rb') as file:
        file.seek(max(os.path.getsize(path) - 2 ** 16 - 22, 0))  # Behind it is a comment, or what else was appended.
        tail = file.read()
    return int.from_bytes(tail[tail.rfind(b'PK\5\6'):][10:12], 'little')


def check_name(archive, member):
    """ValueError where a member's name in the list, which has no checksum, is not the one beside its data."""
    with contextlib.suppress(NotImplementedError, RuntimeError):  # A compression that is not known, or a password.
        try:
            archive.open(member).close()
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise ValueError(f'is damaged ({_short(error)})') from error


def _short(error):
    return str(error).partition('\n')[0][:200] or type(error).__name__


def read_member(archive, member, max_file_mib=None):
    """The bytes of a member (ZipInfo) of an open zip file; the text of a ValueError goes on after the member's name."""
    if member.flag_bits & 1:
        raise ValueError('is encrypted; unpack the zip file and name the folder.')
    most = _most(max_file_mib)
    if member.file_size > most:
        raise too_large(member.file_size)
    # Only of deflate does zipfile unpack no more than it is asked for.
    chunk = 2 ** 20 if member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else 2 ** 12
    try:
        with archive.open(member) as file:
            return _read(file, most, chunk)
    except _TooLarge:
        raise too_large(f'over {most}') from None
    except Exception as error:  # Every kind of compression raises its own.
        raise ValueError(f'cannot be unpacked ({_short(error)}); get the zip file again.') from error


def read_gzip(path, max_file_mib=None):
    """The bytes in a gzip file; a ValueError names a larger one, and what gzip and zlib raise passes through."""
    most = _most(max_file_mib)
    with gzip.open(path) as file:
        try:
            return _read(file, most, 2 ** 20)
        except _TooLarge:
            raise too_large(f'over {most}') from None


class _TooLarge(Exception):
    pass


def _most(max_file_mib):
    return (max_file_mib or MAX_FILE_MIB) * 2 ** 20


def _read(file, most, chunk):
    data = bytearray()
    while block := file.read(chunk):
        data += block
        if len(data) > most:
            raise _TooLarge
    return bytes(data)


def too_large(size):
    """The ValueError for a file of so many bytes."""
    return ValueError(f'unpacks to {size} bytes; if that is right, give a larger --max_file_mib than {MAX_FILE_MIB}.')
