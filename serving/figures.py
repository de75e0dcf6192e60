"""The paper's figures: which pictures of which w, and how they are laid out; defaults are the paper's seeds."""
import dataclasses
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import PIL.Image

from pictures.pictures import pil_image
from pictures.sheets import enlarge
from serving import styles

_CROP = (650, 180, 256)  # Left, top and side of what the figure of noise shows large, at 1024.


@dataclasses.dataclass(frozen=True)
class Artist:
    """What makes a figure's pictures: a network, and two functions that know the settings of the command.

    w_of(seeds) -> (w float32 [N, layers, W], names of the images); paint(w, seeds=None, noise=.., maps=None): single
    pictures, see serving.generate.synthesize_images.
    """
    Gs: object
    w_of: Callable
    paint: Callable


class Layout(NamedTuple):
    """Images of one size, row by row."""
    images: np.ndarray  # uint8 [N, H, W, C]
    columns: int
    captions: list      # N texts.
    headings: dict | None = None  # {column: text}


def style_mixing(artist, columns, rows, groups, noise='stored'):
    """Images of the seeds `rows` with layers of each of the seeds `columns`, row by row of `groups` in turn (figure 3)."""
    styles.check_has_styles(artist.Gs)
    of_groups = [styles.layers_of(group, artist.Gs.layers_at(0)) for group in groups]
    layers = [*itertools.islice(itertools.cycle(of_groups), len(rows))]
    w, names = artist.w_of(columns + rows)
    n, shape = len(columns), w.shape[1:]
    mixed = np.repeat(w[n:, None], n, axis=1)  # [rows, columns, layers, W]
    for row, some in zip(mixed, layers, strict=True):
        row[:, some] = w[:n, some]
    images = np.stack([*artist.paint(np.concatenate([w, mixed.reshape(-1, *shape)]), noise=noise)])
    shown, captions = [np.zeros_like(images[0]), *images[:n]], ['', *names[:n]]
    for i, some in enumerate(layers):
        first = len(w) + i * n
        shown += [images[n + i], *images[first:first + n]]
        captions += [names[n + i], *[f'layers {some[0]}-{some[-1]}'] * n]
    return Layout(np.stack(shown), n + 1, captions)


def truncation(artist, seeds, psis, cutoff=None, noise='stored'):
    """Each seed's image at some distances from the average w, in the first `cutoff` layers or in all (figure 8)."""
    styles.check_has_w(artist.Gs)
    cutoff = artist.Gs.num_layers if cutoff is None else cutoff
    for psi in psis:
        artist.Gs.check_options(truncation=psi, truncation_cutoff=cutoff)
    w, names = artist.w_of(seeds)
    average = artist.Gs.dlatent_avg.numpy()
    moved = np.repeat(w[:, None], len(psis), axis=1)  # [N, psis, layers, W]
    for i, psi in enumerate(psis):
        moved[:, i, :cutoff] = average + psi * (w[:, :cutoff] - average)
    images = np.stack([*artist.paint(moved.reshape(-1, *w.shape[1:]), noise=noise)])
    captions = [text for name in names for text in (name, *[''] * (len(psis) - 1))]
    return Layout(images, len(psis), captions, {i: f'psi {psi:g}' for i, psi in enumerate(psis)})


def noise_detail(artist, seeds, samples):
    """Each seed's image, parts of four others, and 4 times the stddev of `samples` that differ in noise (figure 4)."""
    styles.check_has_noise(artist.Gs)
    w, names = artist.w_of(seeds)
    draws = np.stack([np.random.RandomState(i).randn(2) for i in range(samples)])  # For every w the same.
    painted = artist.paint(np.repeat(w, samples, axis=0), np.tile(draws, [len(w), 1]), noise='random')
    images, captions = [], []
    for name in names:
        shown, total, squares = [], 0, 0
        for image in itertools.islice(painted, samples):
            if len(shown) < 5:
                shown.append(image)
            level = image.astype(np.int64).sum(axis=2)  # Whole numbers: the sums are exact.
            total, squares = total + level, squares + level ** 2
        channels = shown[0].shape[2]
        variance = (samples * squares - total ** 2) / (samples * channels) ** 2
        deviation = np.clip(4 * np.sqrt(variance) + 0.5, 0, 255).astype(np.uint8)
        images += [shown[0], _quarters([_detail(image) for image in shown[1:]]),
                   np.repeat(deviation[:, :, None], channels, axis=2)]
        captions += [name, '', '']
    return Layout(np.stack(images), 3, captions, {0: 'image', 1: 'other noise', 2: 'stddev x 4'})


