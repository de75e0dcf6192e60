"""StyleGAN2's losses, regularizers, their gradients, and lazy Adam against the reference's numbers, and laws."""
import numpy as np
import pytest
import stylegan_goldens as goldens
import tensorflow as tf
from numpy.testing import assert_allclose

from networks.growth import downscale, split_lod
from presets.stylegan2 import Loss
from training.moment import Moment
from training.objectives.objective import Element
from training.objectives.stylegan2 import StyleGAN2
from training.optimizer import Adam
from training.state import TrainState
from training.step import gradients_of, move_averages

NUMBERS = {name: goldens.numbers(f'{name}_loss') for name in ('v2a', 'v2d')}
SETTINGS = {
    'G_logistic_ns_pathreg': {}, 'G_logistic_ns': {'pl_weight': 0.0}, 'G_logistic_ns_mixed': {'pl_weight': 0.0},
    'D_logistic_r1': {}, 'D_logistic_r2': {'D_penalty': 'r2'}, 'D_wgan_gp': {'D_loss': 'wgan', 'D_penalty': 'gp'}}
CASES = [('v2a', 0.0), ('v2d', 0.0), ('v2d', 0.5), ('v2d', 1.3)]
TERMS = {'scores/real': 'real_scores', 'scores/fake': 'fake_scores'}


@pytest.fixture(scope='module')
def states():
    found = {}
    for name in NUMBERS:
        golden = goldens.networks(name)
        adams = (Adam(list(network.variables_at(0).values()), 0.0, 0.99, 1e-8) for network in (golden.G, golden.D))
        found[name] = TrainState(golden.G, golden.D, golden.Gs, *adams)
    return found


def prepared(state, numbers, name, lod, **settings):
    """-> (updates by what they tell, arguments of gradients_of) of a loss by the reference's name."""
    level, fade = split_lod(lod)
    objective = StyleGAN2(Loss(**SETTINGS[name] | settings))
    if objective.variables:
        objective.variables['pl_mean'].assign(0.3)
    noise = numbers['pl_noise_unit'].transpose(0, 2, 3, 1)
    # A pixel of a lower level stands for several, whose noise adds up.
    noise = downscale(tf.constant(noise), 2 ** level) * 2 ** level
    of_lengths = goldens.fixed_draws(state.G, numbers['pl_latents'], level, directions=noise)
    mixed = {'mix': numbers['G_mix_latents'], 'cutoff': 3} if name.endswith('_mixed') else {}
    draws = goldens.fixed_draws(state.G, numbers[f'{name[0]}_latents'], level, of_lengths=of_lengths,
                                factors=numbers['gp_mixing_factors'].ravel(), **mixed)
    reals = downscale(tf.constant(numbers['reals'].transpose(0, 2, 3, 1)), 2 ** level)
    labels = tf.zeros([len(reals), 0])
    updates = {update.name: update for update in objective.round() if update.trains == name[0]}
    return objective, updates, (state, Element(reals, labels, labels), draws, level, fade)


@pytest.mark.parametrize('golden, lod', CASES)
@pytest.mark.parametrize('name', SETTINGS)
def test_losses_regularizers_and_their_terms_equal_reference(states, golden, name, lod):
    numbers, state, start, told = NUMBERS[golden], states[golden], f'lod{lod:g}/{name}/', {}
    objective, updates, (_, element, draws, level, fade) = prepared(state, numbers, name, lod)
    for update in updates.values():
        loss, terms = update.loss(Moment(state.G, state.D, level, fade), element, draws)
        told |= terms | {{'loss': 'loss', 'reg': 'reg'}[update.name.split('_')[1]]: loss}
        assert loss.shape == [4] if update.name == 'G_reg' else [8]
    # Of the gradients at mixes one example may be at an activation that rounding turns.
    per_example = lambda term: np.sort(np.abs(term))[:-1] if name == 'D_wgan_gp' else term  # noqa: E731
    compared = [key for key in numbers if key.startswith(start) and '_grad/' not in key and not key.endswith('_after')]
    assert len(compared) >= (1 if name in ('G_logistic_ns', 'G_logistic_ns_mixed') else 3)
    for key in compared:
        term = told[TERMS.get(key.removeprefix(start), key.removeprefix(start))].numpy()
        tolerance = 1e-5 if key.endswith(('loss', 'reg')) else 2e-5
        assert_allclose(per_example(term), per_example(numbers[key].ravel()), rtol=tolerance, atol=1e-5, err_msg=key)
    if 'G_reg' in updates:
        updates['G_reg'].after({'pl_lengths': told['pl_lengths']})
        assert_allclose(objective.variables['pl_mean'], numbers[f'{start}pl_mean_after'], rtol=1e-5)


