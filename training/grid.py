"""The picture grid of a run: the same latents and labels at every tick."""
import numpy as np
import tensorflow as tf

from networks.growth import split_lod, upscale
from pictures.pictures import screen_grid, tile
from serving.generate import to_uint8
from serving.latents import captions_of


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


class Grid:
    """The run's fixed grid: reals and latents are drawn once, from the seed; `fakes` shows how Gs is doing."""

    def __init__(self, Gs, dataset, name, layout, seed):
        random_state = np.random.RandomState(seed)
        self.size = screen_grid(name, dataset.resolution)
        images, self.labels = grid_reals(dataset, self.size, layout, random_state)
        self.captions = captions_of(self.labels, dataset.class_names)
        self.reals = tile(images.transpose(0, 2, 3, 1), self.size, self.captions)  # uint8 [H, W, C]
        self.latents = random_state.randn(len(images), Gs.latent_size).astype(np.float32)
        self._half_up = Gs.half_up
        # One function for all ticks: there is a graph per level, fading or not.
        self._generate = tf.function(lambda latents, labels, level, fade: Gs(latents, labels, level=level, fade=fade))

    def fakes(self, lod, minibatch=16):
        """The picture uint8 [H, W, C] of Gs at `lod` for the grid's latents."""
        level, fade = split_lod(lod)
        fade = fade and tf.constant(fade)
        parts = [self._generate(self.latents[i:i + minibatch], self.labels[i:i + minibatch], level, fade)
                 for i in range(0, len(self.latents), minibatch)]
        return tile(to_uint8(upscale(tf.concat(parts, 0), 2 ** level), self._half_up).numpy(), self.size, self.captions)
