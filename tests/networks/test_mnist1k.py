"""The networks of MNIST's 1000 modes: their layers, and what they make of them, in NumPy."""
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from networks.growth import downscale, upscale
from networks.mnist1k import Discriminator, Generator


def shapes(network):
    return {name.removesuffix('/weight'): tuple(variable.shape) for name, variable in network.named_variables().items()
            if name.endswith('/weight')}


def test_layers_are_those_of_the_page():
    assert shapes(Generator(32)) == {
        '4x4/Dense': (128, 16 * 64), '8x8/Conv': (3, 3, 64, 32), '16x16/Conv': (3, 3, 32, 16),
        '32x32/Conv': (3, 3, 16, 8), 'ToRGB_lod0': (3, 3, 8, 3)}
    assert shapes(Discriminator(32, D_divisor=2)) == {
        '32x32/Conv': (3, 3, 3, 4), '16x16/Conv': (3, 3, 4, 8), '8x8/Conv': (3, 3, 8, 16), '4x4/Dense': (4 * 4 * 16, 1)}
    assert [shapes(Discriminator(32, D_divisor=4))[f'{size}x{size}/Conv'][3] for size in (32, 16, 8)] == [2, 4, 8]
    growing = shapes(Discriminator(32, grows=True, mbstd_group_size=4))
    assert growing['4x4/Dense'] == (4 * 4 * 9, 1) and growing['FromRGB_lod3'] == (1, 1, 3, 8)
    for network in (Generator(32), Discriminator(32)):
        normed = {name.removesuffix('/gain') for name in network.named_variables() if name.endswith('/gain')}
        assert normed == {name for name in shapes(network) if 'RGB' not in name} - {'4x4/Dense'} | (
            {'4x4/Dense'} if network.role == 'G' else set())
        assert network.max_level == 0


def conv(x, layer, slope=None):
    y = tf.nn.conv2d(x, layer.kernel(), 1, 'SAME').numpy() + layer.bias.numpy()
    return y if slope is None else np.where(y > 0, y, slope * y)


@pytest.mark.parametrize('fade', [0.0, 0.25])
def test_networks_without_batch_norm_are_their_formulas(fade):
    how = dict(resolution=8, fmap_base=32, use_wscale=True, use_batchnorm=False, grows=True, seed=1)
    G, D = Generator(**how, use_pixelnorm=True), Discriminator(**how, D_divisor=2)

    def normed(x):
        return x / np.sqrt(np.mean(x ** 2, axis=-1, keepdims=True) + 1e-8)
    z = np.random.RandomState(0).randn(4, 128).astype(np.float32)
    dense = G.named_layers['4x4/Dense']
    x = (normed(z) @ dense.kernel().numpy()).reshape(4, 32, 4, 4).transpose(0, 2, 3, 1) + dense.bias.numpy()
    below = normed(np.where(x > 0, x, 0.3 * x))
    x = normed(conv(upscale(below), G.named_layers['8x8/Conv'], 0.3))
    images = conv(x, G.named_layers['ToRGB_lod0'])
    images += fade * (upscale(conv(below, G.named_layers['ToRGB_lod1'])).numpy() - images)
    assert_allclose(G(z, fade=fade), np.tanh(images), atol=1e-5)

    x = conv(images, D.named_layers['FromRGB_lod0'], 0.2)
    x = downscale(conv(x, D.named_layers['8x8/Conv'], 0.2)).numpy()
    x += fade * (conv(downscale(tf.constant(images)), D.named_layers['FromRGB_lod1'], 0.2) - x)
    x = x.transpose(0, 3, 1, 2).reshape(4, -1)
    assert_allclose(D(images, fade=fade)[0], (x @ D.named_layers['4x4/Dense'].kernel().numpy())[:, 0], atol=1e-5)
