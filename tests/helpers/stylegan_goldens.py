"""StyleGAN's golden networks, and draws with what their losses were computed from."""
import json
from types import SimpleNamespace

import numpy as np
import tensorflow as tf
from places import TESTS

from networks import style_layers
from networks.stylegan import _CUTOFF, _MIXING, _NOISE
from official.load import load_official

FOLDER = TESTS / 'goldens' / 'stylegan'


def networks():
    """-> Snapshot of G, D, Gs."""
    return load_official(str(FOLDER / 'v1a.pkl'))


def numbers(name):
    """The arrays of v1a_net or v1a_loss."""
    return dict(np.load(FOLDER / f'{name}.npz'))


def facts(name):
    """What a JSON file holds."""
    return json.loads((FOLDER / f'{name}.json').read_text())


def fixed_draws(G, latents, level, mix=None, cutoff=None, factors=None):
    """Draws of given latents: noise as it is stored, styles mixed with the latents `mix` from layer `cutoff` on, or not."""
    layers = G.num_layers - 2 * level

    def normal(stream, shape):
        if stream == _MIXING:
            return tf.constant(latents if mix is None else mix)
        layer = stream - _NOISE
        assert shape == [style_layers.noise_size(layer)] * 2 + [1]
        return tf.transpose(G.noise[layer].value, [0, 2, 3, 1])

    def shared(stream, shape):
        assert stream == _CUTOFF
        return tf.constant([1.0, 0.0] if cutoff is None else [0.0, (cutoff - 0.5) / (layers - 1)])

    return SimpleNamespace(latents=tf.constant(latents), normal=normal, shared=shared, factors=factors)
