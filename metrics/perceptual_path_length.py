"""Perceptual path length (StyleGAN, section 4.1): how much the image changes, to the eye, along a path between latents.

The mean of LPIPS(image(t), image(t + epsilon)) / epsilon^2 over random pairs of latents, without the smallest and the
largest hundredth. The reference's variants: in z or in w, t anywhere between the ends ('full') or at one of them ('end'), of
the cropped face or, ppl2, of the whole image.
"""
import numpy as np

from metrics.metric import Metric
from progress import progress


def trimmed_mean(values):
    """Mean without what lies below the 1st or above the 99th percentile, both of them values that occur. [N] -> float"""
    low, high = np.percentile(values, 1, method='lower'), np.percentile(values, 99, method='higher')
    return float(np.mean([value for value in values if low <= value <= high], dtype=np.float64))


class PathLength(Metric):
    """The common part of the variants."""

    sees = 'network'
    axis = 'perceptual path length\n(lower is better)'
    takes = ('lpips',)
    default_count = 100000
    space, full, crop = 'z', True, True

    def __init__(self, lpips):
        self._lpips = lpips

    @classmethod
    def check(cls, Gs):
        if cls.space == 'w' and not Gs.has_w:
            raise ValueError(f'{cls.name} follows paths in w, but networks of kind {Gs.kind} have no w; measure ppl_zfull '
                             'or ppl_zend.')
        from metrics.vgg16 import SMALLEST
        size = Gs.resolution // 2 if cls.crop else Gs.resolution
        if size < SMALLEST:
            raise ValueError(f'{cls.name} compares images of {size}x{size}{" in the middle" * cls.crop}, but VGG16 needs '
                             f'{SMALLEST}x{SMALLEST} or more; the network is too small for it.')

    def measure_network(self, Gs, labels, minibatch, seed, devices):
        """-> one float per column; the pairs follow from the seed, whatever the minibatch."""
        from metrics.paths import path_lengths
        from serving.generate import first_devices, on_devices, run_all
        self.check(Gs)
        functions = on_devices(Gs, devices or first_devices(), lambda network: path_lengths(
            network, self._lpips, self.space, self.full, self.crop))
        found, z_random, t_random = [], np.random.RandomState([seed, 0]), np.random.RandomState([seed, 1])
        at_once = max(minibatch // 2, 1)

        def pairs():
            for i in range(0, len(labels), at_once):
                some = labels[i:i + at_once]
                yield (z_random.randn(len(some), 2, Gs.latent_size).astype(np.float32),
                       t_random.rand(len(some)).astype(np.float32), some)
        with progress(total=len(labels), unit='pairs', what=self.name) as bar:
            for lengths in run_all(functions, pairs()):
                found.append(lengths)
                bar.update(len(lengths))
        lengths = np.concatenate(found)
        if not np.all(np.isfinite(lengths)):
            raise ValueError(f'{self.name} found distances that are not finite; the network or the weights of LPIPS are '
                             'damaged.')
        return [trimmed_mean(lengths)]


class ZFull(PathLength):
    """Anywhere between latents z."""
    name, columns = 'ppl_zfull', ('PPL_zfull',)


class WFull(PathLength):
    """Anywhere between latents w."""
    name, columns, space = 'ppl_wfull', ('PPL_wfull',), 'w'


class ZEnd(PathLength):
    """At latents z."""
    name, columns, full = 'ppl_zend', ('PPL_zend',), False


class WEnd(PathLength):
    """At latents w."""
    name, columns, space, full = 'ppl_wend', ('PPL_wend',), 'w', False


class WholeWEnd(WEnd):
    """StyleGAN2's: at latents w, of whole images."""
    name, columns, crop, default_count = 'ppl2_wend', ('PPL2_wend',), False, 50000
