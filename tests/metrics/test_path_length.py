"""Perceptual path length: the reference's slerp, laws of generators with known paths, networks that it cannot measure."""
import math

import runtime  # isort: skip  # noqa: F401 - before TensorFlow
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose
from places import GOLDENS

from metrics.paths import crop_face, path_lengths, slerp
from metrics.perceptual_path_length import WFull, WholeWEnd, ZEnd, ZFull, trimmed_mean
from metrics.table import check_network, parse_specs
from networks import progan, stylegan, stylegan2
from networks.network import GeneratorNetwork


def squared(a, b):
    """Stands for LPIPS where a path's length in pixels is known."""
    return tf.reduce_sum(tf.square((a - b) / 127.5), axis=[1, 2, 3])


class Affine(GeneratorNetwork):
    """w = 2z + 1; the image is w, and noise that its two images of a pair must share."""
    has_w = True
    kind, resolution, latent_size, label_size, stored_lod = 'affine', 16, 256, 0, 0.0

    def __init__(self):
        pass

    def map(self, latents, labels=None):
        return tf.repeat(2 * latents[:, None] + 1, 2, axis=1)

    def noise_of(self, kind, latents, level=0):
        assert kind == 'random'
        return [1000 * tf.sign(latents[:, :1, None, None])]

    def synthesize(self, w, level=0, fade=0.0, noise=()):
        return tf.reshape(w[:, 1], [-1, 16, 16, 1]) + noise[0]

    def at_full_resolution(self, images, level):
        return images


class WithoutNoise(Affine):
    def noise_of(self, kind, latents, level=0):
        return [tf.zeros([tf.shape(latents)[0], 1, 1, 1])]


def drawn(seed, count):
    """The pairs of latents that a metric draws."""
    return np.random.RandomState([seed, 0]).randn(count, 2, 256).astype(np.float32)


def test_slerp_is_the_references():
    golden = np.load(GOLDENS / 'stylegan' / 'metrics.npz')
    assert_allclose(slerp(golden['slerp/a'], golden['slerp/b'], golden['slerp/t']), golden['slerp/out'], atol=1e-6)


def test_the_face_is_cropped_where_the_reference_does():
    rows, columns = np.mgrid[:32, :32]
    found = crop_face(np.stack([rows, columns], -1)[None])
    assert found.shape == (1, 16, 16, 2) and found[0, 0, 0].tolist() == [12, 8] and found[0, -1, -1].tolist() == [27, 23]


def test_the_mean_leaves_out_what_lies_beyond_the_first_and_the_last_percentile():
    values = np.arange(1000.0)
    assert trimmed_mean(values) == np.mean(values[9:991])
    assert trimmed_mean(np.array([3.0, 5.0])) == 4.0


@pytest.mark.parametrize('metric', [WholeWEnd, WFull])
def test_paths_in_w_of_an_affine_generator_have_the_length_of_its_slope(metric):
    z = drawn(5, 60)
    slopes = 2 * (z[:, 1] - z[:, 0]).reshape(60, 16, 16)
    if metric.crop:
        slopes = slopes[:, 6:14, 4:12]
    expected = trimmed_mean(np.sum(np.square(slopes, dtype=np.float64), axis=(1, 2)))

    class Tested(metric):
        @classmethod
        def check(cls, Gs):
            """16 pixels are enough here."""

    found = [Tested(squared).measure_network(WithoutNoise(), np.zeros([60, 0], np.float32), minibatch, 5, None)
             for minibatch in (8, 34)]
    assert_allclose(found, [[expected]] * 2, rtol=0.02)  # Differences of float32 images over 1e-4.


def test_paths_in_z_turn_by_the_angle_between_the_ends():
    z = drawn(0, 20)
    unit = z / np.linalg.norm(z, axis=-1, keepdims=True)
    angles = np.arccos(np.sum(unit[:, 0] * unit[:, 1], axis=-1))
    for full in False, True:
        lengths = path_lengths(WithoutNoise(), squared, 'z', full, crop=False)
        found = lengths(z, np.linspace(0, 1, 20, dtype=np.float32), np.zeros([20, 0], np.float32))
        assert_allclose(found, (2 * angles) ** 2, rtol=0.05)