@pytest.mark.parametrize('golden, lod', [('v2a', 0.0), ('v2d', 1.3)])
@pytest.mark.parametrize('name', ['G_logistic_ns_pathreg', 'D_logistic_r1'])
def test_gradients_equal_reference(states, golden, name, lod):
    numbers, tolerance = NUMBERS[golden], {'v2a': 1e-4, 'v2d': 2e-3}[golden]
    _, updates, arguments = prepared(states[golden], numbers, name, lod)
    for update in updates.values():
        kind = update.name.split('_')[1]
        found, _, _ = gradients_of(update, *arguments)
        start = f'lod{lod:g}/{name}/{kind}_grad/'
        variables = states[golden].networks[name[0]].variables_at(0)
        assert {key.removeprefix(start) for key in numbers if key.startswith(start)} == set(variables)
        for key, gradient in zip(variables, found, strict=True):
            expected = numbers[start + key] * update.every
            gradient = np.zeros_like(expected) if gradient is None else gradient.numpy()
            assert np.linalg.norm(gradient - expected) <= tolerance * np.linalg.norm(expected) + 1e-7, (update.name, key)


def test_the_gradient_runs_through_the_mean_of_path_lengths(states):
    def gradient(decay):
        objective, updates, arguments = prepared(states['v2a'], NUMBERS['v2a'], 'G_logistic_ns_pathreg', 0.0)
        return gradients_of(updates['G_reg'], *arguments)[0][1].numpy(), objective, arguments
    through, objective, (state, element, draws, level, fade) = gradient(0.01)
    with tf.GradientTape() as tape:
        moment = Moment(state.G, state.D, level, fade)
        loss, terms = objective.path_lengths(moment, element, draws)
        lengths = terms['pl_lengths']
        stopped = 2 * tf.square(lengths - tf.stop_gradient(objective._moved(tf.reduce_mean(lengths))))
        total = 4 * tf.reduce_mean(stopped)
    without = tape.gradient(total, state.G_optimizer.variables_)[1].numpy()
    assert 1e-3 < np.linalg.norm(through - without) / np.linalg.norm(through) < 0.05
    assert_allclose(stopped, loss, rtol=1e-5)


@pytest.mark.parametrize('name', ['G_logistic_ns', 'G_logistic_ns_mixed'])
def test_the_average_of_w_moves_toward_the_mean_of_the_first_w(states, name):
    numbers, state = NUMBERS['v2a'], states['v2a']
    before = state.G.dlatent_avg.numpy()
    _, updates, arguments = prepared(state, numbers, name, 0.0)
    move_averages(state.G, gradients_of(updates['G_loss'], *arguments)[2])
    assert_allclose(state.G.dlatent_avg, numbers[f'lod0/{name}/dlatent_avg_after'], atol=1e-6)
    state.G.dlatent_avg.assign(before)


def test_lazy_and_not_lazy_have_the_same_gradients_together(states):
    for name in ('G_logistic_ns_pathreg', 'D_logistic_r1', 'D_logistic_r2', 'D_wgan_gp'):
        _, lazy, arguments = prepared(states['v2a'], NUMBERS['v2a'], name, 0.0)
        _, whole, _ = prepared(states['v2a'], NUMBERS['v2a'], name, 0.0, lazy=False)
        together, terms, _ = gradients_of(*whole.values(), *arguments)
        parts = [[gradient / update.every for gradient in gradients_of(update, *arguments)[0]]
                 for update in lazy.values()]
        for gradient, *of_parts in zip(together, *parts, strict=True):
            total = sum(of_parts)
            assert np.linalg.norm(gradient - total) <= 1e-3 * np.linalg.norm(total) + 1e-6, name
        assert {'G': 'pl_penalty', 'D': 'gradient_penalty' if 'logistic' in name else 'mixed_norms'}[name[0]] in terms