def _detail(image):
    """A part of an image at twice its size, half as large as the image. uint8 [R, R, C] -> [R/2, R/2, C]"""
    left, top, size = (part * image.shape[0] // 1024 for part in _CROP)
    return enlarge(image[None, top:top + size, left:left + size], 2)[0]


def _quarters(images):
    """Four images, two by two."""
    a, b, c, d = images
    return np.concatenate([np.concatenate([a, b], axis=1), np.concatenate([c, d], axis=1)])


def noise_components(artist, seeds):
    """Halves of each seed's image: all noise and none, fine noise and coarse (figure 5); every second is mirrored."""
    styles.check_has_noise(artist.Gs)
    num_maps = len(artist.Gs.noise_sizes)
    fine = styles.first_of('fine', num_maps)
    w, names = artist.w_of(seeds)
    everything, none, only_fine, only_coarse = (
        np.stack([*artist.paint(w, maps=maps)]) for maps in (range(num_maps), (), range(fine, num_maps), range(fine)))
    for images in everything, none, only_fine, only_coarse:
        images[1::2] = images[1::2, :, ::-1]
    half = everything.shape[2] // 2
    rows = [np.concatenate([left[:, :, :half], right[:, :, half:]], axis=2)
            for left, right in ((everything, none), (only_fine, only_coarse))]
    captions = ['all | none'] * len(w) + ['fine | coarse'] * len(w)
    return Layout(np.concatenate(rows), len(w), captions, dict(enumerate(names)))


@dataclasses.dataclass(frozen=True)
class Uncurated:
    """Columns of images, that of lod k of rows * 2^k at 1/2^k of their size, of one random state (figures 2, 10 to 12)."""
    rows: int
    lods: tuple
    random_state: int
    crop: tuple  # Left, top, width and height of what is shown.

    @property
    def num_images(self):
        """How many images there are."""
        return sum(self.rows << lod for lod in self.lods)

    def picture(self, images):
        """Iterator of uint8 [R, R, C], down the columns -> (uint8 [H, W, C], {(x, width) of a column: its images' size})"""
        left, top, width, height = self.crop
        columns, sizes, x = [], {}, 0
        for lod in self.lods:
            size = (width >> lod, height >> lod)
            columns.append(np.concatenate([_shrunk(next(images)[top:top + height, left:left + width], size)
                                           for _ in range(self.rows << lod)]))
            sizes[x, size[0]] = f'{size[0]}x{size[1]}'
            x += size[0]
        return np.concatenate(columns, axis=1), sizes


def uncurated(resolution, rows=None, lods=None, random_state=None, crop=None):
    """The Uncurated of images of this size, by default as in the paper; ValueError for what does not fit them."""
    if resolution >= 512:
        defaults = (3, (0, 1, 2, 2, 3, 3), 5) if resolution >= 1024 else (4, (0, 1, 2, 2, 3, 3), 2)
    else:
        most = max(resolution.bit_length() - 7, 0)  # Nothing is shrunk below 64 pixels.
        defaults = 5, tuple(min(lod, most) for lod in (0, 0, 1, 1, 2, 2, 2)), 0
    rows, lods, random_state = (default if given is None else given
                                for given, default in zip((rows, lods, random_state), defaults, strict=True))
    crop = (0, 0, resolution, resolution) if crop is None else tuple(crop)
    if len(crop) != 4 or not all(crop[2:]) or max(crop[0] + crop[2], crop[1] + crop[3]) > resolution:
        raise ValueError(f'--crop={",".join(map(str, crop))} is no part of images of {resolution}x{resolution}; write left, '
                         f'top, width and height.')
    most = max(lods)
    if most > resolution.bit_length() or any(side % (1 << most) for side in crop[2:]):
        raise ValueError(f'--lods goes up to {most}, but images of {crop[2]}x{crop[3]} cannot be halved so often; use other '
                         f'--lods or another --crop.')
    return Uncurated(rows, tuple(lods), random_state, crop)


def _shrunk(image, size):
    if image.shape[1::-1] == size:
        return image
    picture = pil_image(image).resize(size, PIL.Image.Resampling.LANCZOS)
    return np.asarray(picture).reshape(size[1], size[0], -1)
