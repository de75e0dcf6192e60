"""Which latents and labels pictures are made from: seeds, rows of one random state, files, walks."""
import difflib
import io
import unicodedata

import numpy as np
import scipy  # Its parts come when they are first used: they take longer to import than most commands run.

from data.one_hot import one_hot
from files import read
from presets.fields import MOST

_MOST = 10 ** 7  # Of numbers at a time: more are a slip.


def parse_integers(text):
    """'0-3,7' -> [0, 1, 2, 3, 7]; ValueError for anything else."""
    numbers = []
    for part in text.split(','):
        first, dash, last = part.strip().partition('-')
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f'{text!r} is not a list of numbers; write for example 0-99 or 477,56,83.')
        some = range(int(first), int(last if dash else first) + 1)
        if len(some) > _MOST:
            raise ValueError(f'{text!r} are more than {_MOST} numbers; write shorter ranges, for example 0-99.')
        numbers += some
    if not numbers or max(numbers) >= 2 ** 32:
        raise ValueError(f'{text!r} is an empty range or holds a number beyond 4294967295.')
    return numbers


def parse_numbers(text):
    """'1,0.5,-1' -> [1.0, 0.5, -1.0]; ValueError for anything else."""
    try:
        numbers = [float(part) for part in text.split(',')]
    except ValueError:
        numbers = []
    if not numbers or not (np.abs(numbers) <= MOST).all():
        raise ValueError(f'{text!r} is not a list of numbers; write for example 1,0.5,-1.')
    return numbers


def parse_classes(text, names=None):
    """'3', '0-9' or, where classes have `names`, 'cat,dog' -> numbers of classes; ValueError for anything else."""
    known = {_plain(name): number for number, name in enumerate(names or ())}
    numbers = []
    for part in [text] if _plain(text) in known else text.split(','):
        name = _plain(part)
        if name in known:
            numbers.append(known[name])
        elif known and not name[:1].isdecimal():
            near = difflib.get_close_matches(name, known, 3) or [*known][:3]
            raise ValueError(f'There is no class {part!r}; the nearest of {len(known)} names: {", ".join(near)}.')
        elif not name[:1].isdecimal():
            raise ValueError(f'{part!r} is no number of a class, and this network has no names of classes; give numbers, '
                             'for example 3 or 0-9.')
        else:
            numbers += parse_integers(part)
    return numbers


def _plain(name):
    return unicodedata.normalize('NFC', name.strip())


def captions_of(labels, names=None):
    """The names of the classes that one-hot labels [N, label_size] mean, None where they mean none or have none."""
    if not names or not (np.isin(labels, (0, 1)).all() and (np.sum(labels, axis=1) == 1).all()):
        return None
    return [names[number] for number in np.argmax(labels, axis=1)]


def of_seeds(seeds, latent_size):
    """One latent per seed, RandomState(seed).randn(1, latent_size). -> float32 [N, latent_size]"""
    return np.concatenate([np.random.RandomState(seed).randn(1, latent_size) for seed in seeds]).astype(np.float32)


class SeededNoise:
    """Noise by seed: what RandomState(seed) draws after the latent, map after map, as StyleGAN2's script stores it.

    Rows float32 [N, sum of r^2 of `sizes`], which are drawn where they are taken: at 1024x1024 one has 11 MB.
    """
    dtype = np.float32

    def __init__(self, seeds, latent_size, sizes):
        self._seeds, self._latent_size = seeds, latent_size
        self.shape = len(seeds), sum(size ** 2 for size in sizes)

    def __len__(self):
        return len(self._seeds)

    def __getitem__(self, rows):
        drawn = [np.random.RandomState(seed).randn(self._latent_size + self.shape[1])[self._latent_size:]
                 for seed in self._seeds[rows]]
        return np.asarray(drawn, np.float32)


def of_rows(random_state, rows, latent_size):
    """Rows of RandomState(random_state).randn(..., latent_size), as the reference's scripts pick them."""
    return np.random.RandomState(random_state).randn(max(rows) + 1, latent_size)[rows].astype(np.float32)


def walk(num_frames, num_images, latent_size, smoothing, seed):
    """A closed walk of independent latents. -> float32 [num_frames, num_images, latent_size]

    Gaussian noise, smoothed over `smoothing` frames (stddev) with wrap-around, each latent normalized to unit mean
    square: an even walk on the hypersphere (paper, the interpolation videos).
    """
    latents = np.random.RandomState(seed).randn(num_frames, num_images, latent_size)
    latents = scipy.ndimage.gaussian_filter(latents, [smoothing, 0, 0], mode='wrap')
    return (latents / np.sqrt(np.mean(np.square(latents), axis=-1, keepdims=True))).astype(np.float32)


def labels_of(classes, label_size):
    """One-hot labels float32 [N, label_size] of classes; ValueError for a class that the network does not know."""
    if label_size == 0:
        raise ValueError('A class was given, but this network was trained without labels.')
    for c in classes:
        if not 0 <= c < label_size:
            raise ValueError(f'Class {c} is out of range; this network knows the classes 0 to {label_size - 1}.')
    return one_hot(classes, label_size)


def drawn_classes(seeds, label_size):
    """One class per seed, RandomState(seed).randint(label_size), for a conditional network without a given class."""
    return [int(np.random.RandomState(seed).randint(label_size)) for seed in seeds]


def load_array(path, what):
    """Reads an array of numbers from a .npy file without ever unpickling."""
    try:
        array = np.lib.format.read_array(io.BytesIO(read(path)), allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f'There is no file {path}; give the .npy file of the {what}.') from None
    except ValueError as error:
        raise ValueError(f'{path} is not a .npy file of numbers ({error}); save the {what} with numpy.save.') from error
    if array.dtype.kind not in 'fiu':
        raise ValueError(f'{path} holds an array of {array.dtype}; the {what} are numbers.')
    return array
