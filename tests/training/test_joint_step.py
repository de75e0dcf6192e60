"""The step of both networks from one evaluation: it is two steps from the same state."""
import numpy as np
import pytest
import tensorflow as tf
from in_process import check_resumed, statistics
from numpy.testing import assert_allclose, assert_array_equal
from step_setup import Setup, cpus

from presets.joint import Loss
from training.draws import Draws
from training.objectives.joint import Joint
from training.objectives.objective import Element, Update
from training.objectives.wgan_gp import WGANGP
from training.step import gradients_of


class Alone(WGANGP):
    """One of the two steps, of the fakes and labels that the joint step sees."""

    def __init__(self, trains, settings):
        super().__init__(settings, num_logits=4)
        self.trains = trains

    @property
    def statistics(self):
        told = super().statistics
        return [name for name in told if name.startswith('G_') == (self.trains == 'G')]

    def round(self):
        losses = {'D': self.discriminator_loss, 'G': lambda at, element, draws: self.generator_loss(
            at, element._replace(random_labels=element.labels), draws)}
        return [Update(self.trains, f'{self.trains}_loss', losses[self.trains], averages=True)]


@pytest.mark.parametrize('mbstd_group_size', [1, 4])
def test_gradients_are_those_of_two_steps_from_the_same_state(data_dir, mbstd_group_size):
    settings = Loss(wgan_target=750.0)
    setup = Setup(data_dir, mbstd_group_size=mbstd_group_size, objective=Joint(settings, 4))
    n, state = 8, setup.state
    labels = tf.one_hot(np.arange(n) % 4, 4)
    element = Element(tf.random.stateless_normal([n, 8, 8, 3], [0, 1]), labels, tf.roll(labels, 1, 0))
    draws = Draws(tf.random.stateless_normal([n, state.G.latent_size], [0, 2]), tf.random.stateless_uniform([n], [0, 3]),
                  1, tf.constant(0, tf.int64), n, 0)

    def found(objective):
        update, = objective.round()
        return tf.function(lambda: gradients_of(update, state, element, draws, 1, 0.5)[:2])()
    together, terms = found(Joint(settings, 4))
    (of_D, D_terms), (of_G, G_terms) = (found(Alone(name, settings)) for name in 'DG')
    assert terms.keys() == D_terms.keys() | G_terms.keys()
    for name, term in {**D_terms, **G_terms}.items():
        assert_allclose(terms[name], term, atol=1e-5, err_msg=name)
    for one, other in zip(together, [*of_D, *of_G], strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert_allclose(one, other, atol=1e-5 * max(1, np.max(np.abs(other))))


@pytest.mark.filterwarnings('ignore:invalid value')  # Statistics that a step alone does not tell.
@pytest.mark.parametrize('devices', [1, 2])
def test_each_network_ends_where_its_own_step_from_that_state_takes_it(data_dir, devices):
    joint, D_alone, G_alone = (Setup(data_dir, cpus(2) if devices == 2 else None, rounds=1, objective=objective)
                               for objective in (Joint(Loss(), 4), Alone('D', Loss()), Alone('G', Loss())))
    for setup in (joint, D_alone, G_alone):
        setup.run(1, learning_rate=1e-5)  # Adam divides gradients near 0 by themselves.
    for name, weight in joint.weights().items():
        other = (D_alone if name.startswith('D') else G_alone).weights()[name]
        assert_allclose(weight, other, atol=2e-6, err_msg=name)
    assert {update.trains for update in Joint(Loss(), 4, D_repeats=3).round()} == {'D', 'DG'}
    assert [update.minibatch for update in Joint(Loss(), 4, D_repeats=3).round()] == [0, 1, 2]


def test_overflow_of_one_network_stops_that_one_alone(data_dir):
    setup = Setup(data_dir, precision='fp16', rounds=1, objective=Joint(Loss(), 4))
    setup.state.G_optimizer.loss_scale.assign(3e38)
    before = setup.weights()
    told = setup.run(1)
    assert (told['G_skipped'][0], told['D_skipped'][0]) == (1.0, 0.0)
    for name in setup.state.G.variables_at(0):
        assert_array_equal(setup.weights()[f'G/{name}'], before[f'G/{name}'])
    assert any(np.any(setup.weights()[f'D/{name}'] != before[f'D/{name}']) for name in setup.state.D.variables_at(1))


def test_a_resumed_run_ends_bit_for_bit(data_dir, tmp_path):
    run = check_resumed(['v1-1gpu', 'nogrowing', 'cond', 'joint'], [
        'train.deterministic=true', 'schedule.tick_kimg=0.1', 'data.resolution=4'], data_dir, tmp_path, 0.4)
    assert {'D_loss', 'G_loss', 'mixed_norms', 'G_label_penalty_fakes'} <= statistics(run)[-1].keys()
