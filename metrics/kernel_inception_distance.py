"""Kernel Inception Distance (Binkowski et al., 2018): the unbiased squared MMD of Inception features."""
import numpy as np

from metrics.collected import Collected


def polynomial_kernel(a, b):
    """(a . b / D + 1)^3. [N, D], [M, D] -> [N, M]."""
    return (a @ b.T / a.shape[1] + 1) ** 3


def squared_mmd(a, b):
    """mean k(a, a') over pairs of different images + the same of b - 2 mean k(a, b). May be negative."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    within = 0
    for x in (a, b):
        k = polynomial_kernel(x, x)
        within += (k.sum() - np.trace(k)) / (len(x) * (len(x) - 1))
    return within - 2 * polynomial_kernel(a, b).mean()


def kernel_inception_distance(reals, fakes, block=1000):
    """Mean and stddev of `squared_mmd` over consecutive disjoint blocks. [N, D], [M, D] -> two floats.

    Each block's estimate is unbiased, so is their mean. Smaller sets form one block; a rest is left out.
    """
    smaller = min(len(reals), len(fakes))
    if smaller < 2:
        raise ValueError(f'KID needs at least two images of each set, found {smaller}; raise --num_images.')
    block = min(block, smaller)
    starts = range(0, smaller - block + 1, block)
    values = [squared_mmd(reals[i:i + block], fakes[i:i + block]) for i in starts]
    return float(np.mean(values)), float(np.std(values))


class KID(Collected):
    """Distance x 1000 of each set of pool_3 features to the reals, which come first."""

    name, sees, columns = 'kid', 'features', ('KIDx1e3_mean', 'KIDx1e3_std')
    axis = 'kernel distance x 1000\n(lower is better)'
    default_count = 10000
    needs_reals = True
    no_repeats = True  # The estimate supposes pairs of different images.

    def __init__(self, block=1000):
        self._block = block

    def measure(self, kind, features):
        """-> one float per column."""
        if kind == 'reals':
            self._reals = features
            return [0.0, 0.0]  # By definition; the estimate supposes independent sets.
        return [1e3 * value for value in kernel_inception_distance(self._reals, features, self._block)]
