import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

from training.optimizer import GROWTH_INTERVAL, Adam


def variables():
    random_state = np.random.RandomState(0)
    return [tf.Variable(random_state.randn(3, 2).astype(np.float32)), tf.Variable(random_state.randn(4).astype(np.float32))]


def gradients(seed):
    random_state = np.random.RandomState(seed)
    return [tf.constant(random_state.randn(3, 2).astype(np.float32)), tf.constant(random_state.randn(4).astype(np.float32))]


@pytest.mark.parametrize('beta1', [0.0, 0.9])
def test_equals_keras_adam(beta1):
    ours, theirs = variables(), [keras.Variable(v.numpy()) for v in variables()]
    adam = Adam(ours, beta1, 0.99, 1e-8)
    reference = keras.optimizers.Adam(0.01, beta1, 0.99, 1e-8)
    for step in range(5):
        adam.apply(gradients(step), 0.01)
        reference.apply(gradients(step), theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)


def test_an_update_that_is_not_finite_changes_nothing():
    for bad in (np.inf, -np.inf, np.nan):
        ours = variables()
        adam = Adam(ours, 0.5)
        adam.apply(gradients(0), 0.01)
        before = [v.numpy() for v in (*ours, *adam.means, *adam.mean_squares, adam.step)]
        broken = gradients(1)
        broken[1] = tf.tensor_scatter_nd_update(broken[1], [[2]], [bad])
        assert adam.apply(broken, 0.01) == 1.0
        for old, new in zip(before, (*ours, *adam.means, *adam.mean_squares, adam.step), strict=True):
            assert_array_equal(old, new.numpy())
        assert adam.skipped_steps == 1 and adam.apply(gradients(1), 0.01) == 0.0 and adam.skipped_steps == 0


def test_the_loss_scale_halves_on_overflow_and_doubles_after_clean_steps():
    adam = Adam(variables(), initial_loss_scale=1024.0)
    adam.apply([tf.fill([3, 2], np.inf), tf.zeros([4])], 0.01)
    assert adam.loss_scale == 512
    apply = tf.function(lambda: adam.apply(gradients(0), 0.0))
    for _ in range(GROWTH_INTERVAL - 1):
        apply()
    assert adam.loss_scale == 512
    apply()
    assert adam.loss_scale == 1024 and adam.clean_steps == 0


def test_the_scale_does_not_change_the_update():
    plain, scaled = variables(), variables()
    Adam(plain).apply(gradients(0), 0.01)
    Adam(scaled, initial_loss_scale=256.0).apply([g * 256 for g in gradients(0)], 0.01)
    for a, b in zip(plain, scaled, strict=True):
        assert_array_equal(a.numpy(), b.numpy())


def test_a_variable_without_gradient_is_left_alone():
    ours = variables()
    before = ours[0].numpy()
    Adam(ours).apply([None, gradients(0)[1]], 0.01)
    assert_array_equal(ours[0].numpy(), before)
    assert not np.allclose(ours[1].numpy(), variables()[1].numpy())


def test_reset_starts_bias_correction_anew():
    ours = variables()
    adam = Adam(ours, initial_loss_scale=64.0)
    adam.apply(gradients(0), 0.01)
    adam.reset()
    assert adam.step == 0 and adam.loss_scale == 64
    before = ours[1].numpy()
    adam.apply(gradients(1), 0.01)
    assert_allclose(np.abs(ours[1].numpy() - before), 0.01, rtol=1e-3)  # A first step of Adam moves by the learning rate.
