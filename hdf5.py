"""HDF5 files from strangers: only what lies in the file itself is read.

HDF5 can have links to other files, arrays whose bytes lie in other files, and arrays that are views of others.
"""
import os

import h5py


def open_file(path):
    """Opens a file for reading; the text of a ValueError goes on after the file's name."""
    if not os.path.isfile(path):
        raise ValueError('is no regular file; give the name of an HDF5 file.')
    try:
        return h5py.File(path, 'r')
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f'is truncated, damaged or not an HDF5 file ({error}); get it again.') from error


def members(group):
    """[(name, group or dataset)] of a group; the text of a ValueError goes on after the file's name."""
    found = []
    try:
        names = list(group)
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"holds '{group.name}' damaged ({error}).") from error
    for name in names:
        place = f'{group.name.rstrip("/")}/{name}'
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"holds '{place}' as a link; links, which may lead to other files, are not followed.")
        try:
            item = group[name]
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise ValueError(f"holds '{place}' damaged ({error}).") from error
        if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
            raise ValueError(f"keeps the numbers of '{place}' in another file or array; they are not read.")
        found.append((name, item))
    return found


def arrays(group, prefix='', depth=8):
    """{name below the group: h5py.Dataset}, of at most `depth` levels: groups may hold each other."""
    found = {}
    for name, item in members(group):
        if isinstance(item, h5py.Dataset):
            found[f'{prefix}{name}'] = item
        elif isinstance(item, h5py.Group) and depth > 1:
            found |= arrays(item, f'{prefix}{name}/', depth - 1)
        else:
            raise ValueError(f"holds '{item.name}' deeper than any snapshot, or as something else than an array.")
        if len(found) > 10_000:
            raise ValueError('holds over 10000 arrays; it is no snapshot.')
    return found
