"""VGG16 (Simonyan, Zisserman, 2014), through which LPIPS and StyleGAN2's precision and recall look at images.

Its weights are found in a file by their order and shapes: torchvision's vgg16-397923af.pth, official pickles, and others
that hold thirteen 3x3 convolutions of these widths.
"""
import math

import numpy as np
import tensorflow as tf

from serving.generate import first_devices, shared_out

URL = 'https://download.pytorch.org/models/vgg16-397923af.pth'
CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # By block; a 2x2 max pool between.
SMALLEST = 16  # Pixels of which the fifth block sees one.
_MEAN, _STDDEV = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # Of ImageNet's red, green and blue in 0..1.
_SIZE, _WIDTH = 224, 4096  # Of the images, and of the output, of the fully connected layers.


class VGG16:
    """Functions of images, which are float32 or uint8 [N, H, W, 1 or 3] in 0..255, SMALLEST x SMALLEST or more.

    `convolutions`: 13 pairs of a kernel [3, 3, in, out] and a bias [out]; `dense`: 2 pairs [in, out], [out], or none. The
    weights are constants: gradients reach the images alone. `features` and `second_dense` may be part of a tf.function.
    """

    def __init__(self, convolutions, dense=(), sha256=None, devices=None):
        self._convolutions, self._dense = (
            [tuple(tf.constant(array, tf.float32) for array in pair) for pair in pairs] for pairs in (convolutions, dense))
        self.sha256, self._devices = sha256, devices or first_devices()
        self._graph = tf.function(self.second_dense, input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)])

    def features(self, images):
        """After the last ReLU of each of the five blocks: float32 [N, H / 2^k, W / 2^k, C], k from 0 to 4."""
        x, found, layers = normalized(images), [], iter(self._convolutions)
        for i, widths in enumerate(CHANNELS):
            if i:
                x = _pooled(x)
            for _ in widths:
                kernel, bias = next(layers)
                x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, 'SAME'), bias))
            found.append(x)
        return found

    def second_dense(self, images):
        """The second fully connected layer after its ReLU, float32 [N, 4096], of images resized to 224x224."""
        images = tf.image.resize(tf.cast(images, tf.float32), [_SIZE, _SIZE], antialias=True)
        x = tf.transpose(_pooled(self.features(images)[-1]), [0, 3, 1, 2])  # [N, 512, 7, 7], as it is flattened
        x = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        for kernel, bias in self._dense:
            x = tf.nn.relu(tf.matmul(x, kernel) + bias)
        return x

    def describe(self, images):
        """The same of uint8 [N, 3, R, R], with the devices sharing the minibatch -> np.float32 [N, 4096]"""
        return shared_out(self._devices, self._graph, images.transpose(0, 2, 3, 1))


def normalized(images):
    """0..255 [N, H, W, 1 or 3] -> float32 [N, H, W, 3] with ImageNet's mean 0 and stddev 1."""
    x = tf.cast(images, tf.float32) / 255
    if x.shape[-1] == 1:
        x = tf.repeat(x, 3, axis=-1)
    return (x - tf.constant(_MEAN)) / tf.constant(_STDDEV)


def _pooled(x):
    return tf.nn.max_pool2d(x, 2, 2, 'VALID')


def holds_convolutions(weights):
    """Whether any of the weights {name: array} is that of a 3x3 convolution."""
    return any(array.ndim == 4 and _square(array.shape) for array in weights.values())


def convolutions_of(weights, path):
    """Weights {name: array} in the order of the layers -> (13 pairs [3, 3, in, out] and [out], the names of the rest).

    ValueError, naming `path`, if they are not there.
    """
    names, used, pairs = list(weights), set(), []
    kernels = [name for name in names if weights[name].ndim == 4 and _square(weights[name].shape)]
    widths = [3] + [width for block in CHANNELS for width in block]
    if len(kernels) != len(widths) - 1:
        raise ValueError(f'{path} holds {len(kernels)} 3x3 convolutions; VGG16 has {len(widths) - 1}, as '
                         'vgg16-397923af.pth does.')
    of_torch = weights[kernels[0]].shape[2:] == (3, 3) and weights[kernels[0]].shape[:2] == (64, 3)  # [out, in, 3, 3]
    for name, inputs, outputs in zip(kernels, widths[:-1], widths[1:], strict=True):
        kernel = weights[name].transpose(2, 3, 1, 0) if of_torch else weights[name]
        if kernel.shape != (3, 3, inputs, outputs):
            raise ValueError(f'{path} holds {name[:60]!r} of shape {list(weights[name].shape)}; VGG16 has a 3x3 convolution '
                             f'of {inputs} channels to {outputs} there.')
        bias = _bias_of(weights, names, name, outputs, path)
        used |= {name, bias}
        pairs.append((kernel, weights[bias].reshape(outputs)))
    _check_finite(pairs, path)
    return pairs, [name for name in names if name not in used]


def dense_of(weights, path):
    """Weights {name: array} -> the pairs [25088, 4096], [4096] and [4096, 4096], [4096]; ValueError, naming `path`."""
    names, first = list(weights), 512 * (_SIZE // 32) ** 2
    matrices = [name for name in names if weights[name].ndim == 2]
    shapes = [weights[name].shape for name in matrices[:2]]
    turned = shapes[:1] == [(_WIDTH, first)]  # PyTorch's [out, in].
    if shapes != [(_WIDTH, first) if turned else (first, _WIDTH), (_WIDTH, _WIDTH)]:
        raise ValueError(f"{path} does not hold VGG16's fully connected layers, {first} to {_WIDTH} to {_WIDTH}; give "
                         'vgg16-397923af.pth or vgg16.pkl.')
    pairs = [(weights[name].T if turned else weights[name],
              weights[_bias_of(weights, names, name, _WIDTH, path)].reshape(_WIDTH)) for name in matrices[:2]]
    _check_finite(pairs, path)
    return pairs


def _square(shape):
    return shape[:2] == (3, 3) or shape[2:] == (3, 3)


def _bias_of(weights, names, name, size, path):
    """The name of the bias of a layer: in the layer's scope if it has one of its own, else what follows the weight."""
    scope, at = name[:max(name.rfind('/'), name.rfind('.')) + 1], names.index(name)
    within = [other for other in names if scope and other.startswith(scope)]
    for other in within if len(within) == 2 else names[at + 1:at + 2]:
        if other != name and weights[other].size == size:
            return other
    raise ValueError(f'{path} holds no bias of {size} numbers for {name[:60]!r}; it is no file of VGG16.')


def _check_finite(pairs, path):
    if not all(np.isfinite(array).all() for pair in pairs for array in pair):
        raise ValueError(f'{path} holds weights that are not finite; get it again.')
