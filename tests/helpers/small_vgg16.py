"""Random weights of VGG16 and LPIPS in the layouts that people have, and VGG16 in NumPy."""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from reference_pickles import pickled

WIDTHS = (64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)
PLACES = 0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28  # Of the convolutions in torchvision's list.


def random_weights(seed=0):
    """-> (13 pairs of a kernel [3, 3, in, out] and a bias, five weights of LPIPS [C]); activations stay near 1."""
    random, pairs, inputs = np.random.default_rng(seed), [], 3
    for width in sum(WIDTHS, ()):
        kernel = random.standard_normal([3, 3, inputs, width], np.float32) * np.sqrt(2 / 9 / inputs, dtype=np.float32)
        pairs.append((kernel, 0.1 * random.standard_normal(width, np.float32)))
        inputs = width
    return pairs, [random.random(widths[-1], np.float32) for widths in WIDTHS]


def torchvision(pairs, dense=()):
    """Weights by torchvision's names, [out, in, 3, 3]."""
    found = {}
    for place, (kernel, bias) in zip(PLACES, pairs, strict=True):
        found |= {f'features.{place}.weight': kernel.transpose(3, 2, 0, 1), f'features.{place}.bias': bias}
    for place, (kernel, bias) in zip((0, 3, 6), dense, strict=False):
        found |= {f'classifier.{place}.weight': kernel.T, f'classifier.{place}.bias': bias}
    return found


def lpips(linear):
    """The five weights by the names that lpips gives them."""
    return {f'lin{i}.model.1.weight': array.reshape(1, -1, 1, 1) for i, array in enumerate(linear)}


def official(pairs, linear=(), dense=()):
    """The pickle of one network with all of it, [3, 3, in, out]. -> bytes"""
    names = [f'conv{block + 1}_{i + 1}' for block, widths in enumerate(WIDTHS) for i in range(len(widths))]
    variables = [item for name, (kernel, bias) in zip(names, pairs, strict=True)
                 for item in ((f'{name}/weight', kernel), (f'{name}/bias', bias))]
    variables += [item for i, (kernel, bias) in enumerate(dense)
                  for item in ((f'fc{6 + i}/weight', kernel), (f'fc{6 + i}/bias', bias))]
    variables += [(f'lin{i}/weight', array.reshape(1, 1, -1, 1)) for i, array in enumerate(linear)]
    return pickled({'version': 3, 'name': 'vgg16', 'static_kwargs': {}, 'components': {}, 'build_func_name': 'metric_net',
                    'build_module_src': 'import os\n', 'variables': variables}, 'dnnlib.tflib.network', 4)


def features(images, pairs):
    """The activations after each block. [N, H, W, 3] in 0..255 -> five float64 [N, h, w, C]"""
    x, layers, found = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], iter(pairs), []
    for i, widths in enumerate(WIDTHS):
        x = pooled(x) if i else x
        for _ in widths:
            kernel, bias = next(layers)
            windows = sliding_window_view(np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), (3, 3), axis=(1, 2))
            x = np.maximum(np.tensordot(windows, kernel.astype(np.float64), [(4, 5, 3), (0, 1, 2)]) + bias, 0)
        found.append(x)
    return found


def pooled(x):
    """Maxima of 2x2 pixels."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def distance(a, b, pairs, linear):
    """LPIPS by its formula. -> [N]"""
    total = 0
    for x, y, weight in zip(features(a, pairs), features(b, pairs), linear, strict=True):
        x, y = (f / (np.linalg.norm(f, axis=-1, keepdims=True) + 1e-10) for f in (x, y))
        total = total + ((x - y) ** 2 @ weight).mean(axis=(1, 2))
    return total
