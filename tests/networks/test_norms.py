"""Switches of ProGAN's networks that its table 1 turns: each is its formula, in NumPy, on tiny networks."""
import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from networks import norms
from networks.architectures import copy_of
from networks.layers import MinibatchStd, WScaleConv, run_layer, sharing_kernels
from networks.minibatch_discrimination import MinibatchDiscrimination
from networks.progan import Discriminator, Generator
from networks.snapshot import load_snapshot, save_snapshot
from training.draws import Draws
from training.moment import Moment

SHAPE = dict(resolution=8, fmap_base=32, fmap_max=4, seed=3)
BATCH_NORM = dict(use_batchnorm=True, use_tanh=True, normalize_latents=False, use_leakyrelu=False, use_wscale=False,
                  use_pixelnorm=False, fused_scale=False)


def numbers(*shape, seed=0):
    return np.float32(np.random.RandomState(seed).randn(*shape))


def randomized(network, seed=1):
    """The network with variables of which none is 0 or 1, variances positive."""
    for i, (name, variable) in enumerate(network.named_variables().items()):
        if name != 'lod':
            value = numbers(*variable.shape, seed=seed + i)
            variable.assign(np.abs(value) + 0.5 if name.endswith('variance') else value)
    return network


def draws(latents):
    n = len(latents)
    return Draws(tf.constant(latents), tf.zeros([n]), 0, tf.constant(0, tf.int64), n, 0)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def plain_of(layer, shape):
    """What a normed layer would be without its norm, bias and activation."""
    plain = WScaleConv(layer.filters, use_bias=False)
    plain.build([None, *shape])
    plain.weight.assign(layer.weight)
    return plain


def test_layer_norm_is_its_formula():
    layer = norms.LayerNormConv(5, activation='leaky_relu')
    layer.build([None, 4, 4, 3])
    layer.bias.assign(numbers(5, seed=1))
    layer.norm_gain.assign(1.7)
    x = numbers(6, 4, 4, 3)
    y = plain_of(layer, [4, 4, 3])(x).numpy()
    expected = [leaky(1.7 * (one - one.mean()) / np.sqrt(one.var() + 1e-4) + layer.bias.numpy()) for one in y]
    assert_allclose(layer(x), expected, atol=1e-5)
    assert {v.name: tuple(v.shape) for v in layer.variables} == {'weight': (3, 3, 3, 5), 'bias': (5,), 'gain': ()}


def test_layer_norm_is_where_D_sees_neighbours():
    D = Discriminator(**SHAPE, use_layernorm=True)
    normed = {name for name, layer in D.named_layers.items() if f'{name}/gain' in D.named_variables()}
    assert normed == {'8x8/Conv0', '8x8/Conv1_down', '4x4/Conv', '4x4/Dense0'}
    D = randomized(Discriminator(**SHAPE, use_layernorm=True, mbstd_group_size=0))
    images, few = numbers(6, 8, 8, 3), numbers(2, 8, 8, 3, seed=1)
    assert_allclose(D(np.concatenate([few, images]))[0][2:], D(images)[0], atol=1e-4)  # No example changes another's score.


def batch_normed(y, mean, variance, layer):
    return np.maximum(layer.norm_gain.numpy() * (y - mean) / np.sqrt(variance + 1e-4) + layer.bias.numpy(), 0)


def test_batch_norm_takes_the_minibatch_in_training_and_averages_for_pictures():
    layer = norms.BatchNormConv(5, activation='relu')
    layer.build([None, 4, 4, 3])
    for i, variable in enumerate([layer.bias, layer.norm_gain, layer.mean]):
        variable.assign(numbers(5, seed=i))
    layer.variance.assign(np.abs(numbers(5, seed=8)))
    x = numbers(6, 4, 4, 3)
    y = plain_of(layer, [4, 4, 3])(x).numpy()
    trained, mean, variance = sharing_kernels()(layer, tf.constant(x), of_minibatch=True)
    assert_allclose(mean, y.mean((0, 1, 2)), atol=1e-5)
    assert_allclose(variance, y.var((0, 1, 2)), rtol=1e-4)
    assert_allclose(trained, batch_normed(y, y.mean((0, 1, 2)), y.var((0, 1, 2)), layer), atol=1e-4)
    assert_allclose(layer(x), batch_normed(y, layer.mean.numpy(), layer.variance.numpy(), layer), atol=1e-4)


