"""The deltas of CelebA-HQ turn aligned images into the published ones, for whoever has the original files.

A delta is the difference published - aligned of each byte, modulo 256, compressed and encrypted with a key
derived from the original JPEG file. The list that comes with the deltas records the md5 of both images.
"""
import base64
import bz2
import dataclasses
import hashlib
import math
import os
import re

import numpy as np
from cryptography.fernet import Fernet, InvalidToken

from data.archives import open_zip, read_member
from files import read

NUM_OFFICIAL_ZIPS = 30
SHAPE = (3, 1024, 1024)
_COLUMNS = ('idx', 'orig_idx', 'orig_file', 'proc_md5', 'final_md5')
# A sum that misses 0 .. 255 by more than this is not the rounding of another decoder; this share of them may.
_OVERSHOOT, _MAX_OVERSHOOTING = 16, 0.01


@dataclasses.dataclass(frozen=True)
class Delta:
    """One line of image_list.txt and where its data lies."""
    idx: int  # Number in CelebA-HQ.
    orig_idx: int  # Number in CelebA, from 0.
    orig_file: str  # Name of the original JPEG.
    proc_md5: str  # Of the aligned image as the makers' decoder gave it.
    final_md5: str  # Of the published image.
    zip_path: str
    member: str


def read_deltas(delta_dir, names, num_zips=None):
    """Reads image_list.txt and finds every delta in the folder's zips. Returns Deltas in the list's order.

    names: the original files in landmark order; num_zips: how many zips there must be, None for any number.
    """
    if not os.path.isdir(delta_dir):
        raise FileNotFoundError(f"delta folder '{delta_dir}' does not exist; it holds image_list.txt and "
                                'deltas00000.zip, deltas01000.zip and so on.')
    members = _zip_members(delta_dir, num_zips)
    list_path = os.path.join(delta_dir, 'image_list.txt')
    deltas, seen = [], set()
    for where, row in _rows(list_path):
        idx, orig_idx, orig_file = row['idx'], row['orig_idx'], row['orig_file']
        if idx in seen:
            raise ValueError(f'{where}: idx {idx} is listed twice.')
        seen.add(idx)
        if orig_idx >= len(names) or names[orig_idx] != orig_file:
            found = f"'{names[orig_idx]}'" if orig_idx < len(names) else f'only {len(names)} images'
            raise ValueError(f"{where}: image {orig_idx} should be '{orig_file}', but the landmark file has "
                             f'{found}; use the landmarks and images that the deltas were made for.')
        name = f'delta{idx:05d}.dat'
        if name not in members:
            raise FileNotFoundError(f"'{name}' of '{list_path}' is in none of the zips of '{delta_dir}'; get "
                                    f"'deltas{idx // 1000 * 1000:05d}.zip', which should hold it.")
        deltas.append(Delta(**row, zip_path=members[name][0], member=members[name][1]))
    if not deltas:
        raise ValueError(f"'{list_path}' lists no images.")
    return deltas


