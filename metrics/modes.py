"""Modes of images whose three channels are digits: how many of the 1000 numbers are there, and how evenly?

(Metz et al., 2016; ProGAN's appendix E.)
"""
import numpy as np

from metrics.metric import Metric

MODES = 1000


def divergence_from_uniform(counts):
    """KL(histogram || uniform) in nats, of K counts: sum of p ln(p K); 0 if all are alike, ln K if all but one are 0."""
    p = counts[counts > 0] / np.sum(counts)
    return float(np.sum(p * np.log(p * len(counts))))


class Modes(Metric):
    """Reads the number in each image of a set by a classifier of digits; red has the hundreds, blue the ones."""

    name, sees, columns = 'modes', 'images', ('modes', 'KL')
    axis = f'modes of {MODES} (higher is better),\nKL (lower is better)'
    default_count = 25600
    takes = ('resolution', 'digits')

    def __init__(self, resolution, digits):
        if resolution != digits.resolution:
            raise ValueError(f'modes reads digits of {digits.resolution}x{digits.resolution} here, the images are '
                             f'{resolution}x{resolution}; give the folder of MNIST with --mnist, or for training with '
                             "--set=train.mnist=FOLDER, for 32x32, and none for scikit-learn's digits, which are 16x16.")
        self._digits = digits

    @classmethod
    def check(cls, Gs):
        if Gs.num_channels != 3:
            raise ValueError('modes reads a digit in each of three channels, but the images are gray; leave it out, or make '
                             'images as create_mnistrgb and create_digitsrgb do.')

    def begin(self, kind):
        """Starts a set."""
        self._counts = np.zeros(MODES, np.int64)

    def feed(self, images):
        """Adds uint8 [N, 3, R, R]."""
        self._counts += np.bincount(self._digits(images) @ (100, 10, 1), minlength=MODES)

    def end(self):
        """-> how many modes there are, and the divergence of their frequencies."""
        return [float(np.count_nonzero(self._counts)), divergence_from_uniform(self._counts)]
