"""Convolutions with a gradient of their own: equal to TensorFlow's in every order, on any processor."""
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

import runtime
from networks import convolution


def gradients(convolve, inputs, weights):
    """First and second gradients of a loss that is not linear in either input, and those of a penalty on the first."""
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            y = tf.reduce_sum(tf.square(convolve(*inputs)) * weights)
        first = inner.gradient(y, inputs)
        penalty = tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in first])
    return [*first, *outer.gradient(penalty, inputs)]


def normal(*shapes):
    return [tf.random.stateless_normal(shape, [i, 0]) for i, shape in enumerate(shapes)]


def check(ours, tensorflows, inputs, monkeypatch, way):
    """Both give the same, of every order, and ours is by the function `way` of the module, or TensorFlow's where None."""
    monkeypatch.setattr(convolution, '_is_for_this_processor', lambda: True)
    used = set()
    for one in convolution.exchanged, convolution.products:
        monkeypatch.setattr(convolution, one.__name__, lambda *args, one=one: (used.add(one.__name__), one(*args))[1])
    weights, = normal(tensorflows(*inputs).shape)
    expected = gradients(tensorflows, inputs, weights)
    for convolve in ours, tf.function(ours):
        for found, value in zip(gradients(convolve, inputs, weights), expected, strict=True):
            assert_allclose(found, value, rtol=1e-4, atol=1e-5 * float(tf.norm(value)))
    assert used == ({way} if way else set())


WAYS = pytest.mark.parametrize('shape, filters, side, stride, padding, way', [
    ((8, 4, 4, 5), 7, 3, 1, 'SAME', 'exchanged'), ((16, 8, 8, 3), 4, 3, 1, 'SAME', 'exchanged'),
    ((8, 2, 6, 4), 2, 5, 1, 'SAME', 'exchanged'), ((8, 8, 4, 128), 129, 4, 2, 'SAME', 'exchanged'),
    ((8, 9, 7, 128), 128, 3, 2, 'VALID', 'exchanged'), ((8, 6, 6, 128), 128, 3, 2, 'SAME', 'exchanged'),
    ((3, 4, 6, 128), 129, 3, 1, 'SAME', 'products'), ((2, 6, 4, 128), 128, 5, 1, 'SAME', 'products'),
    ((3, 6, 4, 128), 129, 4, 2, 'SAME', 'products'), ((3, 40, 40, 128), 128, 3, 1, 'SAME', 'products'),
    ((3, 4, 4, 127), 128, 3, 1, 'SAME', None), ((8, 8, 8, 127), 128, 4, 2, 'SAME', None),
    ((3, 5, 5, 128), 128, 4, 2, 'SAME', None),
    ((3, 5, 5, 128), 128, 3, 2, 'VALID', None), ((8, 8, 8, 128), 128, 3, 2, 'VALID', None),
    ((8, 4, 4, 3), 4, 1, 1, 'SAME', None)], ids=str)


@pytest.mark.parametrize('shape', [(8, 4, 4, 8), (3, 4, 4, 128)])  # Exchanged, and as products.
def test_images_are_laid_out_anew_for_their_gradient_not_before(monkeypatch, shape):
    monkeypatch.setattr(convolution, '_is_for_this_processor', lambda: True)
    x, gradient, kernel = normal(shape, shape, (3, 3, shape[-1], shape[-1]))

    @tf.function
    def to_kernel(x, gradient):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            y = convolution.convolve(x, kernel)
        return tape.gradient(y, kernel, gradient)
    graph = to_kernel.get_concrete_function(x, gradient).graph
    images, upstream = graph.inputs[:2]
    layouts = [op for op in images.consumers() if op.type in ('Transpose', 'Pad', 'StridedSlice')]
    assert layouts and all(upstream.op in needed(op) for op in layouts)


def needed(op):
    """All operations that run before this one."""
    before = [*op.control_inputs, *(tensor.op for tensor in op.inputs)]
    return {*before, *(other for one in before for other in needed(one))}


@WAYS
def test_gradients_of_either_order_are_tensorflows(monkeypatch, shape, filters, side, stride, padding, way):
    check(lambda x, kernel: convolution.convolve(x, kernel, stride, padding),
          lambda x, kernel: tf.nn.conv2d(x, kernel, stride, padding),
          normal(shape, [side, side, shape[-1], filters]), monkeypatch, way)


@WAYS
def test_those_of_a_transposed_convolution_too(monkeypatch, shape, filters, side, stride, padding, way):
    kernel = normal([side, side, shape[-1], filters])[0]
    small = tf.nn.conv2d(tf.zeros(shape), kernel, stride, padding)
    check(lambda x, kernel: convolution.convolve_transposed(x, kernel, shape, stride, padding),
          lambda x, kernel: tf.nn.conv2d_transpose(x, kernel, shape, stride, padding),
          [normal(small.shape)[0], kernel], monkeypatch, way)


@pytest.mark.parametrize('shape, dtype, ours', [
    ((6, 4, 4, 3), 'float32', False), ((8, 32, 32, 3), 'float32', False), ((8, 4, 4, 3), 'float16', False),
    ((None, 4, 4, 3), 'float32', False), ((8, 4, 4, 3), 'float32', True)], ids=str)
def test_what_does_not_gain_is_left_to_tensorflow(monkeypatch, shape, dtype, ours):
    monkeypatch.setattr(convolution, '_is_for_this_processor', lambda: True)
    used = []
    monkeypatch.setattr(convolution, '_convolved', lambda x, kernel, how: used.append(how) or x)
    tf.function(convolution.convolve, autograph=False).get_concrete_function(
        tf.TensorSpec(shape, dtype), tf.TensorSpec([3, 3, 3, 4], dtype))
    assert bool(used) == ours


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
