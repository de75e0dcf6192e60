"""What data sets hold: pictures of them, facts, comparison, verification."""
import functools
import json
import os

import numpy as np

from data.labels import are_told_by_name
from data.parallel import ordered_map
from data.tfrecords import Dataset
from files import check_new, move_folder, staging, writing
from pictures.pictures import picture_path, pil_image, save_picture
from pictures.sheets import default_scale, sheet
from progress import progress
from wording import counted

BATCH_BYTES = 2 ** 22  # Of images that are read at a time.
MOST_CLASSES = 100  # That are listed one by one.
SHEET_GAP = 4  # Pixels between the images of a contact sheet.


def _batches(dataset):
    """Index ranges of the images, a few megabytes each."""
    some = max(BATCH_BYTES // (dataset.num_channels * dataset.resolution ** 2), 1)
    for start in range(0, dataset.num_images, some):
        yield np.arange(start, min(start + some, dataset.num_images))


def extract(tfrecord_dir, output_dir, *, num_workers=None):
    """Writes every image as a PNG file, img00000000.png and on, into a new folder; labels go into labels.json."""
    dataset = Dataset(tfrecord_dir)
    if os.path.exists(output_dir):
        raise FileExistsError(f"'{output_dir}' exists already; give another name or delete it first.")
    with staging(output_dir, 'extracted') as partial, writing(output_dir):
        save = functools.partial(_save_png, tfrecord_dir, partial)
        for _ in ordered_map(save, range(dataset.num_images), num_workers, chunk=16):
            pass
        if dataset.label_size:
            names = dataset.class_names if are_told_by_name(dataset.class_names) else None
            labels = {_png_name(index): names[label.argmax()] if names else label.tolist()
                      for index, label in enumerate(dataset.labels)}
            with open(os.path.join(partial, 'labels.json'), 'w') as file:
                json.dump(labels, file)
        move_folder(partial, output_dir)
    print(f"'{output_dir}': {counted(dataset.num_images, 'image')}"
          + (f' and labels.json, which create_from_images takes with --labels={os.path.join(output_dir, "labels.json")}'
             if dataset.label_size else ''))


def _png_name(index):
    return f'img{index:08d}.png'


def _save_png(tfrecord_dir, folder, index):
    image = _open_dataset(tfrecord_dir).read(0, [index])[0]
    path = os.path.join(folder, _png_name(index))
    with writing(path):
        pil_image(image.transpose(1, 2, 0)).save(path)


@functools.cache
def _open_dataset(path):
    return Dataset(path, label_size=0)


def compare(tfrecord_dir_a, tfrecord_dir_b, *, ignore_labels=False):
    """Tells whether two data sets hold the same images and labels in the same order; a difference is an error."""
    a, b = Dataset(tfrecord_dir_a), Dataset(tfrecord_dir_b)
    for what in ('resolution', 'num_channels', 'num_images', 'label_size')[:3 if ignore_labels else 4]:
        if getattr(a, what) != getattr(b, what):
            raise ValueError(f"{what} is {getattr(a, what)} in '{tfrecord_dir_a}' and "
                             f"{getattr(b, what)} in '{tfrecord_dir_b}'.")
    different = []
    for indices in progress([*_batches(a)], unit='batches'):
        same = (a.read(0, indices) == b.read(0, indices)).all(axis=(1, 2, 3))
        if not ignore_labels:
            same &= (a.labels[indices] == b.labels[indices]).all(axis=1)
        different.extend(indices[~same])
    if different:
        raise ValueError(f"{len(different)} of {a.num_images} images or labels differ between "
                         f"'{tfrecord_dir_a}' and '{tfrecord_dir_b}'; the first is number {different[0]}.")
    print(f'identical: {counted(a.num_images, "image")}' + ('' if ignore_labels else ' and labels'))


def _are_classes(labels):
    """Whether each of the labels [N, label_size] names one class."""
    return labels.shape[1] > 1 and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()


def info(tfrecord_dir):
    """Tells what a data set holds: number, shape and bytes of the images of each level, and images per class."""
    dataset = Dataset(tfrecord_dir)
    print(f'{dataset.name}: {counted(dataset.num_images, "image")} of {dataset.resolution}x{dataset.resolution}, '
          f'{"RGB" if dataset.num_channels == 3 else "gray"}')
    for side, num_files, num_bytes in dataset.level_sizes():
        print(f'  {side}x{side}: {num_bytes:,} bytes in {counted(num_files, "file")}')
    if not dataset.label_size:
        print('  no labels')
    elif _are_classes(dataset.labels):
        counts = dataset.labels.sum(axis=0).astype(int)
        names = dataset.class_names or range(dataset.label_size)
        listed = [f'{name}: {n}' for name, n in zip(names, counts, strict=True)]
        if len(listed) > MOST_CLASSES:
            listed[MOST_CLASSES - 1:-1] = ['..']
            listed.append(f'{counts.min()} to {counts.max()} each, {(counts == 0).sum()} of them without an image')
        print(f'  {dataset.label_size} classes: ' + ', '.join(listed))
    else:
        means = ' '.join(f'{mean:.6g}' for mean in dataset.labels.mean(axis=0, dtype=float))
        print(f'  labels of {counted(dataset.label_size, "number")}, mean [{means}]')


def verify(tfrecord_dir):
    """Checks every record of every level, the labels, and what was noted about them when they were written."""
    dataset = Dataset(tfrecord_dir)
    has_manifest = dataset.verify()
    print(f'intact: {counted(dataset.num_images, "image")} in all levels'
          + ('' if has_manifest else '; the labels cannot be checked, as the data set has no manifest'))


def display(tfrecord_dir, *, output=None, start=0, show=False, overwrite=False):
    """Writes a contact sheet of the images from number `start` on, with their labels, as <name>.png or `output`."""
    dataset = Dataset(tfrecord_dir)
    if not 0 <= start < dataset.num_images:
        raise ValueError(f'--start={start} is not a number from 0 to {dataset.num_images - 1}.')
    kind, output = picture_path(output or f'{dataset.name}.png')
    check_new(output, overwrite)
    scale = default_scale(dataset.resolution)
    side = scale * dataset.resolution
    columns, rows = max(1920 // (side + SHEET_GAP), 3), max(1080 // (side + side // 4 + SHEET_GAP), 2)
    indices = np.arange(start, min(start + columns * rows, dataset.num_images))
    images = dataset.read(0, indices).transpose(0, 2, 3, 1)
    are_classes, names = _are_classes(dataset.labels), dataset.class_names or range(dataset.label_size)
    captions = []
    for index, label in zip(indices, dataset.labels[indices], strict=True):
        texts = [str(names[label.argmax()])] if are_classes else [f'{number:.3g}' for number in label]
        captions.append(' '.join([f'{index}:' if texts else str(index), *texts]))
    picture = sheet(images, columns, captions, scale=scale, gap=SHEET_GAP)
    save_picture(picture, output, kind)
    print(f"wrote '{output}': images {indices[0]} to {indices[-1]}")
    if show:
        pil_image(picture).show()
