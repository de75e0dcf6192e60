"""Inception Score (Salimans et al., 2016): how sure of each image a classifier is, and how unsure of all."""
import numpy as np
import scipy  # Its parts come when they are first used: they take longer to import than most commands run.

from metrics.collected import Collected


def inception_score(logits, splits=10):
    """exp(mean KL(p(y|x) || p(y))) of `splits` consecutive parts. [N, classes] -> their mean and stddev."""
    if len(logits) < splits:
        raise ValueError(f'the Inception Score needs at least {splits} images, found {len(logits)}; '
                         'raise --num_images.')
    scores = []
    for i in range(splits):
        part = logits[i * len(logits) // splits:(i + 1) * len(logits) // splits]
        log_p = scipy.special.log_softmax(part.astype(np.float64), axis=1)
        p = np.exp(log_p)
        marginal = np.mean(p, axis=0, keepdims=True)
        log_marginal = np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
        scores.append(np.exp(np.mean(np.sum(p * (log_p - log_marginal), axis=1))))
    return float(np.mean(scores)), float(np.std(scores))


class InceptionScore(Collected):
    """Score of each set of logits (without bias) by itself."""

    name, sees, columns = 'is', 'logits', ('IS_mean', 'IS_std')
    axis = 'Inception score\n(higher is better)'
    default_count = 50000

    def __init__(self, splits=10):
        self._splits = splits

    def measure(self, kind, logits):
        """-> one float per column."""
        return inception_score(logits, self._splits)
