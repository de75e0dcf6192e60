"""StyleGAN's losses, their gradients, the average of w and of the weights against the reference's numbers."""
import numpy as np
import pytest
import stylegan_goldens as goldens
import tensorflow as tf
from numpy.testing import assert_allclose

from networks.growth import downscale, split_lod
from presets import hinge, progan, stylegan
from training.moment import Moment
from training.objectives.hinge import Hinge
from training.objectives.logistic import Logistic
from training.objectives.objective import Element
from training.objectives.wgan_gp import WGANGP
from training.optimizer import Adam
from training.state import TrainState
from training.step import copied_pairs, gradients_of, move_averages, update_average

NUMBERS = goldens.numbers('v1a_loss')
LODS = [0.0, 0.5, 1.3]

D_LOSSES = {
    'D_logistic_simplegp': Logistic(stylegan.Loss()),
    'D_logistic_simplegp_r2': Logistic(stylegan.Loss(r2_gamma=4.0)),
    'D_logistic': Logistic(stylegan.Loss(r1_gamma=0.0)),
    'D_hinge': Hinge(hinge.Loss()),
    'D_wgan_gp': WGANGP(progan.Loss()),
}
G_LOSSES = {
    'G_logistic_nonsaturating': Logistic(stylegan.Loss()),
    'G_logistic_nonsaturating_mixed': Logistic(stylegan.Loss()),
    'G_logistic_saturating': Logistic(stylegan.Loss(saturating=True)),
    'G_wgan': WGANGP(progan.Loss()),
}
TERMS = {'scores/real': 'real_scores', 'scores/fake': 'fake_scores', 'scores/mixed': 'mixed_scores'}


@pytest.fixture
def state():
    golden = goldens.networks()
    G, D, Gs = golden.G, golden.D, golden.Gs
    return TrainState(G, D, Gs, *(Adam(list(network.variables_at(0).values()), 0.0, 0.99, 1e-8) for network in (G, D)))


def evaluate(state, name, lod, gradients=False):
    """-> (loss [N], terms, {variable: gradient of the mean}, means of each evaluation of G)."""
    level, fade = split_lod(lod)
    mixed = {'mix': NUMBERS['G_mix_latents'], 'cutoff': 3} if name.endswith('_mixed') else {}
    draws = goldens.fixed_draws(state.G, NUMBERS[f'{name[0]}_latents'], level, factors=NUMBERS['gp_mixing_factors'].ravel(),
                                **mixed)
    reals = downscale(tf.constant(NUMBERS['reals'].transpose(0, 2, 3, 1)), 2 ** level)
    labels = tf.zeros([len(reals), 0])
    element = Element(reals, labels, labels)
    objective = (D_LOSSES | G_LOSSES)[name]
    update = next(update for update in objective.round() if update.trains == name[0])
    if not gradients:
        moment = Moment(state.G, state.D, level, fade)
        return *update.loss(moment, element, draws), {}, moment.means
    found, terms, means = gradients_of(update, state, element, draws, level, fade)
    names = state.networks[name[0]].variables_at(0)
    return terms[update.name], terms, dict(zip(names, found, strict=True)), means


@pytest.mark.parametrize('lod', LODS)
@pytest.mark.parametrize('name', [*D_LOSSES, *G_LOSSES])
def test_losses_and_their_terms_equal_reference(state, name, lod):
    start = f'lod{lod:g}/{name}/'
    loss, terms, _, _ = evaluate(state, name, lod)
    assert loss.shape == [8]
    golden = NUMBERS[f'{start}loss']
    # The reference adds [N, 1] and [N]: element i, i is an example's loss.
    assert_close(loss.numpy(), np.diag(golden) if golden.shape[1] > 1 else golden[:, 0], 1e-5, name)
    compared = [key for key in NUMBERS if key.startswith(start) and key.removeprefix(start) not in (
        'loss', 'dlatent_avg_after') and '/grad/' not in key]
    for key in compared:
        term = terms[TERMS.get(key.removeprefix(start), key.removeprefix(start))].numpy()
        assert_close(term, NUMBERS[key].ravel(), 2e-5, name)


def assert_close(found, golden, tolerance, name):
    """Of D's loss with a gradient at the mixes one example may be at an activation that rounding turns."""
    off = ~np.isclose(found, golden, rtol=tolerance, atol=tolerance)
    assert off.sum() <= (name == 'D_wgan_gp'), (found, golden)
    assert_allclose(found, golden, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize('name, lod', [
    ('D_logistic_simplegp', 0.0), ('D_logistic_simplegp', 1.3), ('D_wgan_gp', 0.0), ('G_logistic_nonsaturating', 0.0),
    ('G_logistic_nonsaturating', 1.3), ('G_logistic_nonsaturating_mixed', 0.0)])
def test_gradients_equal_reference(state, name, lod):
    """Where rounding, other on each processor, turns an activation at 0, the layers below differ by more than it."""
    _, _, gradients, _ = evaluate(state, name, lod, gradients=True)
    start = f'lod{lod:g}/{name}/grad/'
    assert {key.removeprefix(start) for key in NUMBERS if key.startswith(start)} == set(gradients)
    differences = {}
    for key, gradient in gradients.items():
        golden = NUMBERS[start + key]
        found = np.zeros_like(golden) if gradient is None else gradient.numpy()
        differences[key] = np.linalg.norm(found - golden) / max(np.linalg.norm(golden), 1e-30)
    assert np.median([*differences.values()]) <= 2e-4, differences
    assert max(differences.values()) <= 2e-3, differences


@pytest.mark.parametrize('name', ['G_logistic_nonsaturating', 'G_logistic_nonsaturating_mixed'])
def test_the_average_of_w_moves_toward_the_mean_of_the_first_w(state, name):
    _, _, _, means = evaluate(state, name, 0.5)
    assert len(means) == 1
    move_averages(state.G, means)
    assert_allclose(state.G.dlatent_avg, NUMBERS[f'lod0.5/{name}/dlatent_avg_after'], atol=3e-7)


def test_the_moving_average_takes_over_what_is_not_trained(state):
    pairs = [*zip(state.G.variables_at(0).values(), state.Gs.variables_at(0).values(), strict=True)]
    update_average(pairs, 0.5 ** (32 / 10000), copied_pairs(state.G, state.Gs))
    found = state.Gs.named_variables()
    for key in (key for key in NUMBERS if key.startswith('ema/')):
        assert_allclose(found[key.removeprefix('ema/')], NUMBERS[key], rtol=1e-5, atol=1e-6, err_msg=key)
