import itertools
import json

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from networks import activations
from networks.growth import downscale, split_lod
from networks.progan import Discriminator, Generator
from networks.snapshot import assign
from presets import progan
from training.draws import Draws
from training.moment import Moment
from training.objectives.objective import Element
from training.objectives.wgan_gp import WGANGP
from training.optimizer import Adam
from training.state import TrainState
from training.step import averaged_pairs, gradients_of, update_average

NEAR = np.float32(2e-6)  # Float32 sums of a convolution differ by as much between processors.


def fixed(latents, factors=None):
    """Draws of these latents and factors."""
    n = len(latents)
    return Draws(tf.constant(latents), tf.zeros([n]) if factors is None else tf.constant(factors), 0,
                 tf.constant(0, tf.int64), n, 0)


def objective_of(network, **settings):
    return WGANGP(progan.Loss(**settings), network.label_size)


def labels_of(labels, n):
    return tf.zeros([n, 0]) if labels is None else tf.constant(labels)


def discriminator_loss(G, D, reals, labels, latents, factors, level, fade, **settings):
    labels = labels_of(labels, len(reals))
    return objective_of(D, **settings).discriminator_loss(
        Moment(G, D, level, fade), Element(tf.constant(reals), labels, labels), fixed(latents, factors))


def generator_loss(G, D, latents, labels, level, fade, in_halves=False):
    labels = labels_of(labels, len(latents))
    return objective_of(D).generator_loss(
        Moment(G, D, level, fade, halves='GD' if in_halves else ''), Element(None, labels, labels),
        fixed(latents))


def d_gradients(state, reals, labels, latents, factors, level, fade):
    labels = labels_of(labels, len(reals))
    D_step, _ = objective_of(state.D).round()
    return gradients_of(D_step, state, Element(reals, labels, labels), fixed(latents, factors), level, fade)[:2]


def g_gradients(state, labels, latents, level, fade, in_halves=False):
    labels = labels_of(labels, len(latents))
    _, G_step = objective_of(state.G).round()
    return gradients_of(G_step, state, Element(None, labels, labels), fixed(latents), level, fade, in_halves)[:2]


class Golden:
    """Networks, inputs and results of one golden file of losses, gradients and Adam steps."""

    def __init__(self, folder, name, file, lod):
        self.numbers = dict(np.load(folder / file))
        arguments = {'mbstd_group_size': 4, **json.loads((folder / f'{name}.json').read_text())['static_kwargs']}
        group_size = arguments.pop('mbstd_group_size')
        G, Gs = Generator(**arguments), Generator(**arguments)
        D = Discriminator(**arguments, mbstd_group_size=group_size)
        adam = [Adam(list(net.variables_at(0).values()), beta1=0.0, beta2=0.99, epsilon=1e-8) for net in (G, D)]
        self.state = TrainState(G, D, Gs, *adam)
        for prefix in ('G', 'D', 'Gs'):
            self.put(prefix)
        self.level, self.fade = split_lod(lod)
        self.reals = downscale(tf.constant(self.numbers['reals'].transpose(0, 2, 3, 1)), 2 ** self.level)
        self.g_inputs = self.numbers.get('G_labels'), self.numbers['G_latents'], self.level, self.fade
        self.d_inputs = (self.reals, self.numbers.get('D_labels'), self.numbers['D_latents'],
                         self.numbers['mixing_factors'].ravel(), self.level, self.fade)

    def put(self, prefix):
        start = f'{prefix}/init/'
        values = {k.removeprefix(start): v for k, v in self.numbers.items() if k.startswith(start)}
        assign(getattr(self.state, prefix), {'lod': np.float32(0), **values}, 'golden')


# An activation of 'kinked', and one of 'labels' in its second or third step, is so near 0 that rounding chooses its side.
GOLDENS = {'kinked': ('a', 'a_lod1.3.npz', 1.3), 'fading': ('a', 'a_lod0.5.npz', 0.5),
           'labels': ('b', 'b_lod0.npz', 0.0), 'labels-fading': ('b', 'b_lod1.3.npz', 1.3)}


@pytest.fixture(params=GOLDENS)
def golden(goldens, request):
    return Golden(goldens / 'losses', *GOLDENS[request.param])


def distance_in_norm(actual, expected):
    return np.linalg.norm(actual - expected) / max(np.linalg.norm(expected), 1e-30)


