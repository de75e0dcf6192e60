import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from networks.growth import downscale, split_lod, upscale
from networks.layers import MinibatchStd, PixelNorm, WScaleConv, WScaleDense, run_layer, sharing_kernels
from networks.progan import Discriminator, Generator
from networks.snapshot import assign


def golden_networks(goldens, name):
    numbers = dict(np.load(goldens / 'networks' / f'{name}.npz'))
    meta = json.loads((goldens / 'networks' / f'{name}.json').read_text())
    arguments = {'mbstd_group_size': 4, **meta['static_kwargs']}
    group_size = arguments.pop('mbstd_group_size')
    G, D = Generator(**arguments), Discriminator(**arguments, mbstd_group_size=group_size)
    for prefix, network in (('G', G), ('D', D)):
        start = f'{prefix}/var/'
        assign(network, {k.removeprefix(start): v for k, v in numbers.items() if k.startswith(start)}, 'golden')
    return numbers, meta, G, D


@pytest.mark.parametrize('name', ['a', 'b'])
def test_generator_equals_reference_at_every_lod(goldens, name):
    numbers, meta, G, _ = golden_networks(goldens, name)
    for lod in meta['lods']:
        images = G.generate(numbers['latents'], numbers['labels'], lod).numpy().transpose(0, 3, 1, 2)
        assert_allclose(images, numbers[f'G/images/lod{lod:g}'], atol=2e-5)


@pytest.mark.parametrize('name', ['a', 'b'])
def test_discriminator_equals_reference_at_every_lod(goldens, name):
    numbers, meta, _, D = golden_networks(goldens, name)
    images = numbers['images'].transpose(0, 2, 3, 1)
    for lod in meta['lods']:
        scores, logits = D.discriminate(images, lod)
        assert_allclose(scores, numbers[f'D/scores/lod{lod:g}'].ravel(), atol=1e-4)
        assert_allclose(logits, numbers[f'D/labels/lod{lod:g}'].reshape(logits.shape), atol=1e-4)


@pytest.mark.parametrize('name', ['a', 'b'])
def test_variables_have_the_reference_names_order_and_shapes(goldens, name):
    _, meta, G, D = golden_networks(goldens, name)
    for prefix, network in (('G', G), ('D', D)):
        assert list(network.named_variables()) == meta['vars'][prefix]
        assert {k: list(v.shape) for k, v in network.named_variables().items()} == meta['shapes'][prefix]


def test_lod_is_split_into_level_and_fade():
    assert split_lod(1.75) == (1, 0.75)
    assert split_lod(2.0) == (2, 0.0)
    assert split_lod(2 - 1e-12)[0] == 1  # As the schedule's.


def test_lod_one_equals_upscaled_lower_level():
    G = Generator(16, fmap_base=64, fmap_max=8, seed=1)
    z = tf.random.stateless_normal([3, G.latent_size], [1, 2])
    assert_allclose(G(z, level=0, fade=1.0), upscale(G(z, level=1, fade=0.0)), atol=1e-6)
    assert_allclose(G.generate(z, lod=1.0), upscale(G(z, level=1)), atol=1e-6)


def test_discriminator_is_continuous_between_levels():
    D = Discriminator(16, fmap_base=64, fmap_max=8, seed=1)
    images = tf.random.stateless_normal([4, 16, 16, 3], [1, 2])
    assert_allclose(D(images, level=0, fade=1.0)[0], D(downscale(images), level=1)[0], atol=1e-6)


@pytest.mark.parametrize('network, inputs', [(Generator, [4, 8]), (Discriminator, [4, 16, 16, 3])])
def test_the_number_zero_leaves_out_what_a_tensor_of_zero_fades_by_nothing(network, inputs):
    network = network(16, fmap_base=64, fmap_max=8, seed=1)
    inputs = tf.random.stateless_normal(inputs, [1, 2])
    with tf.GradientTape(persistent=True) as tape:
        left_out, faded = (network(inputs, level=0, fade=fade) for fade in (0.0, tf.constant(0.0)))
    assert_allclose(tf.nest.flatten(left_out)[0], tf.nest.flatten(faded)[0], atol=1e-6)
    lower = next(v.value for name, v in network.named_variables().items() if 'RGB_lod1/weight' in name)
    assert tape.gradient(left_out, lower) is None
    assert_allclose(tape.gradient(faded, lower), 0)


def random_like(network, seed):
    """Values for all variables, the biases not zero."""
    random_state = np.random.RandomState(seed)
    return {name: random_state.randn(*v.shape).astype(np.float32) for name, v in network.named_variables().items()
            if name != 'lod'} | {'lod': np.float32(0)}


def unfused(values):
    """The variables of a fused network for an unfused one: kernels of a transposed convolution are flipped."""
    result = {}
    for name, value in values.items():
        if '_up/weight' in name:
            value = value[::-1, ::-1].transpose(0, 1, 3, 2)
        result[name.replace('Conv0_up', 'Conv0').replace('Conv1_down', 'Conv1')] = value
    return result


