"""Filters, modulated convolutions and activations against the reference's numbers, NumPy, and laws."""
import numpy as np
import numpy_stylegan2 as theirs
import pytest
import stylegan_goldens as goldens
import tensorflow as tf
from numpy.testing import assert_allclose

from networks import resampling
from networks.activations import GAINED, activate, leaky_relu
from networks.modulated import ModulatedConv

NUMBERS = goldens.numbers('v2_ops')
X = NUMBERS['x'].transpose(0, 2, 3, 1)
KERNELS = {key.removeprefix('k/'): value for key, value in NUMBERS.items() if key.startswith('k/')} | {
    '1331': NUMBERS['k/1331'], 'box': None}
OURS = {'filter_2d': resampling.smooth, 'upsample_2d': resampling.upsample, 'downsample_2d': resampling.downsample}
CONVOLUTIONS = {'upsample_conv_2d': resampling.upsample_conv, 'conv_downsample_2d': resampling.conv_downsample}


def nchw(x):
    return np.transpose(x, [0, 3, 1, 2])


def near(found, expected, tolerance=1e-5):
    assert found.shape == expected.shape
    assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize('key', [key for key in NUMBERS if key.split('/')[0] in OURS | CONVOLUTIONS])
def test_resampling_equals_reference(key):
    name, kernel, *weight = key.split('/')
    if weight:
        found = CONVOLUTIONS[name](X, tf.constant(NUMBERS[weight[0]]), KERNELS[kernel])
    else:
        found = OURS[name](X, KERNELS[kernel])
    near(nchw(found), NUMBERS[key])


def test_upfirdn_with_crops_equals_reference():
    x = NUMBERS['x'].reshape(6, 8, 8, 1)
    found = resampling.upfirdn(x, resampling.setup_kernel(KERNELS['asym4']), 2, 3, ((2, 0), (1, -1)))
    near(found.numpy(), NUMBERS['upfirdn_2d/up2_down3_pad1_-1_2_0'])


@pytest.mark.parametrize('key', [key for key in NUMBERS if key.startswith('fused_bias_act/')])
def test_bias_and_activation_equal_reference(key):
    name, *how = key.removeprefix('fused_bias_act/').split('_')
    if how:
        found = 3 * leaky_relu(X + NUMBERS['b'], 0.1)
    else:
        activation, gain = GAINED[name]
        found = activate(X, NUMBERS['b'], activation, gain)
    near(nchw(found), NUMBERS[key])


@pytest.mark.parametrize('name', ['plain', 'nodemod', 'up', 'down'])
def test_modulated_convolutions_equal_reference(name):
    how = {'up': {'scaling': 'up'}, 'down': {'scaling': 'down'}, 'nodemod': {'demodulate': False}}.get(name, {})
    layer = ModulatedConv(5, 4, use_noise=False, gain=1.0, resample_kernel=[1.0, 3.0, 3.0, 1.0], **how)
    layer.build([None, 8, 8, 3])
    for key in ('weight', 'mod_weight', 'mod_bias'):
        getattr(layer, key).assign(NUMBERS[f'modvar/mod_{name}/{key}'])
    near(nchw(layer(X, style=NUMBERS['dlatent'])), NUMBERS[f'modulated_conv2d/{name}'])


@pytest.mark.parametrize('taps', [1, 2, 3, 5, 6])
@pytest.mark.parametrize('side', [1, 3, 5])
def test_kernels_of_every_length_equal_numpy(taps, side):
    random = np.random.RandomState(taps * 8 + side)
    x, w = random.randn(2, 3, 6, 8), random.randn(side, side, 3, 2)
    k = random.rand(taps) + 0.1
    ours = tf.constant(x.transpose(0, 2, 3, 1), tf.float32)
    for name in ('upsample', 'downsample'):
        near(nchw(getattr(resampling, name)(ours, k)), getattr(theirs, name)(x, k))
    near(nchw(resampling.smooth(ours, k)), theirs.filter_2d(x, k))
    for name in ('upsample_conv', 'conv_downsample'):
        near(nchw(getattr(resampling, name)(ours, tf.constant(w, tf.float32), k)), getattr(theirs, name)(x, w, k))


@pytest.mark.parametrize('up, down, pads', [(1, 1, ((1, 2), (0, 3))), (2, 1, ((2, 1), (-1, 4))), (1, 2, ((1, 1), (2, 0))),
                                            (3, 2, ((0, 5), (-2, -1))), (2, 3, ((2, 0), (1, -1)))])
def test_upfirdn_has_its_adjoint_as_gradient_at_every_order(up, down, pads):
    random = np.random.RandomState(up + 4 * down)
    x, kernel = tf.constant(random.randn(2, 7, 6, 3), tf.float32), random.rand(4, 3).astype('f')

    def apply(x):
        return resampling.upfirdn(x, kernel, up, down, pads)
    near(nchw(apply(x)), theirs.upfirdn(nchw(x), kernel, up, down, *pads))
    y = tf.constant(random.randn(*apply(x).shape), tf.float32)
    with tf.GradientTape() as outer:
        outer.watch(y)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(apply(x) * y)
        gradient = tape.gradient(total, x)
        assert_allclose(tf.reduce_sum(gradient * x), total, rtol=1e-4)
        again = tf.reduce_sum(gradient * x)
    assert_allclose(outer.gradient(again, y), apply(x), rtol=1e-4, atol=1e-5)


def test_leaky_relu_has_its_slope_at_zero_and_no_curvature():
    x = tf.constant([[-1.0, 0.0, 2.0]])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = activate(x, tf.zeros([3]), *GAINED['lrelu'])
        gradient = tape.gradient(y, x)
    assert_allclose(gradient, 2 ** 0.5 * np.array([[0.2, 0.2, 1.0]]), rtol=1e-6)
    assert outer.gradient(gradient, x) is None or not np.any(outer.gradient(gradient, x))


@pytest.mark.parametrize('kernel, sentence', [([], '1 axes and 0 elements'), ([1.0, -1.0], 'use another sum than 0')])
def test_kernels_that_are_none_are_refused(kernel, sentence):
    with pytest.raises(ValueError, match=sentence):
        resampling.upsample(X, kernel)


@pytest.mark.parametrize('scale', [1e-3, 1.0, 1e4])
def test_float16_survives_every_style_and_agrees_with_float32(scale):
    random = np.random.RandomState(0)
    x, style = 20 * random.randn(2, 8, 8, 16).astype('f'), scale * random.randn(2, 4).astype('f')
    layers = [ModulatedConv(16, 4, gain=1.0, activation='leaky_relu', activation_gain=2 ** 0.5, seed=1, dtype=dtype)
              for dtype in ('float32', 'mixed_float16')]
    exact, rounded = (layer(tf.cast(x, layer.compute_dtype), style=style) for layer in layers)
    assert rounded.dtype == tf.float16
    near(np.float32(rounded), exact.numpy(), 5e-3)