def assert_close_in_norm(actual, expected, tolerance, name):
    assert distance_in_norm(actual, expected) <= tolerance, (name, distance_in_norm(actual, expected))


def test_losses_and_their_terms_equal_reference(golden):
    state, numbers = golden.state, golden.numbers
    reals, labels, latents, factors, level, fade = golden.d_inputs
    loss, terms = discriminator_loss(state.G, state.D, reals, labels, latents, factors, level, fade)
    assert_allclose(np.mean(loss), np.mean(numbers['D_loss']), rtol=1e-5)
    compared = [key for key in numbers if key.startswith('D_comp/')]
    assert len(compared) == len(terms)
    for key in compared:
        assert_allclose(terms[key.removeprefix('D_comp/')], numbers[key].ravel(), rtol=1e-5, atol=1e-5, err_msg=key)
    for in_halves in (False, True):
        loss, _ = generator_loss(state.G, state.D, numbers['G_latents'], numbers.get('G_labels'), level, fade,
                                 in_halves=in_halves)
        assert_allclose(np.mean(loss), np.mean(numbers['G_loss']), rtol=1e-5)


def assert_gradients_equal_reference(golden, prefix, network, gradients):
    for name, gradient in zip(network.variables_at(0), gradients, strict=True):
        expected = golden.numbers[f'{prefix}_grad/{name}']
        if gradient is None:
            assert not expected.any(), name  # Takes no part at this level.
        else:
            assert_close_in_norm(gradient.numpy(), expected, 1e-4, name)


@pytest.mark.parametrize('golden', ['fading', 'labels', 'labels-fading'], indirect=True)
def test_gradients_of_d_equal_reference(golden):
    gradients, _ = d_gradients(golden.state, *golden.d_inputs)
    assert_gradients_equal_reference(golden, 'D', golden.state.D, gradients)


@pytest.mark.parametrize('in_halves', [False, True])
def test_gradients_of_g_equal_reference(golden, in_halves):
    gradients, _ = g_gradients(golden.state, *golden.g_inputs, in_halves=in_halves)
    assert_gradients_equal_reference(golden, 'G', golden.state.G, gradients)


def three_steps(golden):
    """{name: value} of all trainables after three rounds of D step, average and G step."""
    state = golden.state
    pairs = averaged_pairs(state.G, state.Gs)[golden.level]
    for _ in range(3):
        gradients, _ = d_gradients(state, *golden.d_inputs)
        state.D_optimizer.apply(gradients, 0.001)
        update_average(pairs, 0.999)
        gradients, _ = g_gradients(state, *golden.g_inputs)
        state.G_optimizer.apply(gradients, 0.001)
    return {f'step3/{prefix}/{name}': variable.numpy() for prefix in ('G', 'D', 'Gs')
            for name, variable in getattr(state, prefix).variables_at(0).items()}


def gradients_of_d(golden):
    gradients, _ = d_gradients(golden.state, *golden.d_inputs)
    return {f'D_grad/{name}': gradient.numpy() for name, gradient
            in zip(golden.state.D.variables_at(0), gradients, strict=True) if gradient is not None}


@pytest.mark.parametrize('golden', ['fading', 'labels-fading'], indirect=True)
def test_networks_after_three_adam_steps_equal_reference(golden):
    for name, value in three_steps(golden).items():
        assert_close_in_norm(value, golden.numbers[name], 1e-4, name)


@pytest.mark.parametrize('name, compute', [('kinked', gradients_of_d), ('labels', three_steps)],
                         ids=['gradients', '3 steps'])
def test_reference_is_met_on_one_side_of_the_activations_at_zero(goldens, monkeypatch, name, compute):
    """Where an activation is so near 0 that rounding chooses its side, one side of it gives the golden; nothing else may."""
    leaky_relu = activations.leaky_relu

    def distance_with(moves, near=None):
        """From the golden, with activations moved as {(number of the call, *index): value}; `near` collects those at 0."""
        golden, calls = Golden(goldens / 'losses', *GOLDENS[name]), itertools.count()

        def moved(x):
            call, y = next(calls), x.numpy()
            if near is not None:
                near.update({(call, *index): y[tuple(index)] for index in np.argwhere(np.abs(y) < NEAR).tolist()})
            for (of, *index), value in moves.items():
                if of == call:
                    y[tuple(index)] = value
            return leaky_relu(x + (y - x.numpy()))

        monkeypatch.setitem(activations._ACTIVATIONS, 'leaky_relu', moved)
        return max(distance_in_norm(value, golden.numbers[key]) for key, value in compute(golden).items())

    near = {}
    distances = [distance_with({}, near)]
    turned = [{key: -np.copysign(NEAR, value)} for key, value in near.items()]
    assert len(turned) <= 20
    distances += map(distance_with, turned)
    if min(distances) > 1e-4:  # More than one is on the other side.
        distances += (distance_with(a | b) for a, b in itertools.combinations(turned, 2))
    assert min(distances) <= 1e-4