@pytest.mark.parametrize('lod', [0.0, 0.6, 1.0, 2.0])
def test_fused_generator_equals_upscale_and_flipped_convolution(lod):
    arguments = dict(resolution=16, label_size=3, fmap_base=64, fmap_max=8, use_pixelnorm=False)
    fused, plain = Generator(**arguments), Generator(**arguments, fused_scale=False)
    values = random_like(fused, 0)
    assign(fused, values, 'test')
    assign(plain, unfused(values), 'test')
    z, y = np.random.RandomState(1).randn(4, 8).astype(np.float32)[:, :fused.latent_size], np.eye(4, 3, dtype=np.float32)
    assert_allclose(fused.generate(z, y, lod), plain.generate(z, y, lod), rtol=1e-4, atol=1e-4)


def test_fused_downscale_equals_convolution_and_box_filter():
    fused, plain = WScaleConv(5, scaling='down'), WScaleConv(5)
    x = np.random.RandomState(0).randn(2, 8, 8, 3).astype(np.float32)
    fused(x), plain(x)
    plain.set_weights(fused.get_weights())
    assert_allclose(fused(x), downscale(plain(x)), atol=1e-5)


def test_weights_are_stored_with_unit_variance_and_scaled_by_he():
    layer = WScaleConv(64, seed=0)
    x = np.random.RandomState(0).randn(2, 16, 16, 32).astype(np.float32)
    y = layer(x).numpy()
    assert abs(layer.weight.numpy().std() - 1) < 0.02
    assert abs(y[:, 1:-1, 1:-1].std() - np.sqrt(2)) < 0.05  # Gain sqrt(2) of unit input.


def test_without_wscale_the_constant_is_the_initial_stddev():
    layer = WScaleDense(256, use_wscale=False, seed=0)
    x = np.random.RandomState(0).randn(4, 128).astype(np.float32)
    y = layer(x)
    assert abs(layer.weight.numpy().std() - np.sqrt(2 / 128)) < 0.002
    assert_allclose(y, x @ layer.weight.numpy(), atol=1e-4)


def test_with_one_seed_equalized_learning_rate_changes_storage_but_not_the_fresh_network():
    z = tf.random.stateless_normal([4, 8], [1, 2])
    with_wscale, without = (Generator(8, fmap_base=64, fmap_max=8, seed=3, use_wscale=use) for use in (True, False))
    assert_allclose(without(z), with_wscale(z), atol=1e-5)
    assert not np.allclose(without.to_rgb[0].weight.numpy(), with_wscale.to_rgb[0].weight.numpy())


@pytest.mark.parametrize('normalize', [True, False])
def test_normalized_latents_have_no_length(normalize):
    G = Generator(8, fmap_base=64, fmap_max=8, seed=3, use_pixelnorm=False, normalize_latents=normalize)
    z = tf.random.stateless_normal([4, 8], [1, 2])
    assert np.allclose(G(z), G(3 * z), atol=1e-4) == normalize


def test_without_leaky_relu_negative_values_become_zero():
    G = Generator(8, fmap_base=64, fmap_max=8, seed=3, use_leakyrelu=False, use_pixelnorm=False)
    assert np.min(G.blocks[0][0](tf.random.stateless_normal([4, 8], [1, 2]))) == 0


def test_pixel_norm_gives_unit_mean_square():
    y = PixelNorm()(np.random.RandomState(0).randn(2, 4, 4, 16).astype(np.float32) * 7).numpy()
    assert_allclose(np.mean(y ** 2, axis=-1), 1, rtol=1e-5)


def test_pixel_norm_of_zero_is_finite_in_float16():
    assert np.all(np.isfinite(PixelNorm(1e-4, dtype='float16')(np.zeros([1, 4], np.float16))))


def test_minibatch_std_equals_numpy_and_groups_are_strided():
    x = np.random.RandomState(0).randn(8, 4, 4, 3).astype(np.float32)
    y = MinibatchStd(4)(x).numpy()
    for i in range(8):
        group = x[i % 2::2]  # Samples i, i + N/g, ...
        assert_allclose(y[i, :, :, 3], np.mean(np.sqrt(group.var(axis=0) + 1e-8)), rtol=1e-5)
    assert_allclose(y[..., :3], x)


def test_minibatch_std_keeps_stacked_minibatches_apart():
    layer = MinibatchStd(4)
    a, b = np.random.RandomState(0).randn(2, 8, 4, 4, 3).astype(np.float32)
    stacked = layer(np.concatenate([a, b]), num_batches=2)
    assert_allclose(stacked, np.concatenate([layer(a), layer(b)]), rtol=1e-6)


