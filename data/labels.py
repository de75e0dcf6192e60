"""Labels of people's own pictures: from folders, CSV, JSON -> float32 [N, label_size] and the names of classes."""
import csv
import io
import json
import math
import posixpath
import re
import unicodedata

import numpy as np
from absl import logging

import files
from data.one_hot import one_hot

_PARTS = {'train', 'training', 'val', 'valid', 'validation', 'test', 'testing', 'dev', 'eval'}  # Of a set; no classes.
_NUMBER = re.compile(r'[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)', re.ASCII | re.IGNORECASE)
_MOST_LABELS = 2 ** 32  # Numbers in the labels of all images.
_MOST_CLASSES = 10000  # Larger numbers are names, for example of people.


def read_labels(files, labels=None, level=None):
    """Labels of ImageFiles, as from_images describes them. -> float32 [N, label_size] and class names, or None for each.

    Classes that are numbers keep them; names are numbered in their order. One number per image that is not whole for all
    is a continuous label, several are a label of so many components. A ValueError names the file and the image.
    """
    if level is not None and labels != 'folders':
        raise ValueError(f'--label_level={level} chooses among folders; add --labels=folders.')
    if labels == 'folders':
        return _classes(_folder_names(files.names, level))
    if labels == 'none' or labels is None and files.labels is None:
        return None, None
    place = f'{files.path}/{files.labels}' if labels is None else labels
    try:
        data = files.read(files.labels) if labels is None else _read(labels)
    except ValueError as error:
        raise ValueError(f"'{place}' {error}") from error
    pairs = _read_pairs(place, data)
    if labels is None:
        logging.info("'%s' %s; --labels=none leaves it.", place, 'gives the labels' if pairs else 'holds no labels')
        if not pairs:
            return None, None
    if not pairs:
        raise ValueError(f"'{place}' holds no labels; expected a file name and a label for each image.")
    return _from_values(place, files.names, _values(place, pairs, files.names))


def are_told_by_name(names):
    """Whether a file that names the class of each image is read as these classes: some names look like numbers."""
    try:
        return names is not None and _from_values('', names, names)[1] == names
    except ValueError:
        return False


def _folder_names(names, level):
    """The class folder of each image."""
    folders = [name.split('/')[:-1] for name in names]
    depth = min(map(len, folders))
    levels = [sorted({path[i] for path in folders}) for i in range(depth)]
    found = '; '.join(f'level {i}: {", ".join(some[:5])}{", ..." * (len(some) > 5)}' for i, some in enumerate(levels, 1))
    if level is None:
        differing = [i for i, some in enumerate(levels, 1) if len(some) > 1]
        candidates = [i for i in differing if not {name.lower() for name in levels[i - 1]} <= _PARTS]
        if len(candidates) > 1:  # Folders of one image each are no classes beside others.
            candidates = [i for i in candidates if len(levels[i - 1]) < len(names)] or candidates
        if not differing and (depth == 0 or depth < max(map(len, folders))):
            alone = next(name for name, path in zip(names, folders, strict=True) if len(path) == depth)
            raise ValueError(f"--labels=folders needs every image in the folder of a class; '{alone}' is in none.")
        if len(candidates) != 1:
            raise ValueError(f"--labels=folders does not find out which folders of images such as '{names[0]}' are the "
                             f'classes ({found or "there are none"}); choose with --label_level=N.')
        level, = candidates
    if not 1 <= level <= depth:
        raise ValueError(f'--label_level={level} is none that all images have; expected 1 to {depth} ({found}).')
    logging.info('classes are the folders of level %d', level)
    classes = [path[level - 1] for path in folders]
    return [int(name) for name in classes] if _are_numbers(classes) else classes


def _are_numbers(names):
    """Whether all names are whole numbers, and no two of them are one number: 1 and 01 are two classes."""
    names = set(names)
    return all(name.isdecimal() and len(name) < 20 for name in names) and len(set(map(int, names))) == len(names)


def _read(path):
    try:
        return files.read(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', error)
        raise ValueError(f"cannot be read ({reason}); --labels takes 'folders', 'none', or a .json or .csv file."
                         ) from error


class _Object(list):
    """A JSON object as pairs: a dict would forget names that are given twice."""


def _read_pairs(place, data):
    """(name, label) of each entry in the bytes of a JSON or CSV file; None if it is JSON that says so."""
    try:
        text = data.decode(json.detect_encoding(data))
        pairs = _json_pairs(text) if place.lower().endswith('.json') else _csv_pairs(text)
        for pair in pairs or []:
            if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
                raise ValueError(f'it holds {json.dumps(pair)} where a pair of them should be')
    except (ValueError, TypeError, RecursionError, csv.Error) as error:
        raise ValueError(f"'{place}' is not a JSON object or a CSV table of file names and labels ({error}).") from error
    return pairs


def _json_pairs(text):
    contents = json.loads(text, object_pairs_hook=_Object)
    if isinstance(contents, _Object):
        return next((value for key, value in contents if key == 'labels'), contents)
    return contents


def _csv_pairs(text):
    """Rows of fields between tabs, semicolons or commas: the first of these that the first line holds."""
    first = next(filter(str.strip, text.splitlines()), '')
    delimiter = next((mark for mark in '\t;' if mark in first), ',')
    pairs = []
    for row in csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, skipinitialspace=True):
        name, *fields = map(str.strip, row or [''])
        if delimiter != ',':  # Where it is no decimal comma.
            fields = [re.sub(r'^([+-]?\d+),(\d+)$', r'\1.\2', field) for field in fields]
        if name or any(fields):
            pairs.append((name, fields[0] if len(fields) == 1 else fields))
    return pairs


