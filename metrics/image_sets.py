"""Sets of images to measure: data sets, folders, zip files, and what a network makes. Minibatches are uint8 [n, 3, H, W]."""
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from absl import logging

from data.folders import first_image
from data.image_files import ImageFiles
from data.images import to_planes, warn_if_dark
from data.one_hot import one_hot
from data.pipeline import image_indices, random_words
from data.tfrecords import Dataset
from serving.generate import generate_images


class Pictures:
    """The picture files of a folder or zip file, in the order of their names, behind the interface of Dataset."""

    label_size, class_names = 0, None

    def __init__(self, path, max_pixels=None):
        self.name = os.path.basename(os.path.abspath(path))
        self._files = ImageFiles(path, max_pixels)
        self.num_images = len(self._files.names)
        self.labels = np.zeros([self.num_images, 0], np.float32)
        name, first = first_image(self._files)
        if first.width != first.height:
            raise ValueError(f"'{os.path.join(path, name)}' is {first.width}x{first.height}; expected square pictures.")
        self.resolution, self.num_channels = first.width, len(first.getbands())
        self.fingerprint = self._files.fingerprint

    def read(self, level, indices):
        """Pictures at `indices`, uint8 [n, 3, H, W]; there is only level 0."""
        assert level == 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(lambda index: self._read(self._files.names[index]), indices)))

    def _read(self, name):
        place = os.path.join(self._files.path, name)
        try:
            image = self._files.decode(name)
        except ValueError as error:
            raise ValueError(f"'{place}' {error}") from error
        if image.size != (self.resolution, self.resolution):
            raise ValueError(f"'{place}' is {image.width}x{image.height}, the first picture "
                             f'{self.resolution}x{self.resolution}; make them equal.')
        return to_planes(image.convert('RGB'))


def open_images(path, resolution=None, max_pixels=None):
    """Opens a data set folder (at `resolution`, if given), a folder of pictures or a zip file of pictures."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"'{path}' is no data set, no folder of pictures and no zip file of pictures; check its "
                                'name.')
    is_dataset = os.path.isdir(path) and any(name.endswith('.tfrecords') for name in os.listdir(path))
    return Dataset(path, resolution) if is_dataset else Pictures(path, max_pixels)


def real_images(dataset, count, minibatch, seed=0, mirror=False, start=0):
    """Images start .. start + count of the stream that training with this seed sees, mirrored as there."""
    brightest = 0
    for position in range(start, start + count, minibatch):
        positions = np.arange(position, min(position + minibatch, start + count))
        images = dataset.read(0, image_indices(dataset.num_images, seed, positions))
        if mirror:
            flip = random_words(seed, position, len(positions))[:, 0] % 2 == 1
            images[flip] = images[flip, :, :, ::-1]
        brightest = max(brightest, images.max())
        yield to_rgb(images)
    warn_if_dark(dataset.name, brightest)


def real_labels(dataset, count, seed=0):
    """The labels of `real_images`. -> float32 [count, label_size]."""
    return dataset.labels[image_indices(dataset.num_images, seed, np.arange(count))]


def fake_labels(Gs, reals, count, seed=0):
    """The labels for images of Gs: those of the reals, classes by their names where both name them; else drawn.

    -> float32 [count, label_size]. `reals` may be None. Where the labels may not be what is meant, a line says so.
    """
    if reals is None or reals.label_size != Gs.label_size:
        if reals and Gs.label_size:
            logging.warning("the labels of '%s' have %d components, the network's %d; classes are drawn uniformly",
                            reals.name, reals.label_size, Gs.label_size)
        return random_labels(Gs.label_size, count, seed)
    labels, names, wanted = real_labels(reals, count, seed), reals.class_names, Gs.class_names
    if not names or not wanted or list(names) == list(wanted):
        return labels
    if sorted(names) == sorted(wanted):
        return labels[:, [names.index(name) for name in wanted]]
    logging.warning("the classes of '%s' are %s, the network's %s; they are taken by their numbers", reals.name,
                    ', '.join(names[:5]), ', '.join(wanted[:5]))
    return labels


def random_labels(label_size, count, seed=0):
    """One-hot labels of classes drawn uniformly, for want of a data set. -> float32 [count, label_size]."""
    if not label_size:
        return np.zeros([count, 0], np.float32)
    return one_hot(np.random.RandomState(seed).randint(label_size, size=count), label_size)


def fake_images(Gs, labels, minibatch, seed=0, devices=None):
    """Images of Gs at its stored lod for these labels, as metrics look at them; the latents follow from the seed alone."""
    latents = np.random.RandomState(seed).randn(len(labels), Gs.latent_size).astype(np.float32)
    for images in generate_images(Gs, latents, labels, minibatch=minibatch, devices=devices, options=Gs.measured_with):
        yield to_rgb(images.transpose(0, 3, 1, 2))


def to_rgb(images):
    """uint8 [n, 1 or 3, H, W] -> uint8 [n, 3, H, W]; all metrics look at three channels."""
    return np.repeat(images, 3, axis=1) if images.shape[1] == 1 else np.ascontiguousarray(images)
