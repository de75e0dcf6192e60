"""Convolutions with a gradient of their own: equal to TensorFlow's in every order, on any processor."""
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

import runtime
from networks import convolution, minimal_filtering


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


def let_be(monkeypatch, avx512):
    """As if this were an x86 processor, without AVX-512 or with it."""
    monkeypatch.setattr(convolution, '_is_for_these_processors', lambda: True)
    monkeypatch.setattr(convolution, '_lacks_avx512', lambda: not avx512)


def check(ours, tensorflows, inputs, monkeypatch, way, avx512=False):
    """Both give the same, of every order, and ours is by the function `way` of the module, or TensorFlow's where None."""
    let_be(monkeypatch, avx512)
    used = set()
    for one in convolution.exchanged, convolution.products, convolution.minimal:
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
    ((8, 16, 16, 128), 129, 3, 1, 'SAME', 'minimal'), ((3, 40, 19, 128), 128, 3, 1, 'SAME', 'minimal'),
    ((1024, 2, 1, 128), 128, 3, 1, 'SAME', 'minimal'), ((5, 48, 48, 128), 128, 3, 1, 'SAME', 'minimal'),
    ((3, 6, 4, 128), 129, 4, 2, 'SAME', 'products'), ((9, 66, 64, 128), 128, 4, 2, 'SAME', 'products'),
    ((3, 4, 6, 128), 129, 3, 1, 'SAME', None), ((1, 65, 40, 128), 128, 3, 1, 'SAME', None),
    ((2, 6, 4, 128), 128, 5, 1, 'SAME', None), ((2, 64, 64, 128), 128, 3, 1, 'VALID', None),
    ((3, 32, 32, 127), 128, 3, 1, 'SAME', None), ((8, 8, 8, 127), 128, 4, 2, 'SAME', None),
    ((3, 5, 5, 128), 128, 4, 2, 'SAME', None),
    ((3, 5, 5, 128), 128, 3, 2, 'VALID', None), ((8, 8, 8, 128), 128, 3, 2, 'VALID', None),
    ((8, 4, 4, 3), 4, 1, 1, 'SAME', None)], ids=str)


@pytest.mark.parametrize('shape, side, stride', [
    ((8, 4, 4, 8), 3, 1), ((3, 4, 4, 128), 4, 2), ((8, 16, 16, 128), 3, 1)])  # Exchanged, as products, minimal.
def test_images_are_laid_out_anew_for_their_gradient_not_before(monkeypatch, shape, side, stride):
    let_be(monkeypatch, avx512=False)
    n, h, w, c = shape
    x, gradient, kernel = normal(shape, (n, h // stride, w // stride, c), (side, side, c, c))

    @tf.function
    def to_kernel(x, gradient):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            y = convolution.convolve(x, kernel, stride)
        return tape.gradient(y, kernel, gradient)
    graph = to_kernel.get_concrete_function(x, gradient).graph
    images, upstream = graph.inputs[:2]
    products = [op for op in graph.get_operations() if op.type in ('Conv2D', 'MatMul')]
    layouts = {op for product in products if upstream.op in needed(product) for op in needed(product)
               if images.op in needed(op) and op.type in ('Transpose', 'Pad', 'StridedSlice')}
    assert layouts and all(upstream.op in needed(op) for op in layouts)


def needed(op):
    """All operations that run before this one."""
    found, left = set(), [op]
    while left:
        one = left.pop()
        before = {*one.control_inputs, *(tensor.op for tensor in one.inputs)} - found
        found |= before
        left += before
    return found


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


@pytest.mark.parametrize('shape, filters, side, stride, way', [
    ((3, 32, 32, 128), 129, 3, 1, 'minimal'), ((8, 4, 4, 5), 7, 3, 1, None), ((3, 6, 4, 128), 129, 4, 2, None)], ids=str)
def test_with_avx512_only_what_saves_multiplications_is_ours(monkeypatch, shape, filters, side, stride, way):
    check(lambda x, kernel: convolution.convolve(x, kernel, stride),
          lambda x, kernel: tf.nn.conv2d(x, kernel, stride, 'SAME'),
          normal(shape, [side, side, shape[-1], filters]), monkeypatch, way, avx512=True)


def test_the_kernel_may_be_a_variable_and_the_tapes_outside_of_a_compiled_function(monkeypatch):
    let_be(monkeypatch, avx512=True)
    x, kernel = normal((2, 32, 32, 128), (3, 3, 128, 128))
    compiled = tf.function(convolution.convolve, jit_compile=True)
    weights = normal(x.shape)[0]
    expected = gradients(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, 'SAME'), [x, kernel], weights)
    for convolve, given in (convolution.convolve, tf.Variable(kernel)), (compiled, kernel):
        for found, value in zip(gradients(convolve, [x, given], weights), expected, strict=True):
            assert_allclose(found, value, rtol=1e-4, atol=1e-5 * float(tf.norm(value)))


def test_minimal_filtering_is_no_less_exact():
    x, kernel = normal((2, 32, 32, 256), (3, 3, 256, 256))
    exact = tf.nn.conv2d(tf.cast(x, tf.float64), tf.cast(kernel, tf.float64), 1, 'SAME')
    errors = [float(tf.norm(tf.cast(y, tf.float64) - exact)) for y in (
        minimal_filtering.convolve(x, kernel), tf.nn.conv2d(x, kernel, 1, 'SAME'))]
    assert errors[0] < 2 * errors[1] < 4e-6 * float(tf.norm(exact))  # 0.75 of it, seen.


@pytest.mark.parametrize('shape, dtype, ours', [
    ((6, 4, 4, 3), 'float32', False), ((8, 32, 32, 3), 'float32', False), ((8, 4, 4, 3), 'float16', False),
    ((None, 4, 4, 3), 'float32', False), ((8, 4, 4, 3), 'float32', True)], ids=str)
def test_what_does_not_gain_is_left_to_tensorflow(monkeypatch, shape, dtype, ours):
    let_be(monkeypatch, avx512=False)
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
