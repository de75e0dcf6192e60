"""The figures of the paper are made of the pictures that they claim to show."""
import itertools

import numpy as np
import PIL.Image
import pytest
import stylegan_goldens as goldens
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from serving import figures
from serving.generate import generate_images, map_latents, synthesize_images, to_uint8
from serving.latents import of_seeds

SEEDS = [3, 5, 8]


@pytest.fixture(scope='module')
def Gs():
    return goldens.networks().Gs


@pytest.fixture(scope='module')
def artist(Gs):
    def paint(w, seeds=None, **noise):
        return itertools.chain.from_iterable(synthesize_images(Gs, w, seeds, **noise))
    return figures.Artist(Gs, lambda seeds: (map_latents(Gs, of_seeds(seeds, Gs.latent_size), truncation=1.0),
                                             [f'seed {seed}' for seed in seeds]), paint)


def pictures(Gs, seeds, **options):
    return np.concatenate([*generate_images(Gs, of_seeds(seeds, Gs.latent_size), options=options)])


def assert_same(found, expected):
    """Equal but for rounding, which another shape of minibatch may change."""
    assert_allclose(np.asarray(found, int), np.asarray(expected, int), atol=1)


def test_pictures_of_w_are_those_of_its_latents(Gs):
    latents = of_seeds(SEEDS, Gs.latent_size)
    for how, options in ((0.7, {'noise': 'random'}), (1.0, {'noise': 'stored'}), (0.3, {'noise': 'none'})):
        w = map_latents(Gs, latents, truncation=how, cutoff=5)
        found = np.concatenate([*synthesize_images(Gs, w, latents, minibatch=2, **options)])
        assert_same(found, pictures(Gs, SEEDS, truncation=how, truncation_cutoff=5, **options))


def test_style_mixing_copies_layers_of_columns_into_rows(Gs, artist):
    layout = figures.style_mixing(artist, SEEDS, [1, 2], ['coarse', '4-6'])
    images = layout.images.reshape(3, 4, 32, 32, 3)
    assert not images[0, 0].any()
    assert_same(images[0, 1:], pictures(Gs, SEEDS, truncation=1.0))
    assert_same(images[1:, 0], pictures(Gs, [1, 2], truncation=1.0))
    w = Gs.map(of_seeds([2, 8], Gs.latent_size)).numpy()
    w[0, 4:7] = w[1, 4:7]
    expected = to_uint8(Gs.synthesize(tf.constant(w[:1]), noise=Gs.noise_of('stored', w)))[0]
    assert_same(images[2, 3], expected)
    assert layout.captions[:5] == ['', 'seed 3', 'seed 5', 'seed 8', 'seed 1'] and layout.captions[5] == 'layers 0-1'


def test_truncation_goes_from_the_image_through_the_average_to_its_opposite(Gs, artist):
    layout = figures.truncation(artist, SEEDS, [1.0, 0.5, 0.0, -1.0])
    images = layout.images.reshape(3, 4, 32, 32, 3)
    assert_same(images[:, 0], pictures(Gs, SEEDS, truncation=1.0))
    assert_same(images[:, 1], pictures(Gs, SEEDS, truncation=0.5, truncation_cutoff=Gs.num_layers))
    assert_same(images[:, 2], np.repeat(images[:1, 2], 3, axis=0))
    assert np.any(np.abs(images[:, 3].astype(int) - images[:, 0]) > 50)
    assert layout.headings == {0: 'psi 1', 1: 'psi 0.5', 2: 'psi 0', 3: 'psi -1'}
    first = figures.truncation(artist, SEEDS, [0.3], cutoff=3).images
    assert_same(first, pictures(Gs, SEEDS, truncation=0.3, truncation_cutoff=3))


