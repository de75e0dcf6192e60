"""Activations by name, so that configs and files hold no code, with gradients of every order."""
import math

import tensorflow as tf
from tensorflow.python.eager import record

SQRT2 = math.sqrt(2.0)


def recorded(compute, gradients, *inputs):
    """compute(*inputs), for gradient tapes with `gradients(upstream)` as the list of the inputs' gradients.

    tf.custom_gradient adds an identity operation and zeros to the graph for each use, and leaves a gradient in SavedModels
    and ONNX files, which cannot hold it.
    """
    with record.stop_recording():
        result = compute(*inputs)
    record.record_operation(compute.__name__, [result], inputs, gradients)
    return result


def _add_bias(x, bias):
    # Not BiasAddGrad: oneDNN would compute it within the kernel's gradient, which then takes a tenth longer.
    def gradients(gradient):
        return [gradient, tf.reduce_sum(gradient, [*range(len(x.shape) - 1)])]
    return recorded(tf.nn.bias_add, gradients, x, bias)


def leaky_relu(x, slope=0.2, multiply=None):
    """Leaky ReLU. Under a gradient tape it keeps its output, not its input too: both have the same sign.

    `multiply(g, y)` is g times the slope at the output y; that at 0 is `slope` unless it says otherwise.
    """
    multiply = multiply or (lambda g, y: tf.raw_ops.LeakyReluGrad(gradients=g, features=y, alpha=slope))

    def slopes(gradient):  # Linear, so it is its own gradient.
        return recorded(lambda g: multiply(g, y), lambda upstream: [slopes(upstream)], gradient)
    y = recorded(lambda x: tf.nn.leaky_relu(x, alpha=slope), lambda gradient: [slopes(gradient)], x)
    return y


def _leaky_relu_1(x):
    """Leaky ReLU of slope 0.2 whose derivative at exactly 0 is 1."""
    return leaky_relu(x, multiply=lambda g, y: tf.where(y < 0, 0.2 * g, g))


_ACTIVATIONS = {
    'leaky_relu': leaky_relu, 'leaky_relu_0.3': lambda x: leaky_relu(x, 0.3), 'leaky_relu_1': _leaky_relu_1,
    'relu': tf.nn.relu, None: tf.identity, 'tanh': tf.tanh, 'sigmoid': tf.sigmoid, 'elu': tf.nn.elu, 'selu': tf.nn.selu,
    'softplus': tf.math.softplus,
    'swish': lambda x: x * tf.sigmoid(x)}  # tf.nn.swish has a gradient of its own, which files cannot hold.
HOMOGENEOUS = ('leaky_relu', 'leaky_relu_0.3', 'leaky_relu_1', 'relu', None)  # g f(x) = f(g x) for g > 0.

# StyleGAN2's nonlinearities: name -> (activation, gain).
GAINED = {'linear': (None, 1.0), 'relu': ('relu', SQRT2), 'lrelu': ('leaky_relu', SQRT2), 'tanh': ('tanh', 1.0),
          'sigmoid': ('sigmoid', 1.0), 'elu': ('elu', 1.0), 'selu': ('selu', 1.0), 'softplus': ('softplus', 1.0),
          'swish': ('swish', SQRT2)}


def activate(x, bias, activation, gain=1.0):
    """gain * activation(x + bias), by the activation's name; bias [C] of the last axis."""
    y = _ACTIVATIONS[activation](_add_bias(x, tf.cast(bias, x.dtype)))
    return y * tf.cast(gain, y.dtype) if gain != 1.0 else y