def test_minibatch_std_refuses_a_minibatch_it_cannot_divide():
    with pytest.raises(ValueError, match='minibatch per device is 6'):
        MinibatchStd(4)(np.zeros([6, 4, 4, 1], np.float32))


@pytest.mark.parametrize('network', [
    Generator(8, 1, 2, fmap_base=32, fmap_max=8, use_leakyrelu=False),
    Discriminator(8, 1, 2, fmap_base=32, fmap_max=8, mbstd_group_size=2)], ids=['G', 'D'])
def test_keras_file_round_trip(tmp_path, network):
    assign(network, random_like(network, 0), 'test')
    network.save(tmp_path / 'network.keras')
    loaded = keras.models.load_model(tmp_path / 'network.keras')
    assert loaded.get_config() == network.get_config()
    for name, variable in loaded.named_variables().items():
        assert_allclose(variable.numpy(), network.named_variables()[name].numpy(), err_msg=name)


def test_only_the_blocks_of_the_level_take_part():
    D = Discriminator(16, fmap_base=64, fmap_max=8)
    names = list(D.variables_at(0))
    with tf.GradientTape() as tape:
        scores, _ = D(tf.random.stateless_normal([4, 8, 8, 3], [0, 0]), level=1, fade=0.5)
    gradients = tape.gradient(scores, [D.named_variables()[name].value for name in names])
    active = {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None}
    assert active == {n for n in names if not n.startswith(('16x16', 'FromRGB_lod0'))}
    assert active == set(D.variables_at(1))


def test_all_gradients_of_second_order_exist():
    D = Discriminator(8, fmap_base=64, fmap_max=8, seed=1)
    images = tf.random.stateless_normal([4, 8, 8, 3], [0, 1])
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(images)
            scores, _ = D(images, level=0, fade=0.3)
        loss = tf.reduce_sum(tf.square(inner.gradient(scores, images)))
    weights = {k: v.value for k, v in D.variables_at(0).items() if k.endswith('weight')}
    for name, gradient in outer.gradient(loss, weights).items():
        assert np.any(gradient.numpy() != 0), name


@pytest.mark.parametrize('dtype, tolerance', [('float32', 1e-5), ('mixed_float16', 0.02)])
@pytest.mark.parametrize('layer, settings', [
    (WScaleDense, {}), (WScaleDense, {'image_size': 4}), (WScaleConv, {}), (WScaleConv, {'scaling': 'up'}),
    (WScaleConv, {'scaling': 'down'}), (WScaleConv, {'use_wscale': False}),
    (WScaleConv, {'scaling': 'up', 'use_wscale': False})])
def test_a_shared_kernel_gives_the_images_and_gradients_of_kernels_apart(layer, settings, dtype, tolerance):
    layer = layer(3, seed=1, dtype=dtype, activation='leaky_relu', **settings)
    shape = [2, 6, 6, 4] if isinstance(layer, WScaleConv) else [2, 4]
    layer.build(shape)
    parts = [tf.random.stateless_normal(shape, [0, i]) for i in range(2)]
    results = []
    for run in (run_layer, sharing_kernels()):
        with tf.GradientTape() as tape:
            outputs = [run(layer, part) for part in parts]
            loss = tf.add_n([tf.reduce_sum(tf.cast(y, tf.float32) ** 2) for y in outputs])
        results.append([*outputs, *tape.gradient(loss, [layer.weight.value, layer.bias.value])])
    for shared, apart in zip(*results, strict=True):
        assert_allclose(shared, apart, rtol=tolerance, atol=tolerance * np.max(np.abs(apart)))


@pytest.mark.parametrize('how', [lambda f: f, tf.function], ids=['eager', 'function'])
def test_gradients_of_bias_and_leaky_relu_of_both_orders(how):
    layer = WScaleDense(2, use_wscale=False, activation='leaky_relu')
    layer.build([1, 2])
    layer.weight.assign(np.eye(2))
    layer.bias.assign([0.25, -0.5])
    x = tf.constant([[1.0, 1.0], [-1.0, 0.125], [0.5, -3.0]])
    slope = np.where(x + layer.bias.value > 0, 1, np.float32(0.2))
    run = how(layer)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = run(x)
            loss = tf.reduce_sum(y ** 2)
        gradient = inner.gradient(loss, x)
    assert_allclose(gradient, 2 * slope * y, rtol=1e-6)
    assert_allclose(outer.gradient(loss, layer.bias.value), np.sum(2 * slope * y, axis=0), rtol=1e-6)
    assert_allclose(outer.gradient(gradient, x), 2 * slope ** 2, rtol=1e-6)


def test_a_level_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match='levels 0 .* to 1'):
        Generator(8, fmap_base=32, fmap_max=4)(np.zeros([1, 4], np.float32), level=2)


def test_same_seed_same_weights_and_other_seed_other_weights():
    first, same, other = (Generator(8, fmap_base=32, fmap_max=4, seed=seed).to_rgb[0].weight.numpy() for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