def test_noise_detail_shows_parts_of_draws_and_their_deviation(Gs, artist):
    layout = figures.noise_detail(artist, SEEDS[:2], samples=6)
    w = np.repeat(map_latents(Gs, of_seeds(SEEDS[1:2], Gs.latent_size), truncation=1.0), 6, axis=0)
    seeds = np.stack([np.random.RandomState(i).randn(2) for i in range(6)])
    draws = np.concatenate([*synthesize_images(Gs, w, seeds, noise='random')])
    image, parts, deviation = layout.images[3:]
    assert_same(image, draws[0])
    assert_same(parts[:16:2, 16::2], draws[2, 5:13, 20:28])  # 8 of 32 pixels, as 256 of 1024, each of them twice.
    assert_array_equal(parts[::2, ::2], parts[1::2, 1::2])
    expected = np.clip(4 * draws.mean(axis=3).std(axis=0) + 0.5, 0, 255).astype(np.uint8)
    assert_allclose(deviation.astype(int), np.repeat(expected[:, :, None], 3, axis=2), atol=4)
    assert expected.max() > 20


def test_the_detail_is_the_papers_at_1024():
    image = np.random.RandomState(0).randint(256, size=[1024, 1024, 1]).astype(np.uint8)
    part = PIL.Image.fromarray(image[:, :, 0]).crop((650, 180, 906, 436))
    expected = part.resize((512, 512), PIL.Image.Resampling.NEAREST)
    assert_array_equal(figures._detail(image)[:, :, 0], expected)


def test_noise_components_are_halves_of_images_and_every_second_is_mirrored(Gs, artist):
    images = figures.noise_components(artist, SEEDS[:2]).images
    everything, none = (pictures(Gs, SEEDS[:2], truncation=1.0, noise=noise) for noise in ('stored', 'none'))
    assert_same(images[0], np.concatenate([everything[0, :, :16], none[0, :, 16:]], axis=1))
    assert_same(images[1], np.concatenate([everything[1, :, ::-1][:, :16], none[1, :, ::-1][:, 16:]], axis=1))
    w = Gs.map(of_seeds(SEEDS[:1], Gs.latent_size))
    noise = Gs.noise_of('stored', w)
    for columns, maps in ((np.s_[:16], range(5, 8)), (np.s_[16:], range(5))):
        some = [one if i in maps else None for i, one in enumerate(noise)]
        assert_same(images[2][:, columns], to_uint8(Gs.synthesize(w, noise=some))[0][:, columns])


def test_uncurated_images_go_down_the_columns_and_are_halved_by_lanczos():
    images = np.random.RandomState(0).randint(256, size=[6, 32, 32, 3]).astype(np.uint8)
    shown = figures.uncurated(32, rows=2, lods=[0, 1], crop=[4, 8, 28, 16])
    assert shown.num_images == 6
    picture, sizes = shown.picture(iter(images))
    assert picture.shape == (32, 42, 3) and sizes == {(0, 28): '28x16', (28, 14): '14x8'}
    assert_array_equal(picture[16:, :28], images[1, 8:24, 4:])
    fourth = PIL.Image.fromarray(images[3, 8:24, 4:]).resize((14, 8), PIL.Image.Resampling.LANCZOS)
    assert_array_equal(picture[8:16, 28:], fourth)


@pytest.mark.parametrize('resolution, rows, lods, seed', [
    (1024, 3, (0, 1, 2, 2, 3, 3), 5), (512, 4, (0, 1, 2, 2, 3, 3), 2), (256, 5, (0, 0, 1, 1, 2, 2, 2), 0),
    (128, 5, (0, 0, 1, 1, 1, 1, 1), 0), (32, 5, (0,) * 7, 0)])
def test_uncurated_images_are_by_default_the_papers(resolution, rows, lods, seed):
    assert figures.uncurated(resolution) == figures.Uncurated(rows, lods, seed, (0, 0, resolution, resolution))


@pytest.mark.parametrize('settings, sentence', [
    ({'crop': [0, 0, 33, 32]}, '--crop=0,0,33,32 is no part of images of 32x32'), ({'crop': [0, 0, 8]}, 'is no part'),
    ({'crop': [0, 0, 0, 8]}, 'is no part'), ({'crop': [0, 0, 10, 8], 'lods': [2]}, 'of 10x8 cannot be halved so often'),
    ({'lods': [6]}, 'goes up to 6, but images of 32x32 cannot'), ({'lods': [10 ** 9]}, 'cannot be halved')])
def test_uncurated_images_that_do_not_fit_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        figures.uncurated(32, **settings)