def _rows(path):
    """Lines of image_list.txt as (place for messages, dict)."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"'{path}' does not exist; it comes with the delta zips.")
    lines = read(path).decode('ascii', 'replace').splitlines()
    columns = lines[0].split() if lines else []
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise ValueError(f"'{path}': its first line must name the columns {', '.join(_COLUMNS)}; it lacks "
                         f"{', '.join(missing)}.")
    for number, line in enumerate(lines[1:], 2):
        where = f"'{path}' line {number}"
        fields = line.split()
        if not fields:
            continue
        row = dict(zip(columns, fields, strict=False))
        row = {column: row.get(column, '') for column in _COLUMNS}
        if len(fields) != len(columns) or not (row['idx'].isdigit() and row['orig_idx'].isdigit()):
            raise ValueError(f"{where}: expected {' '.join(columns)}, found '{line}'.")
        for column in 'proc_md5', 'final_md5':
            if not re.fullmatch('[0-9a-f]{32}', row[column]):
                raise ValueError(f"{where}: '{row[column]}' is no md5 of 32 hexadecimal digits.")
        yield where, row | {'idx': int(row['idx']), 'orig_idx': int(row['orig_idx'])}


def _zip_members(delta_dir, num_zips):
    """Maps 'delta00000.dat' to (path of its zip, name in the zip), for all zips of a folder."""
    paths = sorted(entry.path for entry in os.scandir(delta_dir) if entry.name.endswith('.zip'))
    if num_zips is not None and len(paths) != num_zips:
        raise ValueError(f"'{delta_dir}' holds {len(paths)} zips; expected {num_zips}, deltas00000.zip "
                         f'to deltas{(num_zips - 1) * 1000:05d}.zip.')
    members = {}
    for path in paths:
        try:
            with open_zip(path) as archive:
                members.update((os.path.basename(name), (path, name)) for name in archive.namelist())
        except ValueError as error:
            raise ValueError(f"'{path}' {error}; get it again.") from error
    return members


def read_token(delta):
    """Reads the encrypted bytes of a delta."""
    try:
        with open_zip(delta.zip_path) as archive:  # Anew for each delta: safe in any process.
            return read_member(archive, archive.getinfo(delta.member), 64)
    except (ValueError, KeyError) as error:
        raise ValueError(f"has a damaged delta, '{delta.member}' in '{delta.zip_path}', which {error}") from error


def derive_key(jpeg, orig_file):
    """Fernet key: base64 of PBKDF2-HMAC-SHA256(the JPEG file's bytes, salt: its name, 100000 iterations)."""
    key = hashlib.pbkdf2_hmac('sha256', jpeg, orig_file.encode('ascii'), 100000, 32)
    return base64.urlsafe_b64encode(key)


def decrypt(token, jpeg, orig_file):
    """Opens a delta with the original JPEG: bytes -> uint8 [3, 1024, 1024]. A wrong key is an error."""
    try:
        compressed = Fernet(derive_key(jpeg, orig_file)).decrypt(token)
    except InvalidToken as error:
        raise ValueError('does not open its delta: it is not, byte for byte, the file the delta was made from, or '
                         'the delta is damaged or of another image; get both again.') from error
    try:
        data = bz2.BZ2Decompressor().decompress(compressed, math.prod(SHAPE) + 1)
    except (OSError, ValueError) as error:
        raise ValueError(f'has a delta that cannot be unpacked ({error}); get it again.') from error
    if len(data) != np.prod(SHAPE):
        raise ValueError(f'has a delta of {len(data)} bytes; expected {np.prod(SHAPE)}.')
    return np.frombuffer(data, np.uint8).reshape(SHAPE)


def md5(image):
    """md5 of an image's bytes, in hexadecimal."""
    return hashlib.md5(np.ascontiguousarray(image).data, usedforsecurity=False).hexdigest()


def apply_exact(aligned, delta):
    """(aligned + delta) mod 256: right only where `aligned` is the makers' image to the bit. All uint8."""
    return aligned + delta


def apply_signed(aligned, delta):
    """clip(aligned + signed delta), where a byte b >= 128 stands for b - 256. All uint8.

    As far from the published image as this decoder's pixels are from the makers', without wrapping around. A sum that
    misses 0 .. 255 by more than 16 tells a true difference of more than 127: the byte then stands for the other sign.
    ValueError if over 1% of the sums do: the delta then belongs to other pixels.
    """
    total = aligned.astype(np.int16) + delta.view(np.int8)
    below, above = total < -_OVERSHOOT, total > 255 + _OVERSHOOT
    overshooting = below.mean() + above.mean()
    if overshooting > _MAX_OVERSHOOTING:
        raise ValueError(f'does not fit its delta, which takes {overshooting:.0%} of the bytes far out of range; '
                         'check that image, landmarks and delta belong together.')
    total[below] += 256
    total[above] -= 256
    return np.uint8(np.clip(total, 0, 255))


def publish(aligned, jpeg, delta):
    """Turns an aligned image into the published one. Returns (uint8 [3, 1024, 1024], is it exact)."""
    difference = decrypt(read_token(delta), jpeg, delta.orig_file)
    if md5(aligned) != delta.proc_md5:
        return apply_signed(aligned, difference), False
    published = apply_exact(aligned, difference)
    if md5(published) != delta.final_md5:
        raise ValueError(f'gives a final image of md5 {md5(published)}, but image_list.txt records '
                         f'{delta.final_md5}; get the list and the delta again.')
    return published, True
