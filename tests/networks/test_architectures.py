"""What every architecture of the table keeps: the contract between networks and the rest of the house."""
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from networks.architectures import ARCHITECTURES, copy_of, network_class
from networks.snapshot import load_snapshot, save_snapshot
from serving import signatures

SHAPE = dict(resolution=16, num_channels=3, label_size=3, fmap_base=64, fmap_max=8)


@pytest.fixture(params=ARCHITECTURES)
def networks(request):
    G, D = (network_class(request.param, name)(**SHAPE, seed=i) for i, name in enumerate('GD'))
    return G, D


def inputs(G, n=4):
    latents = tf.random.stateless_normal([n, G.latent_size], [0, 1])
    return latents, tf.one_hot(np.arange(n) % SHAPE['label_size'], SHAPE['label_size'])


def test_arguments_are_json_and_build_the_same_network(networks):
    for network in networks:
        arguments = json.loads(json.dumps(network.build_arguments()))
        again = type(network)(**arguments, seed=network.seed)
        assert again.build_arguments() == network.build_arguments()
        assert network.kind in ARCHITECTURES and type(network) in ARCHITECTURES[network.kind]
        for name, variable in network.named_variables().items():
            assert_array_equal(again.named_variables()[name], variable, err_msg=name)


def test_another_seed_is_another_network(networks):
    G, _ = networks
    other = type(G)(**G.build_arguments(), seed=77)
    assert any(np.any(other.named_variables()[name].numpy() != variable.numpy())
               for name, variable in G.named_variables().items())


def test_keras_and_snapshot_give_back_the_networks(networks, tmp_path):
    G, D = networks
    G.lod.assign(min(0.25, G.max_level))
    G.save(tmp_path / 'G.keras')
    save_snapshot(tmp_path / 'network.h5', G, D, copy_of(G), nimg=7)
    snapshot = load_snapshot(tmp_path / 'network.h5')
    expected = G.generate(*inputs(G), lod=G.stored_lod)
    for again in (keras.saving.load_model(tmp_path / 'G.keras'), snapshot.G, snapshot.Gs):
        assert_array_equal(again.generate(*inputs(G), lod=again.stored_lod), expected)
    assert snapshot.nimg == 7 and type(snapshot.D) is type(D)


def test_every_level_and_fade_makes_and_judges_images_of_its_size(networks):
    G, D = networks
    for level in range(G.max_level + 1):
        for fade in (0.0, 0.5):
            images = G(*inputs(G), level=level, fade=fade)
            assert images.shape == [4, 16 >> level, 16 >> level, 3]
            scores, logits = D(images, inputs(G)[1], level=level, fade=fade)
            assert scores.shape == [4] and scores.dtype == logits.dtype == tf.float32
    assert G.generate(*inputs(G), lod=min(1.5, G.max_level)).shape == [4, 16, 16, 3]
    with pytest.raises(ValueError, match='levels 0'):
        G(*inputs(G), level=G.max_level + 1)


def test_labels_matter(networks):
    G, _ = networks
    latents, labels = inputs(G)
    assert np.any(G(latents, labels).numpy() != G(latents, tf.roll(labels, 1, 0)).numpy())


def test_gradients_reach_the_variables_of_the_level_and_no_others(networks):
    G, D = networks
    for network in networks:
        variables, so_far = network.variables_at(0), set()
        for level in range(G.max_level, -1, -1):
            with tf.GradientTape() as tape:
                images = G(*inputs(G), level=level, fade=0.5)
                scores, logits = D(images, inputs(G)[1], level=level, fade=0.5)
                loss = tf.reduce_sum(scores) + tf.reduce_sum(logits)
            gradients = tape.gradient(loss, {name: variable.value for name, variable in variables.items()})
            so_far |= {name for name, gradient in gradients.items() if gradient is not None}
            assert so_far == set(network.variables_at(level)), (network.name, level)


@pytest.mark.parametrize('dtype', ['mixed_float16', 'mixed_bfloat16'])
def test_lower_precision_is_finite_and_near(networks, dtype):
    G, D = networks
    images = G(*inputs(G))
    rounded = copy_of(G, dtype)(*inputs(G))
    assert rounded.dtype != tf.float32 and np.all(np.isfinite(tf.cast(rounded, tf.float32)))
    assert_allclose(tf.cast(rounded, tf.float32), images, atol=0.1 * np.max(np.abs(images)))
    assert np.all(np.isfinite(copy_of(D, dtype)(images, inputs(G)[1])[0]))


def test_minibatches_that_are_stacked_are_judged_apart(networks):
    G, D = networks
    images, labels = G(*inputs(G, 8)), inputs(G, 8)[1]
    scores, _ = D(images, labels, num_batches=2)
    apart = [D(images[part], labels[part])[0] for part in (slice(4), slice(4, 8))]
    assert_allclose(scores, np.concatenate(apart), atol=1e-5)


def test_a_served_model_makes_the_images_of_the_network(networks, tmp_path):
    G, D = networks
    signatures.write_saved_model(str(tmp_path / '1'), signatures.signatures(G, D, 0.0))
    latents, labels = inputs(G)
    served = tf.saved_model.load(str(tmp_path / '1')).signatures['serving_default'](latents=latents, labels=labels)['images']
    expected = np.clip(np.rint(G.generate(latents, labels).numpy() * 127.5 + 127.5), 0, 255)
    assert_allclose(served.numpy().astype(int), expected, atol=1)
