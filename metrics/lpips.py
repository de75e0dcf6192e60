"""LPIPS on VGG16 (Zhang et al., 2018): how different two images look.

    d(a, b) = sum over five layers of the mean over pixels of sum over channels of weight * (f(a) - f(b))^2

with f the layer's activations, divided by their length at each pixel, and the published weights, one per channel.
"""
import tensorflow as tf

from files import sha256, sha256_of
from metrics.vgg16 import CHANNELS, SMALLEST, VGG16, convolutions_of, holds_convolutions
from official.weights import read_weights

URL = 'https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/vgg.pth'
LARGEST = 256  # Pixels of the images that are compared; larger ones are box-filtered to it.
_EPSILON, _TINY = 1e-10, 1e-30


class LPIPS:
    """Distances of images, which are float32 or uint8 [N, H, W, 1 or 3] in 0..255, 16x16 or more.

    Differentiable, and may be part of a tf.function. What many images are compared with is described once:

        target = lpips.describe(at_most(picture, LARGEST))
        distance = lpips.between(lpips.describe(at_most(images, LARGEST)), target)

    `weights`: five arrays [C], those of the layers of `vgg16`.
    """

    def __init__(self, vgg16, weights, sha256=None):
        self.vgg16, self.sha256 = vgg16, sha256
        self._weights = [tf.reshape(tf.constant(array, tf.float32), [-1, 1]) for array in weights]  # [C, 1]

    def __call__(self, a, b):
        """LPIPS of images and as many others. -> float32 [N]"""
        check_size(a)
        n = tf.shape(a)[0]
        described = self.describe(tf.concat([tf.cast(a, tf.float32), tf.cast(b, tf.float32)], 0))
        return self.between(*zip(*((x[:n], x[n:]) for x in described), strict=True))

    def describe(self, images):
        """Five float32 [N, h, w, C]: VGG16's features, of length 1 at each pixel."""
        return [unit(x) for x in self.vgg16.features(images)]

    def between(self, a, b):
        """LPIPS of what `describe` has made of two sets, of which one may have a single image. -> float32 [N]"""
        distances = [tf.reduce_mean(tf.tensordot(tf.square(x - y), weight, 1), axis=[1, 2, 3])
                     for x, y, weight in zip(a, b, self._weights, strict=True)]
        return tf.add_n(distances)


def unit(x):
    """Activations [N, h, w, C], of length 1 at each pixel."""
    # Where nothing is active the root's slope would be infinite, and its product with 0 NaN.
    length = tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(x), axis=-1, keepdims=True), _TINY))
    return x / (length + _EPSILON)


def check_size(images):
    """ValueError for images that VGG16's fifth block would not see."""
    if min(images.shape[1:3]) < SMALLEST:
        raise ValueError(f'LPIPS was asked for images of {images.shape[1]}x{images.shape[2]}; VGG16 needs '
                         f'{SMALLEST}x{SMALLEST} or more.')


def load_lpips(path, vgg16=None):
    """LPIPS of an official vgg16_zhang_perceptual.pkl, which holds all, or of lpips's vgg.pth and a file of VGG16.

    `vgg16` is a function that names the latter, called if it is needed. FileNotFoundError, or ValueError in one sentence.
    """
    weights, sums = read_weights(path), sha256(path)
    if holds_convolutions(weights):
        pairs, rest = convolutions_of(weights, path)
    else:
        rest, of_vgg16 = list(weights), vgg16()
        pairs, _ = convolutions_of(read_weights(of_vgg16), of_vgg16)
        sums += sha256(of_vgg16)
    return LPIPS(VGG16(pairs), _linear(weights, rest, path), sha256_of([sums.encode()]))


def inspect(path):
    """ValueError for a file that does not hold LPIPS's own weights."""
    weights = read_weights(path)
    _linear(weights, list(weights), path)


def _linear(weights, names, path):
    """The five arrays [C] among `names`; numbers of the images' scale are passed over."""
    wanted = [widths[-1] for widths in CHANNELS]
    found = [weights[name].reshape(-1) for name in names if weights[name].size in wanted]
    if [array.size for array in found] != wanted:
        raise ValueError(f'{path} does not hold the five weights of LPIPS on VGG16, {", ".join(map(str, wanted))} numbers; '
                         "give vgg16_zhang_perceptual.pkl, or lpips's vgg.pth.")
    return found
