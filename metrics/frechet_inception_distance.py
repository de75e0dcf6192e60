"""Fréchet Inception Distance (Heusel et al., 2017): Gaussians fitted to Inception's features, compared."""
import io

import numpy as np
import scipy  # Its parts come when they are first used: they take longer to import than most commands run.

from data.archives import open_zip, read_member
from files import replacing
from metrics.collected import Collected

_ROWS = 4096  # Features made float64 at once.


def statistics(features):
    """Fits a Gaussian: float32 [N, D], N >= 2 -> mean [D], covariance (over N - 1) [D, D], both float64."""
    if len(features) < 2:
        raise ValueError(f'FID needs at least two images of a set, found {len(features)}; raise --num_images.')
    mu = np.mean(features, axis=0, dtype=np.float64)
    sigma = np.zeros([len(mu), len(mu)])
    for i in range(0, len(features), _ROWS):
        centered = features[i:i + _ROWS] - mu
        sigma += centered.T @ centered
    return mu, sigma / (len(features) - 1)


def frechet_distance(mu_a, sigma_a, mu_b, sigma_b):
    """|mu_a - mu_b|^2 + tr(sigma_a + sigma_b - 2 sqrt(sigma_a sigma_b)).

    With sigma = F F^T the trace of the root is the sum of the singular values of F_a^T F_b: no complex root,
    nothing negative under one, and exact where covariances are singular (fewer images than features).
    """
    if np.shape(mu_a) != np.shape(mu_b):
        raise ValueError(f'FID compares features of one length, found {len(mu_a)} and {len(mu_b)}; '
                         'compute both statistics with the same Inception file.')
    root = np.linalg.svd(_factor(sigma_a).T @ _factor(sigma_b), compute_uv=False).sum()
    distance = np.sum(np.square(mu_a - mu_b)) + np.trace(sigma_a) + np.trace(sigma_b) - 2 * root
    return float(max(distance, 0))  # Rounding may leave -1e-12 between equal sets.


def _factor(sigma):
    """Returns F [D, rank] with F F^T = sigma, by Cholesky's method with pivoting: sigma may be singular."""
    lower, pivots, rank, _ = scipy.linalg.lapack.dpstrf(sigma, lower=True)
    factor = np.empty([len(sigma), rank])
    factor[pivots - 1] = np.tril(lower)[:, :rank]
    return factor


def save_statistics(path, mu, sigma):
    """Writes the .npz (mu, sigma) that other FID tools read."""
    with replacing(path) as partial, open(partial, 'wb') as file:
        np.savez(file, mu=mu, sigma=sigma)


def load_statistics(path):
    """Reads an .npz with `mu` [D] and `sigma` [D, D]. ValueError if it holds anything else."""
    try:
        with open_zip(path) as archive:
            mu, sigma = (np.load(io.BytesIO(read_member(archive, archive.getinfo(f'{name}.npy'))), allow_pickle=False)
                         for name in ('mu', 'sigma'))
    except OSError:
        raise
    except Exception as error:  # A damaged header can raise anything.
        raise ValueError(f'{path} holds no FID statistics: expected an .npz with arrays mu, sigma.') from error
    if mu.dtype.kind != 'f' or sigma.dtype.kind != 'f' or mu.ndim != 1 or sigma.shape != (len(mu), len(mu)):
        raise ValueError(f'{path}: expected mu [D] and sigma [D, D], '
                         f'found {mu.dtype} {list(mu.shape)} and {sigma.dtype} {list(sigma.shape)}.')
    with np.errstate(over='ignore'):
        mu, sigma = mu.astype(np.float64), sigma.astype(np.float64)
    if not (np.all(np.isfinite(mu)) and np.all(np.isfinite(sigma))):
        raise ValueError(f'{path} holds FID statistics that are not finite; compute them again.')
    most = np.abs(sigma).max(initial=0)
    if np.abs(sigma - sigma.T).max(initial=0) > 1e-3 * most or sigma.diagonal().min(initial=0) < -1e-3 * most:
        raise ValueError(f'{path} holds a sigma that is no covariance: not symmetric, or negative; compute it again.')
    return mu, sigma


class FID(Collected):
    """Distance of each set of pool_3 features to the reals, which come first or as statistics (mu, sigma)."""

    name, sees, columns = 'fid', 'features', ('FID',)
    axis = 'Fréchet distance\n(lower is better)'
    default_count = 10000
    needs_reals = True
    takes = ('real_statistics',)

    def __init__(self, real_statistics=None):
        self.real_statistics = real_statistics

    def measure(self, kind, features):
        """-> one float per column."""
        found = statistics(features)
        if kind == 'reals' and self.real_statistics is None:
            self.real_statistics = found
        return [frechet_distance(*self.real_statistics, *found)]
