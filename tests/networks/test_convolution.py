"""Convolutions with a gradient of their own: equal to TensorFlow's in every order, on any processor."""
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

import runtime
from networks import convolution


def gradients(convolve, x, kernel, weights):
    """First and second gradients of a loss that is not linear in either, and those of a penalty on the first."""
    with tf.GradientTape() as outer:
        outer.watch([x, kernel])
        with tf.GradientTape() as inner:
            inner.watch([x, kernel])
            y = tf.reduce_sum(tf.square(convolve(x, kernel)) * weights)
        first = inner.gradient(y, [x, kernel])
        penalty = tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in first])
    return [*first, *outer.gradient(penalty, [x, kernel])]


@pytest.mark.parametrize('shape, filters, size', [
    ((8, 4, 4, 5), 7, 3), ((16, 8, 8, 3), 4, 3), ((8, 2, 6, 4), 2, 5)], ids=str)
def test_gradients_of_either_order_are_tensorflows(monkeypatch, shape, filters, size):
    monkeypatch.setattr(convolution, '_is_for_this_processor', lambda: True)
    x, kernel, weights = (tf.random.stateless_normal(shape, [i, 0]) for i, shape in enumerate(
        [shape, [size, size, shape[-1], filters], [*shape[:3], filters]]))
    assert convolution._gains(x, kernel)
    expected = gradients(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, 'SAME'), x, kernel, weights)
    for convolve in convolution.convolve, tf.function(convolution.convolve):
        for found, value in zip(gradients(convolve, x, kernel, weights), expected, strict=True):
            assert_allclose(found, value, rtol=1e-4, atol=1e-5 * float(tf.norm(value)))


@pytest.mark.parametrize('shape, size, dtype', [
    ((6, 4, 4, 3), 3, 'float32'), ((8, 32, 32, 3), 3, 'float32'), ((8, 4, 4, 3), 1, 'float32'), ((8, 4, 4, 3), 3, 'float16'),
    ((None, 4, 4, 3), 3, 'float32')], ids=str)
def test_what_does_not_gain_is_left_to_tensorflow(monkeypatch, shape, size, dtype):
    monkeypatch.setattr(convolution, '_is_for_this_processor', lambda: True)
    graph = tf.function(convolution.convolve, autograph=False).get_concrete_function(
        tf.TensorSpec(shape, dtype), tf.TensorSpec([size, size, 3, 4], dtype))
    assert graph.output_shapes[-1] == 4 and not convolution._gains(graph.inputs[0], graph.inputs[1])


@pytest.mark.parametrize('flags, limit, expected', [
    ('sse4_1 avx avx2', None, False), ('avx2 avx512f avx512bw', None, True), ('avx2 avx512f', 'AVX2', False),
    ('avx2 avx512f', 'AVX512_CORE', True), ('avx2', 'DEFAULT', False), (None, None, True)])
def test_the_processor_and_onednns_limit_tell_whether_there_is_avx512(monkeypatch, flags, limit, expected):
    lines = {f'flags: fpu {flags}', 'cpu family: 6'} if flags else set()
    monkeypatch.setattr(runtime, '_about_the_processor', lambda: lines)
    monkeypatch.delenv('ONEDNN_MAX_CPU_ISA', raising=False)
    if limit:
        monkeypatch.setenv('ONEDNN_MAX_CPU_ISA', limit)
    assert runtime.has_avx512() == expected
