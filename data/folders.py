"""Pictures of any kind in a folder or a zip file, with labels from sub-folders, JSON or CSV."""
import csv
import functools
import io
import json
import os
import zipfile

import numpy as np
from absl import logging
from PIL import Image

from data.images import decode, fit_square, to_planes
from data.sources import Source, one_hot


def from_images(image_dir, *, shuffle=1, resolution=None, fit='error', channels=None, labels=None):
    """Images of a folder, its sub-folders included, or of a zip file, in the order of their names.

    All must be squares of one power of two, as the first image is, unless `resolution` is given: then they are resized,
    and `fit` (crop, pad or stretch) makes them square. `channels`: 1 or 3, by default as the first image has. `labels`:
    'folders' makes a class of each first-level sub-folder; a .json or .csv file names one per image.
    """
    names = _image_names(image_dir)
    name, first = _first_image(image_dir, names)
    if resolution is None:
        resolution = first.width
        if fit != 'error':
            raise ValueError(f'--fit={fit} needs a --resolution, the power of two that images are brought to')
        if first.width != first.height or resolution & (resolution - 1):
            raise ValueError(f"'{name}' is {first.width}x{first.height}, not a square power of two; choose a "
                             '--resolution, and --fit=crop, --fit=pad or --fit=stretch')
        fit = None
    load = functools.partial(_load, image_dir, resolution, fit, channels, len(first.getbands()))
    channels = channels or len(first.getbands())
    source = Source(resolution, channels, names, load, read_labels(labels, names), heavy=True)
    return source.shuffled() if shuffle else source


def _image_names(image_dir):
    """Sorted names of the image files in a folder or zip file, relative to it."""
    if os.path.isdir(image_dir):
        names = [os.path.relpath(os.path.join(folder, file), image_dir).replace(os.sep, '/')
                 for folder, _, files in os.walk(image_dir, followlinks=True) for file in files]
    elif os.path.isfile(image_dir):
        names = _open_zip(image_dir, os.getpid()).namelist()
    else:
        raise FileNotFoundError(f"'{image_dir}' is neither a folder nor a zip file")
    known = {extension for extension, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    images = sorted(name for name in names if os.path.splitext(name)[1].lower() in known
                    and not any(part.startswith(('.', '__MACOSX')) for part in name.split('/')))
    if not images:
        raise FileNotFoundError(f"'{image_dir}' holds no image files")
    return images


@functools.cache
def _open_zip(path, process_id):
    """The zip file, opened once by each process: two that share it would move each other's place in it."""
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"'{path}' is neither a folder nor a zip file, or is damaged ({error})") from error


def _open_image(image_dir, name):
    if os.path.isdir(image_dir):
        return decode(os.path.join(image_dir, name))
    try:
        return decode(io.BytesIO(_open_zip(image_dir, os.getpid()).read(name)))
    except (zipfile.BadZipFile, RuntimeError) as error:  # RuntimeError: the file is encrypted.
        raise ValueError(f'cannot be unpacked ({error})') from error


def _first_image(image_dir, names):
    """The first image that can be read, and its name; the others are reported when their turn comes."""
    for name in names:
        try:
            return name, _open_image(image_dir, name)
        except ValueError as error:
            failure = error
    raise ValueError(f"none of the {len(names)} images of '{image_dir}' can be read: '{names[-1]}' {failure}")


def _load(image_dir, resolution, fit, channels, first_channels, name):
    """One image as uint8 [C, R, R]; `fit` None demands that it has that size."""
    image = _open_image(image_dir, name)
    if fit is None and image.size != (resolution, resolution):
        raise ValueError(f'is {image.width}x{image.height}, the first is {resolution}x{resolution}; '
                         'choose a --resolution')
    if channels is None and len(image.getbands()) > first_channels:
        raise ValueError('has colours, the first is gray; choose --channels=1 or --channels=3')
    if fit is not None:
        image = fit_square(image, resolution, fit)
    return to_planes(image.convert('L' if (channels or first_channels) == 1 else 'RGB'))


def read_labels(labels, names):
    """Labels of the named images, as from_images describes them: float32 [N, label_size], or None for none."""
    if labels is None:
        return None
    if labels == 'folders':
        if not all('/' in name for name in names):
            raise ValueError("--labels=folders needs every image in a sub-folder; "
                             f"'{next(name for name in names if '/' not in name)}' is in none")
        values = {name: name.split('/')[0] for name in names}
    else:
        values = _read_label_file(labels)
    missing = [name for name in names if name not in values]
    if missing:
        raise ValueError(f"'{labels}' has no label for {len(missing)} of {len(names)} images, "
                         f"the first is '{missing[0]}'")
    values = [values[name] for name in names]
    if isinstance(values[0], list):
        try:
            return np.array(values, np.float32).reshape(len(values), len(values[0]))
        except (ValueError, TypeError) as error:
            raise ValueError(f"the labels in '{labels}' are not lists of numbers of one length") from error
    if all(isinstance(value, int) and 0 <= value < 10000 for value in values):  # Larger ones are names, not numbers.
        return one_hot(values, max(values) + 1)
    numbers = {name: number for number, name in enumerate(sorted(set(map(str, values))))}
    logging.info('classes: %s', ', '.join(f'{number} = {name}' for name, number in numbers.items()))
    return one_hot([numbers[str(value)] for value in values], len(numbers))


def _read_label_file(path):
    """{file name: class or list of numbers} of a JSON or CSV file."""
    try:
        with open(path, newline='', encoding='utf-8') as file:
            if path.endswith('.json'):
                values = json.load(file)
                return dict(values.get('labels', values))
            return {name: _from_csv(fields) for name, *fields in csv.reader(file)}
    except (ValueError, TypeError, AttributeError, csv.Error) as error:
        raise ValueError(f"'{path}' is not a JSON object or a CSV table of file names and labels "
                         f'({error})') from error


def _from_csv(fields):
    """A class number or name where there is one field, numbers where there are several."""
    if len(fields) == 1:
        return int(fields[0]) if fields[0].isdecimal() else fields[0]
    try:
        return [float(field) for field in fields]
    except ValueError:  # The line of column names.
        return []