@pytest.mark.parametrize('minibatch, group_size', [(8, 4), (16, 4), (6, 2), (12, 4), (6, 1), (5, 1), (3, 4)])
def test_halves_are_judged_as_the_whole_minibatch(minibatch, group_size):
    G = Generator(8, label_size=2, fmap_base=64, fmap_max=8, seed=6)
    D = Discriminator(8, label_size=2, fmap_base=64, fmap_max=8, seed=5, mbstd_group_size=group_size)
    z, y = tf.random.stateless_normal([minibatch, 8], [0, 2]), np.eye(2, dtype=np.float32)[np.arange(minibatch) % 2]
    (whole, whole_terms), (halves, terms) = (
        generator_loss(G, D, z, y, 0, 0.0, in_halves=in_halves) for in_halves in (False, True))
    assert_allclose(halves, whole, atol=1e-5)
    assert_allclose(terms['G_label_penalty_fakes'], whole_terms['G_label_penalty_fakes'], atol=1e-5)


def test_gradient_norm_is_that_of_the_full_resolution_image():
    D = Discriminator(16, fmap_base=64, fmap_max=8, seed=5)
    G = Generator(16, fmap_base=64, fmap_max=8, seed=6)
    full = tf.random.stateless_normal([4, 16, 16, 3], [0, 1])
    z = tf.zeros([4, G.latent_size])
    for lod in (0.0, 0.4, 1.0, 1.7, 2.0):
        with tf.GradientTape() as tape:
            tape.watch(full)
            scores, _ = D.discriminate(full, lod)
        expected = np.sqrt(np.sum(np.square(tape.gradient(scores, full)), axis=(1, 2, 3)))
        level, fade = split_lod(lod)
        _, terms = discriminator_loss(G, D, downscale(full, 2 ** level), None, z, tf.zeros([4]), level, fade)
        assert_allclose(terms['mixed_norms'], expected, rtol=1e-4)


def test_zero_gradient_norm_gives_finite_gradients():
    D = Discriminator(8, fmap_base=64, fmap_max=8, seed=5, mbstd_group_size=1)
    G = Generator(8, fmap_base=64, fmap_max=8, seed=6)
    for variable in D.variables_at(0).values():
        variable.assign(tf.zeros_like(variable.value))
    with tf.GradientTape() as tape:
        loss, terms = discriminator_loss(G, D, tf.zeros([4, 8, 8, 3]), None, tf.ones([4, 8]), tf.zeros([4]), 0, 0.0)
    assert_allclose(terms['mixed_norms'], 0)
    gradients = tape.gradient(loss, [v.value for v in D.variables_at(0).values()])
    assert all(np.all(np.isfinite(g)) for g in gradients if g is not None)


def test_target_and_weights_enter_as_the_formula_says():
    D = Discriminator(8, label_size=2, fmap_base=64, fmap_max=8, seed=5)
    G = Generator(8, label_size=2, fmap_base=64, fmap_max=8, seed=6)
    y = np.eye(2, dtype=np.float32)[[0, 1, 1, 0]]
    reals, z = tf.random.stateless_normal([4, 8, 8, 3], [0, 1]), tf.random.stateless_normal([4, 8], [0, 2])
    loss, t = discriminator_loss(G, D, reals, y, z, tf.fill([4], 0.3), 0, 0.0, cond_weight=2.0, wgan_lambda=5.0,
                                 wgan_epsilon=0.1, wgan_target=750.0)
    expected = (t['fake_scores'] - t['real_scores'] + 5 / 750 ** 2 * (t['mixed_norms'] - 750) ** 2
                + 0.1 * t['real_scores'] ** 2 + 2 * (t['label_penalty_reals'] + t['label_penalty_fakes']))
    assert_allclose(loss, expected, rtol=1e-6)