def test_batch_norm_of_D_keeps_stacked_minibatches_apart():
    layer = norms.MinibatchNormConv(5, activation='relu')
    layer.build([None, 4, 4, 3])
    layer.norm_gain.assign(numbers(5, seed=2))
    x = numbers(6, 4, 4, 3)
    y = plain_of(layer, [4, 4, 3])(x).numpy()
    for part in (slice(3), slice(3, 6)):
        expected = batch_normed(y[part], y[part].mean((0, 1, 2)), y[part].var((0, 1, 2)), layer)
        assert_allclose(layer(x, num_batches=2)[part], expected, atol=1e-4)


def test_G_tells_its_averages_what_it_saw_and_pictures_follow_them(tmp_path):
    G = randomized(Generator(**SHAPE, **BATCH_NORM))
    latents = numbers(8, G.latent_size)
    images, means = G.training_images(draws(latents), None, 0, 0.0, run_layer)
    assert means.keys() == G.averages.keys() and set(G.averages.values()) == {0.9} and len(means) == 8
    assert means.keys() <= G.own_variables().keys() and not means.keys() & G.variables_at(0).keys()
    assert np.any(np.abs(G(latents) - images) > 1e-3)
    for name, mean in means.items():
        G.own_variables()[name].assign(mean)
    assert_allclose(G(latents), images, atol=1e-4)  # Pictures whose averages are the minibatch's are those of training.
    assert_allclose(G(latents[:3]), images[:3], atol=1e-4)
    _, below = G.training_images(draws(latents), None, 1, 0.0, run_layer)
    assert below.keys() == {name for name in means if name.startswith('4x4')}
    save_snapshot(tmp_path / 'n.h5', G, Discriminator(**SHAPE, use_layernorm=True, mbdisc_kernels=3), copy_of(G))
    assert_array_equal(load_snapshot(tmp_path / 'n.h5').Gs(latents), G(latents))


def test_a_minibatch_of_batch_norm_is_not_halved():
    G = Generator(**SHAPE, **BATCH_NORM)
    latents = numbers(8, G.latent_size)
    whole, halved = (Moment(G, None, 0, 0.0, halves=halves).G(draws(latents), tf.zeros([8, 0])) for halves in ('', 'G'))
    assert_array_equal(whole, halved)


@pytest.mark.parametrize('fade', [0.0, 0.4])
def test_tanh_is_that_of_the_picture(fade):
    linear, squashed = (Generator(**SHAPE, use_tanh=use) for use in (False, True))
    z = numbers(4, linear.latent_size)
    assert_allclose(squashed(z, fade=fade), np.tanh(linear(z, fade=fade)), atol=1e-6)


@pytest.mark.parametrize('latents, labels', [(False, True), (True, True), (True, False)])
def test_latents_are_normalized_with_or_without_their_labels_or_not(latents, labels):
    G = Generator(**SHAPE, label_size=3, normalize_latents=latents, normalize_labels=labels)
    z, y, seen = numbers(4, G.latent_size), np.eye(4, 3, dtype=np.float32), []

    def first(layer, x):
        seen.append(x)
        return layer(x)
    G(tf.constant(z), y, run=first)

    def normed(x):
        return x / np.sqrt(np.mean(x ** 2, axis=1, keepdims=True) + 1e-8)
    both = np.concatenate([z, y], 1)
    expected = both if not latents else normed(both) if labels else np.concatenate([normed(z), y], 1)
    assert_allclose(seen[0], expected, atol=1e-6)


def test_a_group_of_65536_is_stddev_over_the_whole_minibatch():
    x = numbers(10, 4, 4, 3)
    deviation = np.mean(np.sqrt(np.var(x, axis=0) + 1e-8))
    appended = MinibatchStd(65536)(x).numpy()[..., 3:]
    assert_allclose(appended, np.full([10, 4, 4, 1], deviation), rtol=1e-5)


def test_the_end_of_D_is_a_valid_convolution_of_4x4_and_heads_of_their_own():
    D = randomized(Discriminator(**SHAPE, label_size=2))
    x = numbers(5, 4, 4, D.fmaps(1))
    dense, last = D.named_layers['4x4/Dense0'], D.named_layers['4x4/Dense1']
    kernel = dense.kernel().numpy().reshape(D.fmaps(1), 4, 4, -1).transpose(1, 2, 0, 3)  # HWIO
    valid = leaky(np.einsum('nhwi,hwio->no', x, kernel) + dense.bias.numpy())
    assert_allclose(dense(x), valid, atol=1e-4)
    outputs = last(valid).numpy()
    for column in range(3):
        head = valid @ last.kernel().numpy()[:, column] + last.bias.numpy()[column]
        assert_allclose(outputs[:, column], head, atol=1e-4)


