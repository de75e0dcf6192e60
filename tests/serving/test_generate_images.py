import numpy as np
import pytest
from style_networks import G_SMALL, perturbed

from networks import stylegan, stylegan2, stylegan_revised
from networks.progan import Generator
from official.load import load_official
from serving.generate import (
    default_minibatch,
    first_devices,
    generate_images,
    map_latents,
    memory_per_image,
    synthesize_images,
)
from serving.latents import SeededNoise, of_seeds


@pytest.fixture(scope='module')
def Gs():
    return Generator(resolution=16, num_channels=1, label_size=3, fmap_base=32, fmap_max=8, seed=1)


def _inputs(Gs, n=10):
    random = np.random.RandomState(0)
    return random.randn(n, Gs.latent_size), np.eye(3)[random.randint(3, size=n)]


def test_minibatches_change_nothing_and_keep_the_order(Gs):
    latents, labels = _inputs(Gs)
    whole = np.concatenate([*generate_images(Gs, latents, labels, minibatch=10)])
    parts = [*generate_images(Gs, latents, labels, minibatch=4)]
    assert [len(part) for part in parts] == [4, 4, 2]
    assert np.abs(np.concatenate(parts).astype(int) - whole).max() <= 1
    assert np.abs(np.diff(whole.astype(int), axis=0)).max() > 5  # They are different images.


def test_devices_share_the_work_and_agree(Gs):
    latents, labels = _inputs(Gs)
    one = np.concatenate([*generate_images(Gs, latents, labels, minibatch=3)])
    two = np.concatenate([*generate_images(Gs, latents, labels, minibatch=3, devices=['CPU:0', 'CPU:1', 'CPU:2'])])
    np.testing.assert_array_equal(one, two)


def test_a_network_saved_while_fading_gives_its_pictures_at_the_stored_lod(Gs):
    latents, labels = _inputs(Gs, 4)
    Gs.lod.assign(0.75)
    try:
        stored = np.concatenate([*generate_images(Gs, latents, labels)])
    finally:
        Gs.lod.assign(0)
    np.testing.assert_array_equal(stored, np.concatenate([*generate_images(Gs, latents, labels, lod=0.75)]))
    assert np.any(stored != np.concatenate([*generate_images(Gs, latents, labels)]))


def test_shrinking_is_the_references(goldens):
    golden = np.load(goldens / 'pickles' / 'network_a_run.npz')
    network = load_official(goldens / 'pickles' / 'network_a.pkl', names=('Gs',)).Gs
    shrunk = np.concatenate([*generate_images(network, golden['latents'], shrink=2)]).transpose(0, 3, 1, 2)
    difference = np.abs(shrunk.astype(int) - golden['images_uint8_shrink2'])
    assert difference.max() <= 1 and (difference > 0).mean() <= 0.001


@pytest.mark.parametrize('module, lod', [(stylegan, 0.5), (stylegan2, 0.0), (stylegan_revised, 1.0)])
def test_noise_by_seed_is_what_the_seed_draws_after_its_latent(module, lod):
    Gs, seeds = perturbed(module.Generator(**G_SMALL)), [3, 11, 5]
    latents = of_seeds(seeds, Gs.latent_size)
    numbers = SeededNoise(seeds, Gs.latent_size, Gs.noise_sizes)
    found = np.concatenate([*generate_images(Gs, latents, lod=lod, minibatch=2, noise_numbers=numbers)])
    w = map_latents(Gs, latents)
    of_w = np.concatenate([*synthesize_images(Gs, w, lod=lod, minibatch=2, noise_numbers=numbers)])
    for i, seed in enumerate(seeds):
        random = np.random.RandomState(seed)
        np.testing.assert_array_equal(random.randn(1, Gs.latent_size).astype(np.float32), latents[[i]])
        for noise in Gs.noise:  # As the reference sets them.
            noise.assign(random.randn(*noise.shape))
        expected, = generate_images(Gs, latents[[i]], lod=lod)
        for images in found, of_w:
            assert np.abs(images[i].astype(int) - expected[0]).max() <= 1
    assert np.abs(np.diff(found.astype(int), axis=0)).max() > 5


@pytest.mark.parametrize('change, sentence', [
    ({'latents': np.zeros([2, 5])}, r'shape \[2, 5\]; this network needs \[N, 8\]'),
    ({'labels': None}, 'class from 0 to 2'),
    ({'labels': np.zeros([2, 4])}, r'shape \[2, 4\]; .* need \[2, 3\]'),
    ({'lod': 2.5}, 'lod 2.5'),
    ({'shrink': 3}, 'cannot be shrunk by 3'),
    ({'minibatch': 0}, 'minibatch is 0')])
def test_unfit_inputs_are_explained(Gs, change, sentence):
    fit = {'latents': np.zeros([2, Gs.latent_size]), 'labels': np.zeros([2, 3])}
    with pytest.raises(ValueError, match=sentence):
        generate_images(Gs, **(fit | change))


def test_labels_for_an_unconditional_network_are_refused():
    unconditional = Generator(resolution=4, fmap_base=8, fmap_max=4)
    with pytest.raises(ValueError, match='trained without labels'):
        generate_images(unconditional, np.zeros([2, 4]), np.zeros([2, 10]))


def test_a_minibatch_beyond_the_memory_is_refused_with_one_that_fits(Gs):
    n = 2 ** 46 // memory_per_image(Gs)  # 64 TB.
    latents = np.broadcast_to(np.float32(0), [n, Gs.latent_size])
    labels = np.broadcast_to(np.float32(0), [n, 3])
    with pytest.raises(ValueError, match=r'need about \d+ GB .* use --minibatch=\d+'):
        generate_images(Gs, latents, labels, minibatch=n)


def test_minibatches_by_default_are_4_images_of_1024x1024_and_at_most_64():
    assert [default_minibatch(resolution) for resolution in (1024, 512, 256, 4)] == [4, 16, 64, 64]


@pytest.mark.parametrize('count', [0, 2])
def test_devices_that_are_not_there_are_refused(count):
    with pytest.raises(ValueError, match=f'--devices={count} was asked for; TensorFlow sees 1: CPU:0'):
        first_devices(count)


def test_memory_estimate_covers_the_largest_activation():
    assert memory_per_image(Generator(resolution=64, fmap_base=1024, fmap_max=64)) > 64 * 64 * 32 * 4
