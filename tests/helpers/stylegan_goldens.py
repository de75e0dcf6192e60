"""StyleGAN's and StyleGAN2's golden networks, and draws with what their losses were computed from."""
import json
from types import SimpleNamespace

import numpy as np
import tensorflow as tf
from places import TESTS

from networks.style_generator import _CUTOFF, _MIXING, _NOISE
from official.load import load_official
from serving.generate import generate_images
from training.objectives.stylegan2 import _DIRECTIONS

FOLDER = TESTS / 'goldens' / 'stylegan'


def networks(name='v1a'):
    """-> Snapshot of G, D, Gs; v1a is StyleGAN, v2a StyleGAN2, v2d its revision of StyleGAN."""
    return load_official(str(FOLDER / f'{name}.pkl'))


def check_pictures(name):
    """Those of Gs are the reference's but for one level in a thousandth of the values."""
    told = numbers(f'{name}_net')
    pictures = np.concatenate([*generate_images(networks(name).Gs, told['latents'][:2])]).transpose(0, 3, 1, 2).astype(int)
    expected = np.floor(np.clip(told['Gs/images/lod0/default'] * np.float32(127.5) + np.float32(128), 0, 255))
    assert np.abs(pictures - expected).max() <= 1 and np.mean(pictures != expected) <= 0.001


def numbers(name):
    """The arrays of an .npz file."""
    return dict(np.load(FOLDER / f'{name}.npz'))


def facts(name):
    """What a JSON file holds."""
    return json.loads((FOLDER / f'{name}.json').read_text())


def fixed_draws(G, latents, level, mix=None, cutoff=None, factors=None, of_lengths=None, directions=None):
    """Draws of given latents: noise as it is stored, styles mixed with the latents `mix` from layer `cutoff` on, or not.

    `of_lengths`: the draws of a path length's latents, which are not thinned; `directions`: the noise on its images.
    """
    layers = G.num_layers - 2 * level

    def normal(stream, shape):
        if stream == _MIXING:
            return tf.constant(latents if mix is None else mix)
        if stream == _DIRECTIONS:
            return directions
        assert stream == _NOISE
        stored = tf.concat([tf.reshape(noise.value, [1, -1]) for noise in G.noise], axis=1)
        return stored[:, :shape[0]]

    def shared(stream, shape):
        assert stream == _CUTOFF
        return tf.constant([1.0, 0.0] if cutoff is None else [0.0, (cutoff - 0.5) / (layers - 1)])

    draws = SimpleNamespace(latents=tf.constant(latents), normal=normal, shared=shared, factors=factors)
    draws.anew, draws.every = lambda stream: of_lengths, lambda step: draws
    return draws