def near(features, theta, log_scale, bias):
    """Minibatch discrimination as loops."""
    n, kernels = len(features), theta.shape[1]
    W = np.stack([[theta[:, k, d] / np.sqrt(np.sum(theta[:, k, d] ** 2)) * np.exp(log_scale[k, d])
                   for d in range(theta.shape[2])] for k in range(kernels)])  # [kernels, dims, A]
    distances = np.zeros([n, n, kernels])
    for i in range(n):
        for j in range(n):
            for k in range(kernels):
                distances[i, j, k] = sum(abs(w @ features[i] - w @ features[j]) for w in W[k]) + 1e6 * (i == j)
    return np.exp(-distances).sum(1) + bias, distances


def test_minibatch_discrimination_is_its_loop_and_keeps_stacked_minibatches_apart():
    layer = MinibatchDiscrimination(3, 2, seed=1)
    layer.build([None, 4])
    layer.log_scale.assign(numbers(3, 2))
    layer.bias.assign(numbers(3))
    f = 0.5 * numbers(10, 4)
    values = layer.theta.numpy(), layer.log_scale.numpy(), layer.bias.numpy()
    assert_allclose(layer(f), np.concatenate([f, near(f, *values)[0]], 1), atol=1e-5)
    stacked = np.concatenate([near(part, *values)[0] for part in (f[:5], f[5:])])
    assert_allclose(layer(f, num_batches=2)[:, 4:], stacked, atol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (again.kernels, again.dims) == (3, 2)


def test_minibatch_discrimination_starts_from_reals():
    """Distances are divided by half the mean least distance of each kernel, and outputs have the mean 0."""
    layer = MinibatchDiscrimination(3, 2, seed=1)
    layer.build([None, 4])
    f = 10 * numbers(12, 4)
    _, before = near(f, layer.theta.numpy(), np.zeros([3, 2]), 0)
    layer.initialize(f)
    half = 0.5 * before.min(axis=1).mean(axis=0)
    assert_allclose(layer.log_scale, np.repeat(-np.log(half)[:, None], 2, 1), atol=1e-4)
    outputs, _ = near(f, layer.theta.numpy(), layer.log_scale.numpy(), 0)
    assert_allclose(layer.bias, -outputs.mean(0), atol=1e-5)
    assert_allclose(layer(f)[:, 4:].numpy().mean(0), 0, atol=1e-5)
    layer.initialize(np.zeros([4, 4], np.float32))  # Examples that are all alike.
    assert np.all(np.isfinite(layer.log_scale.numpy()))


def test_D_starts_its_discrimination_from_the_features_before_it():
    D = Discriminator(**SHAPE, mbdisc_kernels=3, mbdisc_dims=2, mbstd_group_size=0)
    assert D.initial_images == 500 and D.group_size == norms.WHOLE and D.named_layers['4x4/Dense1'].weight.shape[0] == 4 + 3
    images = numbers(16, 4, 4, 3)
    D.initialize(images, 1)
    seen = []

    def last(layer, x):
        seen.append(x)
        return layer(x)
    D(tf.constant(images), level=1, run=last)
    assert_allclose(seen[-1].numpy()[:, 4:].mean(0), 0, atol=1e-5)
    stacked, _ = D(np.concatenate([images, 2 * images]), level=1, num_batches=2)
    assert_allclose(stacked[:16], D(images, level=1)[0], atol=1e-5)
    assert Discriminator(**SHAPE).initial_images == 0


@pytest.mark.parametrize('dtype', ['mixed_float16', 'mixed_bfloat16'])
def test_lower_precision_is_finite_and_near(dtype):
    G = Generator(**SHAPE, **BATCH_NORM)
    D = Discriminator(**SHAPE, use_layernorm=True, mbdisc_kernels=3)
    z = numbers(8, G.latent_size)
    images, _ = copy_of(G, dtype).training_images(draws(z), None, 0, 0.0, run_layer)
    assert_allclose(tf.cast(images, tf.float32), G.training_images(draws(z), None, 0, 0.0, run_layer)[0], atol=0.1)
    assert np.all(np.isfinite(copy_of(D, dtype)(images)[0]))
