"""One function per source of images; each checks its input and describes it as a Source.

The arguments of these functions are the arguments of the `create_*` commands of dataset_tool.py.
"""
import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Source:
    """N images, read one by one: image i is load(items[i]), uint8 [C, R, R]."""

    resolution: int
    num_channels: int
    items: Sequence  # What `load` needs for each image, for example its path.
    load: Callable
    labels: np.ndarray | None = None  # float32 [N, label_size]
    heavy: bool = False  # Whether `load` is worth worker processes.
    remarks: bool = False  # Whether `load` returns (image, a word on it), to be counted and reported.

    def shuffled(self):
        """The same images and labels in the order of the reference's commands that shuffle."""
        order = np.arange(len(self.items))
        np.random.RandomState(123).shuffle(order)
        labels = None if self.labels is None else self.labels[order]
        return dataclasses.replace(self, items=[self.items[i] for i in order], labels=labels)


def from_arrays(images, labels=None):
    """Source of images in memory: uint8 [N, C, R, R], labels float32 [N, label_size]."""
    return Source(images.shape[-1], images.shape[1], images, np.asarray, labels)


def one_hot(classes, num_classes):
    """Labels of class numbers: int [N] -> float32 [N, num_classes]."""
    return np.eye(num_classes, dtype=np.float32)[classes]


def digits():
    """The 1797 handwritten digits of scikit-learn (scans of 8x8), as 16x16 with 10 labels; needs no
    download.
    """
    from sklearn.datasets import load_digits  # Takes seconds to import; only this source needs it.
    scans = load_digits()
    gray = np.rint(scans.images * (255 / 16)).astype(np.uint8)
    images = [np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.LANCZOS)) for image in gray]
    return from_arrays(np.stack(images)[:, np.newaxis], one_hot(scans.target, 10)).shuffled()


def from_images(image_dir, *, shuffle=1):
    """A folder of images, all gray or all RGB, of one square power-of-two size, in the order of their
    names.
    """
    if not os.path.isdir(image_dir):
        raise FileNotFoundError(f"'{image_dir}' is not a folder")
    paths = [os.path.join(image_dir, name) for name in sorted(os.listdir(image_dir))
             if os.path.splitext(name)[1].lower() in Image.registered_extensions()]
    if not paths:
        raise FileNotFoundError(f"'{image_dir}' holds no image files")
    try:
        with Image.open(paths[0]) as first:
            size, mode = first.size, first.mode
    except OSError as error:
        raise ValueError(f"'{paths[0]}': {error}") from error
    if mode not in ('L', 'RGB') or size[0] != size[1] or size[0] & (size[0] - 1):
        raise ValueError(f"'{paths[0]}' is {size[0]}x{size[1]} {mode}; "
                         'expected a square power of two, L (gray) or RGB')
    load = functools.partial(load_image, size=size, mode=mode)
    source = Source(size[0], len(mode), paths, load, heavy=True)
    return source.shuffled() if shuffle else source


def load_image(path, size, mode):
    """One image file as uint8 [C, H, W], after a check that it has the expected size and mode."""
    with Image.open(path) as image:
        if (image.size, image.mode) != (size, mode):
            raise ValueError(f'is {image.width}x{image.height} {image.mode}; '
                             f'the first is {size[0]}x{size[1]} {mode}')
        pixels = np.asarray(image)
    return pixels[np.newaxis] if mode == 'L' else pixels.transpose(2, 0, 1)