def test_other_losses_are_their_formulas_of_the_scores():
    real, fake = np.random.RandomState(0).randn(2, 8).astype('f')
    softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731
    for settings, expected in (
            ({}, softplus(-fake)), ({'G_loss': 'logistic'}, -softplus(fake)), ({'G_loss': 'wgan'}, -fake)):
        assert_allclose(StyleGAN2(Loss(**settings)).of_fakes(tf.constant(fake)), expected, rtol=1e-5)

    class Judges:
        def D(self, images, labels, num_batches=1):  # noqa: N802
            return tf.concat([real, fake], 0), tf.zeros([16, 0])
    for settings, expected in (
            ({}, softplus(fake) + softplus(-real)), ({'D_loss': 'wgan'}, fake - real + 0.001 * real ** 2)):
        loss, terms, _, _ = StyleGAN2(Loss(**settings)).of_both(Judges(), real, fake, tf.zeros([8, 0]), None)
        assert_allclose(loss, expected, rtol=1e-5)
        assert ('epsilon_penalty' in terms) == ('D_loss' in settings)


def test_without_a_weight_there_is_no_regularizer_but_adam_stays_lazy():
    objective = StyleGAN2(Loss(pl_weight=0.0, gamma=0.0))
    assert [update.name for update in objective.round()] == ['G_loss', 'D_loss'] and objective.variables == {}
    assert Loss(pl_weight=0.0).lazy_intervals == {'G': 4, 'D': 16} and Loss(lazy=False).lazy_intervals == {}


def test_G_steps_before_D_and_the_average_follows_G_and_its_regularizer():
    updates = StyleGAN2(Loss()).round()
    assert [(update.name, update.every, update.averages) for update in updates] == [
        ('G_loss', 1, False), ('G_reg', 4, False), ('D_loss', 1, True), ('D_reg', 16, False)]


@pytest.mark.parametrize('interval, rounds', [(4, 1), (4, 2), (16, 1), (16, 2)])
def test_lazy_adam_equals_reference_over_all_iterations(interval, rounds):
    numbers = goldens.numbers('v2_lazy_adam')
    start = f'k{interval}/acc{rounds}/'
    x = tf.Variable(numbers[f'{start}x0'])
    adam = Adam([x], 0.0, 0.99, 1e-8, lazy_interval=interval)
    for i, expected in enumerate(numbers[f'{start}x']):
        adam.apply([tf.constant(numbers[f'{start}grad_loss'][i].mean(0))], 0.002)
        if i % interval == 0:
            adam.apply([tf.constant(numbers[f'{start}grad_reg_before_times_k'][i].mean(0) * interval)], 0.002)
        assert_allclose(x, expected, rtol=1e-6, atol=1e-6)


def test_lazy_adam_has_the_rates_and_betas_of_the_page():
    for interval, rate, beta2 in ((4, 0.0016, 0.991992), (16, 0.00188235, 0.990585)):
        adam = Adam([tf.Variable(0.0)], 0.0, 0.99, 1e-8, lazy_interval=interval)
        assert (0.002 * adam.rate, adam.beta2) == (pytest.approx(rate, rel=1e-5), pytest.approx(beta2, rel=1e-6))
        assert adam.beta1 == 0.0


def test_what_a_regularizer_does_not_reach_stays_while_its_second_moment_decays(states):
    state, name = states['v2a'], 'G_synthesis/8x8/ToRGB/bias'
    _, updates, arguments = prepared(state, NUMBERS['v2a'], 'G_logistic_ns_pathreg', 0.0)
    gradients = gradients_of(updates['G_reg'], *arguments)[0]
    index = list(state.G.variables_at(0)).index(name)
    assert gradients[index] is not None and not np.any(gradients[index])
    of_loss = gradients_of(updates['G_loss'], *arguments)[0][index]
    x = tf.Variable(tf.zeros_like(of_loss))
    adam = Adam([x], 0.0, 0.99, 1e-8, lazy_interval=4)
    adam.apply([of_loss], 0.002)
    before, moment = x.numpy(), adam.mean_squares[0].numpy()
    adam.apply([gradients[index]], 0.002)
    assert_allclose(x, before), assert_allclose(adam.mean_squares[0], moment * adam.beta2, rtol=1e-5)
    assert adam.step.numpy() == 2


def test_the_gradient_of_r1_is_0_at_the_biases_of_the_end_of_D(states):
    _, updates, arguments = prepared(states['v2a'], NUMBERS['v2a'], 'D_logistic_r1', 0.0)
    gradients = dict(zip(states['v2a'].D.variables_at(0), gradients_of(updates['D_reg'], *arguments)[0], strict=True))
    assert not any(np.any(gradients[name]) for name in ('4x4/Conv/bias', '4x4/Dense0/bias', 'Output/bias'))
    assert np.any(gradients['32x32/Conv0/bias'])  # Which minibatch stddev makes matter.
