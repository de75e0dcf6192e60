"""LSGAN of ProGAN's appendix B: its losses, the noise in D, and that its strength is kept."""
import numpy as np
import pytest
import tensorflow as tf
from in_process import check_resumed, statistics
from numpy.testing import assert_allclose, assert_array_equal

from networks.progan import Discriminator, Generator
from presets.lsgan import Loss
from training.draws import Draws
from training.moment import Moment
from training.objectives.lsgan import LSGAN, noise
from training.objectives.objective import Element

N = 8


@pytest.fixture(scope='module')
def networks():
    shape = dict(resolution=8, fmap_base=64, fmap_max=8, seed=1)
    return Generator(**shape), Discriminator(**shape)


def draws(n=N):
    return Draws(tf.random.stateless_normal([n, 8], [0, 2]), tf.zeros([n]), 5, tf.constant(0, tf.int64), n, 0)


def element():
    reals = tf.random.stateless_normal([N, 8, 8, 3], [0, 1])
    return Element(reals, tf.zeros([N, 0]), tf.zeros([N, 0]))


def losses(networks, fake_average, **settings):
    """-> ((D's loss, terms), (G's loss, terms)), the objective."""
    objective, at = LSGAN(Loss(**settings)), Moment(*networks, 0, 0.0)
    if objective.variables:
        objective.variables['fake_average'].assign(fake_average)
    step = at, element(), draws()
    return (objective.discriminator_loss(*step), objective.generator_loss(*step)), objective


def test_losses_are_least_squares_of_swapped_targets(networks):
    G, D = networks
    ((D_loss, terms), (G_loss, _)), _ = losses(networks, 0.0)
    fake, real = D(G(draws().latents))[0].numpy(), D(element().reals)[0].numpy()
    assert_allclose(D_loss, real ** 2 + 0.1 * (fake - 1) ** 2, atol=1e-5)
    assert_allclose(G_loss, fake ** 2, atol=1e-5)
    assert_allclose(terms['fake_scores'], fake, atol=1e-5)


def test_noise_vanishes_without_strength_and_at_coefficient_0(networks):
    plain, off = losses(networks, 2.0, noise_weight=0.0)
    assert off.variables == {} and 'noise_strength' not in off.statistics
    weak, strong = losses(networks, 0.5)[0], losses(networks, 0.9)[0]
    for (loss, _), (without, _), (with_noise, _) in zip(plain, weak, strong, strict=True):
        assert_array_equal(loss, without)
        assert np.any(np.abs(with_noise - loss) > 1e-4)


def test_noise_multiplies_each_channel_with_the_stated_deviation():
    n, channels, strength = 500, 16, 0.03
    x = tf.random.stateless_normal([2 * n, 4, 4, channels], [1, 2])
    ratio = (noise(strength, draws(n))(None, x) / x).numpy()
    assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1], ratio.shape), rtol=1e-3)  # The same for all pixels.
    numbers = (ratio[:, 0, 0] - 1) / (strength * np.sqrt(channels))
    count = numbers.size
    assert abs(numbers.mean()) < 5 / np.sqrt(count) and abs(numbers.std() - 1) < 5 / np.sqrt(2 * count)
    # Neither examples nor channels nor stacked minibatches share any of it.
    assert abs(np.corrcoef(numbers[:n].ravel(), numbers[n:].ravel())[0, 1]) < 5 / np.sqrt(count / 2)
    assert len(np.unique(numbers.round(4))) > 0.7 * count


def test_noise_comes_before_the_convolutions_of_3x3_and_4x4_alone(networks):
    seen = []

    def note(layer, x):
        changed = noise(0.1, draws())(layer, x)
        seen.append((layer.name, changed is not x))
        return changed
    Moment(*networks, 0, 0.5).with_D_inputs(note).D(element().reals, None)
    assert dict(seen) == {'FromRGB_lod0': False, 'FromRGB_lod1': False, '8x8_Conv0': True, '8x8_Conv1_down': True,
                          '4x4_Conv': True, '4x4_Dense0': True, '4x4_Dense1': False}


def test_strength_follows_the_clipped_scores_of_fakes(networks):
    objective, average = LSGAN(Loss()), 0.0
    after = objective.round()[0].after
    for mean in (0.4, 3.0, 3.0, -1.0, *[2.0] * 12):
        after({'fake_scores': tf.constant([mean - 0.1, mean + 0.1])})
        average = 0.9 * average + 0.1 * min(max(mean, 0.0), 1.0)
        assert_allclose(objective.strength, 0.2 * max(0.0, average - 0.5) ** 2, atol=1e-6)
    assert average > 0.7
    after({'fake_scores': tf.constant([np.nan])})
    assert_allclose(objective.variables['fake_average'], average, atol=1e-6)
    assert [update.after is None for update in objective.round()] == [False, True]


def test_a_resumed_run_goes_on_with_its_noise_bit_for_bit(data_dir, tmp_path):
    run = check_resumed(['v1-1gpu', 'nogrowing', 'lsgan'], [
        'train.deterministic=true', 'schedule.D_learning_rate=0.02', 'loss.fake_weight=10.0', 'loss.noise_weight=2.0',
        'schedule.tick_kimg=0.4', 'data.resolution=4'], data_dir, tmp_path, 0.8)
    told = [tick['noise_strength'] for tick in statistics(run)]
    assert len(told) == 2 and min(told) >= 0 and told[-1] > 1e-3
