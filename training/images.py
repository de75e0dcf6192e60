"""Picture grids: which images they show, and how images become pictures."""
import numpy as np
import PIL.Image
import tensorflow as tf

from files import replacing
from networks.images import to_uint8
from networks.layers import upscale
from networks.progan import split_lod

_GRIDS = {'1080p': ((1920, 1080), (3, 2), 32), '4k': ((3840, 2160), (7, 4), 32)}  # Screen, smallest grid, largest side.


def grid_size(name, resolution):
    """(columns, rows) of a grid '1080p' or '4k' of images with this resolution."""
    screen, smallest, largest = _GRIDS[name]
    return tuple(int(np.clip(pixels // resolution, low, largest)) for pixels, low in zip(screen, smallest, strict=True))


def grid_reals(dataset, size, layout, random_state):
    """The real images of a grid and their labels -> (uint8 [N, C, R, R], float32 [N, label_size]), row by row.

    `layout` is 'random', or 'row_per_class': row r shows images of class r, and classes start over when rows remain.
    """
    columns, rows = size
    if layout == 'random':
        indices = random_state.randint(dataset.num_images, size=columns * rows)
    else:
        classes = np.argmax(dataset.labels, axis=1)
        present = np.unique(classes)
        indices = np.concatenate([
            random_state.choice(np.flatnonzero(classes == present[row % len(present)]), columns) for row in range(rows)])
    return dataset.read(0, indices), dataset.labels[indices]


def tile(images, size):
    """[N, H, W, C] -> one picture [rows * H, columns * W, C], row by row; empty places stay black."""
    columns, rows = size
    n, h, w, c = images.shape
    canvas = np.zeros([columns * rows, h, w, c], images.dtype)
    canvas[:n] = images[:columns * rows]
    return canvas.reshape(rows, columns, h, w, c).transpose(0, 2, 1, 3, 4).reshape(rows * h, columns * w, c)


def pil_image(picture):
    """uint8 [H, W, 1 or 3] -> PIL image."""
    return PIL.Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def save_png(picture, path):
    """Writes uint8 [H, W, 1 or 3] as a PNG, which appears complete or not at all."""
    save_picture(picture, path, 'png')


def save_picture(picture, path, format):
    """Writes uint8 [H, W, 1 or 3] as 'png', 'jpg' or 'webp', which appears complete or not at all."""
    options = {'png': {}, 'jpg': {'quality': 95, 'subsampling': 0}, 'webp': {'quality': 95}}[format]
    with replacing(path) as partial:
        pil_image(picture).save(partial, 'jpeg' if format == 'jpg' else format, **options)


class Grid:
    """The run's fixed grid: reals and latents are drawn once, from the seed; `fakes` shows how Gs is doing."""

    def __init__(self, Gs, dataset, name, layout, seed):
        random_state = np.random.RandomState(seed)
        self.size = grid_size(name, dataset.resolution)
        images, self.labels = grid_reals(dataset, self.size, layout, random_state)
        self.reals = tile(images.transpose(0, 2, 3, 1), self.size)  # uint8 [H, W, C]
        self.latents = random_state.randn(len(images), Gs.latent_size).astype(np.float32)
        # One function for all ticks: there is a graph per level, fading or not.
        self._generate = tf.function(lambda latents, labels, level, fade: Gs(latents, labels, level=level, fade=fade))

    def fakes(self, lod, minibatch=16):
        """The picture uint8 [H, W, C] of Gs at `lod` for the grid's latents."""
        level, fade = split_lod(lod)
        fade = fade and tf.constant(fade)
        parts = [self._generate(self.latents[i:i + minibatch], self.labels[i:i + minibatch], level, fade)
                 for i in range(0, len(self.latents), minibatch)]
        return tile(to_uint8(upscale(tf.concat(parts, 0), 2 ** level)).numpy(), self.size)
