"""Builds, extracts and compares data sets: `python dataset_tool.py` lists the commands."""
import collections
import contextlib
import difflib
import functools
import inspect
import itertools
import os
import shutil

import numpy as np
from absl import flags
from PIL import Image

import runtime
from data import faces, sources, toyfaces
from data.parallel import ordered_map
from data.tfrecords import Dataset, Writer

flags.DEFINE_integer('num_workers', None, 'Worker processes (default: one per core; 0: none).')
flags.DEFINE_integer('shuffle', None, '1 (default): shuffles the images; 0: keeps the order of their names.')
flags.DEFINE_bool('ignore_labels', None, 'Compares the images only.')
flags.DEFINE_string('celeba_dir', None, 'Folder of img_celeba/*.jpg and Anno/list_landmarks_celeba.txt.')
flags.DEFINE_string('delta_dir', None, 'Folder of image_list.txt and deltas*.zip; without it, images are only aligned.')
flags.DEFINE_integer('expected_images', None, 'Photographs in --celeba_dir (default: 202599; 0: any number).')
flags.DEFINE_integer('size', None, 'Width and height of the images: 256, 512 or 1024 (default).')
flags.DEFINE_string('image_list', None, 'Text file of the images to use, one name per line (default: all).')
flags.DEFINE_integer('select', None, 'How many images to use, the sharpest (default: 0, all).')
flags.DEFINE_string('grades', None, 'File that keeps the grades of --select, to go on after an interruption.')
flags.DEFINE_integer('max_images', None, 'Uses the first so many images only, for a trial (default: 0, all).')
flags.DEFINE_integer('num_images', None, 'How many faces to draw (default: 16).')
flags.DEFINE_integer('num_deltas', None, 'How many of them get a delta (default: 8).')
flags.DEFINE_integer('seed', None, 'Seed of what is drawn (default: 0).')

BATCH_BYTES = 2 ** 22  # Of images that are read or written at a time.


def build(tfrecord_dir, source, num_workers=None):
    """Writes a data set of all images of a Source."""
    some = max(BATCH_BYTES // (source.num_channels * source.resolution ** 2), 1)
    workers = num_workers if source.heavy else 0
    loaded = ordered_map(source.load, source.items, workers, chunk=max(some // 64, 1))
    label_size = 0 if source.labels is None else source.labels.shape[1]
    remarks = collections.Counter()
    with (contextlib.closing(loaded),
          Writer(tfrecord_dir, source.resolution, source.num_channels, label_size) as writer):
        while batch := list(itertools.islice(loaded, some)):
            indices, images = zip(*batch, strict=True)
            if source.remarks:
                images, words = zip(*images, strict=True)
                remarks.update(words)
            writer.add(np.stack(images), source.labels[list(indices)] if label_size else None)
    print(f"'{tfrecord_dir}': {writer.num_images} images of {source.resolution}x{source.resolution}"
          + ''.join(f', {count} {word}' for word, count in sorted(remarks.items())))


def extract(tfrecord_dir, output_dir, *, num_workers=None):
    """Writes every image as a PNG file, img00000000.png and on, into a new folder."""
    dataset = Dataset(tfrecord_dir)
    if os.path.exists(output_dir):
        raise FileExistsError(f"'{output_dir}' exists already; give another name or delete it first")
    partial = f'{os.path.abspath(output_dir)}.partial'
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    try:
        save = functools.partial(_save_png, tfrecord_dir, partial)
        for _ in ordered_map(save, range(dataset.num_images), num_workers, chunk=16):
            pass
        os.replace(partial, output_dir)
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # After a success this name is gone already.


def _save_png(tfrecord_dir, folder, index):
    image = _open_dataset(tfrecord_dir).read(0, [index])[0]
    image = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    Image.fromarray(image).save(os.path.join(folder, f'img{index:08d}.png'))


@functools.cache
def _open_dataset(path):
    return Dataset(path, label_size=0)


def compare(tfrecord_dir_a, tfrecord_dir_b, *, ignore_labels=False):
    """Tells whether two data sets hold the same images and labels in the same order; a difference is an
    error.
    """
    a, b = Dataset(tfrecord_dir_a), Dataset(tfrecord_dir_b)
    for what in ('resolution', 'num_channels', 'num_images') + (() if ignore_labels else ('label_size',)):
        if getattr(a, what) != getattr(b, what):
            raise ValueError(f"{what} is {getattr(a, what)} in '{tfrecord_dir_a}' and "
                             f"{getattr(b, what)} in '{tfrecord_dir_b}'")
    some = max(BATCH_BYTES // (a.num_channels * a.resolution ** 2), 1)
    different = []
    for start in range(0, a.num_images, some):
        indices = np.arange(start, min(start + some, a.num_images))
        same = (a.read(0, indices) == b.read(0, indices)).all(axis=(1, 2, 3))
        if not ignore_labels:
            same &= (a.labels[indices] == b.labels[indices]).all(axis=1)
        different.extend(indices[~same])
    if different:
        raise ValueError(f"{len(different)} of {a.num_images} images or labels differ between "
                         f"'{tfrecord_dir_a}' and '{tfrecord_dir_b}'; the first is number {different[0]}")
    print(f'identical: {a.num_images} images' + ('' if ignore_labels else ' and labels'))


SOURCES = {
    'create_celebahq': faces.celebahq_source,
    'create_digits': sources.digits,
    'create_from_images': sources.from_images,
}
TOOLS = {
    'extract': extract,
    'compare': compare,
    'create_toyfaces': toyfaces.create,
}


def usage(command):
    """One line: the command and its arguments."""
    positional, switches = _arguments(command)
    return ' '.join([command, *(name.upper() for name in positional), *(f'[--{name}]' for name in switches)])


def _arguments(command):
    """Names of a command's positional arguments and of its flags, from the signature of its function."""
    parameters = inspect.signature(SOURCES.get(command) or TOOLS[command]).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    switches = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if command in SOURCES:
        return ['tfrecord_dir', *positional], [s for s in switches if s != 'num_workers'] + ['num_workers']
    return positional, switches


def main(argv):
    commands = [*SOURCES, *TOOLS]
    if len(argv) < 2:
        print('usage: python dataset_tool.py COMMAND (--help explains the flags)\n')
        print('\n'.join(map(usage, commands)))
        return
    if argv[1] not in commands:
        close = difflib.get_close_matches(argv[1], commands, 1)
        hint = f"did you mean '{close[0]}'?" if close else 'run without arguments to see the commands'
        raise ValueError(f"unknown command '{argv[1]}'; {hint}")
    command, *values = argv[1:]
    positional, switches = _arguments(command)
    if len(values) != len(positional):
        raise ValueError(f'usage: python dataset_tool.py {usage(command)}')
    known = {switch for name in commands for switch in _arguments(name)[1]}
    given = {name: flags.FLAGS[name].value for name in known if flags.FLAGS[name].present}
    foreign = sorted(set(given) - set(switches))
    if foreign:
        raise ValueError(f'{command} has no flag --{foreign[0]}; usage: {usage(command)}')
    if command in TOOLS:
        TOOLS[command](*values, **given)
    else:
        source = SOURCES[command]
        num_workers = given.get('num_workers')
        if 'num_workers' not in inspect.signature(source).parameters:
            given.pop('num_workers', None)
        build(values[0], source(*values[1:], **given), num_workers)


if __name__ == '__main__':
    runtime.run(main)