def test_both_images_of_a_pair_have_one_noise_and_equal_ends_no_distance():
    z = np.repeat(drawn(0, 6)[:, :1], 2, axis=1)
    lengths = path_lengths(Affine(), squared, 'w', True, crop=False)
    assert np.all(lengths(z, np.full(6, 0.5, np.float32), np.zeros([6, 0], np.float32)).numpy() == 0)


def tiny(kind, resolution=32, **settings):
    return kind.Generator(resolution=resolution, fmap_base=16, fmap_max=4, label_size=3, seed=1, **settings)


def noisy(kind):
    """A network whose images depend on noise."""
    network = tiny(kind, dlatent_size=8, latent_size=8, mapping_fmaps=8)
    for name, variable in network.named_variables().items():
        if name.endswith(('Noise/weight', 'StyleMod/bias', 'noise_strength')):
            variable.assign(np.random.RandomState(0).randn(*variable.shape))
    return network


@pytest.fixture(scope='module')
def Gs():
    network = noisy(stylegan)
    network.lod.assign(0.5)  # In the middle of fading.
    return network


@pytest.mark.parametrize('kind, metric', [('stylegan', ZFull), ('stylegan2', WholeWEnd)])
def test_style_based_networks_are_measured_alike_by_any_minibatch_and_devices(Gs, kind, metric):
    Gs = Gs if kind == 'stylegan' else noisy(stylegan2)
    labels = np.eye(3, dtype=np.float32)[np.arange(11) % 3]
    first = metric(squared).measure_network(Gs, labels, 22, 0, ['CPU:0'])
    shared = metric(squared).measure_network(Gs, labels, 5, 0, ['CPU:0', 'CPU:1'])
    assert len(first) == len(metric.columns) and math.isfinite(first[0]) and first[0] > 0
    assert_allclose(shared, first, rtol=0.05)


def test_labels_matter_and_both_ends_have_the_same(Gs):
    lengths = path_lengths(Gs, squared, 'w', False, False)
    z = np.random.RandomState(0).randn(2, 2, 8).astype(np.float32)
    z[1] = z[0]
    found = lengths(z, np.zeros(2, np.float32), np.eye(3, dtype=np.float32)[:2])
    assert abs(found[0] / found[1] - 1) > 0.1
    same_ends = lengths(z[:, [0, 0]], np.zeros(2, np.float32), np.eye(3, dtype=np.float32)[:2])
    assert np.all(same_ends.numpy() == 0)


def test_a_progan_is_measured_in_z_and_refused_in_w():
    network = tiny(progan)
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    assert ZFull(squared).measure_network(network, labels, 4, 0, None)[0] > 0
    for name in 'ppl_wfull', 'ppl_wend', 'ppl2_wend':
        with pytest.raises(ValueError, match=f'^{name} follows paths in w, but networks of kind progan have no w; .*\\.$'):
            check_network(parse_specs(f'ppl_zfull,{name}'), network)
    with pytest.raises(ValueError, match='ls separates points in w, but networks of kind progan have no w'):
        check_network(parse_specs('ls'), network)


def test_images_too_small_for_vgg16_are_refused(Gs):
    small = tiny(progan, resolution=16)
    with pytest.raises(ValueError, match=r'ppl_zfull compares images of 8x8 in the middle, but VGG16 needs 16x16 or more'):
        check_network(parse_specs('ppl_zfull'), small)
    check_network(parse_specs('ppl_wfull,ppl2_wend'), Gs)


def test_distances_that_are_not_finite_are_told(Gs):
    with pytest.raises(ValueError, match='ppl_zend found distances that are not finite'):
        ZEnd(lambda a, b: a[:, 0, 0, 0] * math.nan).measure_network(Gs, np.zeros([4, 3], np.float32), 8, 0, None)
