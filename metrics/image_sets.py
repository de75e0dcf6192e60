"""Sets of images to measure: data sets, folders, zip files, and what a network makes. Minibatches are uint8 [n, 3, H, W]."""
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from data.pipeline import image_indices, random_words
from data.tfrecords import Dataset
from serving.generate import generate_images

_ENDINGS = ('.png', '.jpg', '.jpeg', '.bmp', '.webp', '.tif', '.tiff', '.ppm')


class Pictures:
    """The picture files of a folder or zip file, in the order of their names, behind the interface of Dataset."""

    label_size = 0

    def __init__(self, path):
        self.name = os.path.basename(os.path.abspath(path))
        self._path = path
        if os.path.isdir(path):
            self._archive = None
            names = [os.path.relpath(os.path.join(folder, name), path)
                     for folder, _, files in os.walk(path) for name in files]
        else:
            self._archive = zipfile.ZipFile(path)
            names = self._archive.namelist()
        self._names = sorted(name for name in names if name.lower().endswith(_ENDINGS))
        if not self._names:
            raise FileNotFoundError(f"'{path}' holds no pictures; expected files ending in {', '.join(_ENDINGS)}")
        self.num_images = len(self._names)
        self.labels = np.zeros([self.num_images, 0], np.float32)
        self.resolution = None  # Until the first is read.
        _, height, width = self._open(self._names[0]).shape
        if height != width:
            raise ValueError(f"'{path}' holds pictures of {width}x{height}; expected square ones")
        self.resolution = width

    def read(self, level, indices):
        """Pictures at `indices`, uint8 [n, 3, H, W]; there is only level 0."""
        assert level == 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(lambda index: self._open(self._names[index]), indices)))

    def _open(self, name):
        place = os.path.join(self._path, name)
        try:
            with (self._archive.open(name) if self._archive else open(place, 'rb')) as file:
                image = np.asarray(Image.open(file).convert('RGB')).transpose(2, 0, 1)
        except (OSError, zipfile.BadZipFile, SyntaxError) as error:
            raise ValueError(f"cannot read the picture '{place}': {error}") from error
        if self.resolution and image.shape[1:] != (self.resolution, self.resolution):
            raise ValueError(f"'{place}' is {image.shape[2]}x{image.shape[1]}, the first picture "
                             f'{self.resolution}x{self.resolution}; make them equal')
        return image


def open_images(path, resolution=None):
    """Opens a data set folder (at `resolution`, if given), a folder of pictures or a zip file of pictures."""
    if zipfile.is_zipfile(path):
        return Pictures(path)
    if not os.path.isdir(path):
        raise FileNotFoundError(f"'{path}' is no data set, no folder of pictures and no zip file of pictures")
    is_dataset = any(name.endswith('.tfrecords') for name in os.listdir(path))
    return Dataset(path, resolution) if is_dataset else Pictures(path)


def real_images(dataset, count, minibatch, seed=0, mirror=False, start=0):
    """Images start .. start + count of the stream that training with this seed sees, mirrored as there."""
    for position in range(start, start + count, minibatch):
        positions = np.arange(position, min(position + minibatch, start + count))
        images = dataset.read(0, image_indices(dataset.num_images, seed, positions))
        if mirror:
            flip = random_words(seed, position, len(positions))[:, 0] % 2 == 1
            images[flip] = images[flip, :, :, ::-1]
        yield to_rgb(images)


def real_labels(dataset, count, seed=0):
    """The labels of `real_images`. -> float32 [count, label_size]."""
    return dataset.labels[image_indices(dataset.num_images, seed, np.arange(count))]


def random_labels(label_size, count, seed=0):
    """One-hot labels of classes drawn uniformly, for want of a data set. -> float32 [count, label_size]."""
    if not label_size:
        return np.zeros([count, 0], np.float32)
    return np.eye(label_size, dtype=np.float32)[np.random.RandomState(seed).randint(label_size, size=count)]


def fake_images(Gs, labels, minibatch, seed=0, devices=None):
    """Images of Gs at its stored lod for these labels; the latents follow from the seed alone."""
    latents = np.random.RandomState(seed).randn(len(labels), Gs.latent_size).astype(np.float32)
    for images in generate_images(Gs, latents, labels, minibatch=minibatch, devices=devices):
        yield to_rgb(images.transpose(0, 3, 1, 2))


def to_rgb(images):
    """uint8 [n, 1 or 3, H, W] -> uint8 [n, 3, H, W]; all metrics look at three channels."""
    return np.repeat(images, 3, axis=1) if images.shape[1] == 1 else np.ascontiguousarray(images)