def _values(place, pairs, names):
    """The value for each of `names`, whatever the spelling of paths and accents, and where a leading folder is missing."""
    given, wanted = {}, [_plain(name) for name in names]
    for name, value in pairs:
        if given.setdefault(_plain(name), value) != value:
            raise ValueError(f"'{place}' lists '{name}' twice, with {given[_plain(name)]!r} and {value!r}; remove one.")
    first = wanted[0]
    changes = [('', '')]  # What to put before the names, what to take away.
    changes += [(key[:-len(first)], '') for key in given if key.endswith(f'/{first}')]
    tops = [first[:i + 1] for i, mark in enumerate(first) if mark == '/']
    changes += [('', top) for top in tops if all(name.startswith(top) for name in wanted)]
    for added, removed in changes:
        if all(added + name.removeprefix(removed) in given for name in wanted):
            return [given[added + name.removeprefix(removed)] for name in wanted]
    missing = [name for name, key in zip(names, wanted, strict=True) if key not in given]
    raise ValueError(f"'{place}' has no label for {len(missing)} of {len(names)} images, the first is '{missing[0]}'; "
                     f"a name in it is '{pairs[-1][0]}'.")


def _plain(name):
    return unicodedata.normalize('NFC', _text(posixpath.normpath(name.replace('\\', '/'))))


def _text(name):
    """The name of a file as UTF-8, whatever the locale reads it as; of other bytes, what can be written."""
    try:
        return name.encode('utf-8', 'surrogateescape').decode()
    except UnicodeError:
        return name.encode(errors='backslashreplace').decode()


def _from_values(place, names, values):
    """Labels and class names of the values that a file gives to images."""
    parsed = []
    for name, value in zip(names, values, strict=True):
        try:
            parsed.append(_parse(value))
        except ValueError as error:
            raise ValueError(f"'{place}' gives '{name}' the label {json.dumps(value)}, {error}; correct it, or "
                             'remove the image.') from None
    kinds = [(isinstance(value, str), isinstance(value, list) and f'of {len(value)}') for value in parsed]
    other = next((i for i, kind in enumerate(kinds) if kind != kinds[0]), 0)
    if other:
        raise ValueError(f"'{place}' gives '{names[0]}' {json.dumps(values[0])} and '{names[other]}' "
                         f'{json.dumps(values[other])}; give all images a number, a name, or lists of one length.')
    if isinstance(parsed[0], list):
        return _numbers(place, names, parsed), None
    if any(isinstance(value, float) for value in parsed):
        logging.info('labels are one number per image, from %g to %g', min(parsed), max(parsed))
        return _numbers(place, names, [[value] for value in parsed]), None
    texts = [str(value).strip() for value in values]
    if all(map(str.isdecimal, texts)) and not _are_numbers(texts):
        parsed = texts
    if not isinstance(parsed[0], str) and min(parsed) < 0:
        raise ValueError(f"'{place}' gives '{names[parsed.index(min(parsed))]}' the class {min(parsed)}; number classes "
                         'from 0, name them, or give each image a list of numbers in a .json file.')
    return _classes(parsed)


def _numbers(place, names, rows):
    """Rows of numbers as float32; ValueError for what that does not hold."""
    with np.errstate(over='ignore'):
        labels = np.array(rows, np.float32)
    if not np.isfinite(labels).all():
        row = np.flatnonzero(~np.isfinite(labels).all(axis=1))[0]
        raise ValueError(f"'{place}' gives '{names[row]}' the label {[*map(float, rows[row])]}, which 32 bits do not hold; "
                         'scale the labels.')
    return labels


def _parse(value):
    """A value from a file as an int, where it is whole, a float, a name or a list of numbers."""
    if isinstance(value, list):
        numbers = [None if isinstance(each, list) else _parse(each) for each in value]
        if not numbers or not all(isinstance(number, int | float) for number in numbers):
            raise ValueError('which is no list of numbers')
        return numbers
    if isinstance(value, str):
        value = value.strip()
        if value and not _NUMBER.fullmatch(value):
            return value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError('which is neither a number nor a name')
    if value == '':
        raise ValueError('which is empty')
    number = float(str(value))  # Of an integer too large it makes inf.
    if not math.isfinite(number):
        raise ValueError('which is not finite')
    return int(str(value)) if str(value).lstrip('+-').isdecimal() else int(number) if number.is_integer() else number


def _classes(values):
    """One-hot labels of classes that are all numbers or all names; the names."""
    if not isinstance(values[0], str) and max(values) < _MOST_CLASSES:
        size, used = max(values) + 1, len(set(values))
        logging.info('classes: 0 to %d%s', size - 1, f'; {size - used} without an image' if used < size else '')
        return one_hot(values, size), None
    if isinstance(values[0], str):  # Systems write accents in two ways.
        values = [unicodedata.normalize('NFC', _text(value)) for value in values]
    numbers = {name: number for number, name in enumerate(sorted(set(values)))}
    if len(numbers) * len(values) > _MOST_LABELS:
        raise ValueError(f'The labels name {len(numbers)} classes for {len(values)} images, which no memory holds; expected '
                         'classes that several images share.')
    logging.info('classes: %s', ', '.join(f'{number} = {name}' for name, number in numbers.items()))
    return one_hot([numbers[value] for value in values], len(numbers)), [*map(str, numbers)]
