"""Linear separability (StyleGAN, section 4.2): how well a plane in z, and one in w, tells images with an attribute apart.

Classifiers of forty attributes of CelebA-HQ label what the network makes; the half of which each is surest is split by a
linear SVM. The score is 2 to the sum over attributes of H(attribute | side of the plane), in bits.
"""
import functools

import numpy as np
import scipy  # Its parts come when they are first used: they take longer to import than most commands run.

from metrics.metric import Metric
from progress import progress


def conditional_entropy(p):
    """H(j | i) in bits, not below 0, of a joint distribution [..., i, j]. -> [...]"""
    p = np.asarray(p, np.float64)
    p = p / p.sum(axis=(-2, -1), keepdims=True)
    joint = scipy.special.entr(p).sum(axis=(-2, -1))
    return np.maximum(joint - scipy.special.entr(p.sum(axis=-1)).sum(axis=-1), 0) / np.log(2)


def attribute_entropy(points, logits):
    """H(target | SVM) of one attribute: points [N, D], a classifier's logits [N] of their images.

    The half of which the classifier is surest counts. 0 where no plane can be fitted, as when all have one target.
    """
    from sklearn.svm import LinearSVC  # Takes a second to import; only this needs it.
    surest = np.argsort(-np.abs(logits), kind='stable')[:max(len(logits) // 2, 1)]
    # softmax([l, -l]): the first of two classes where the logit is positive.
    points, targets = points[surest], (logits[surest] < 0).astype(int)
    try:
        found = LinearSVC(dual='auto', random_state=0).fit(points, targets).predict(points)
    except ValueError:  # One class alone.
        return 0.0
    joint = np.zeros([2, 2])
    np.add.at(joint, (found, targets), 1)
    return float(conditional_entropy(joint))


def separability(points, logits):
    """2^(sum over attributes of their entropy). points [N, D], logits [N, attributes]"""
    return float(2 ** sum(attribute_entropy(points, column) for column in logits.T))


class LinearSeparability(Metric):
    """In z, and in w, of which the last layer is looked at."""

    name, sees, columns = 'ls', 'network', ('LS_z', 'LS_w')
    axis = 'linear separability\n(lower is better)'
    default_count = 200000
    takes = ('classifiers',)

    def __init__(self, classifiers):
        self._classifiers = classifiers

    @classmethod
    def check(cls, Gs):
        if not Gs.has_w:
            raise ValueError(f'ls separates points in w, but networks of kind {Gs.kind} have no w; leave it out.')

    def measure_network(self, Gs, labels, minibatch, seed, devices):
        """-> one float per column; latents and noise follow from the seed alone."""
        from metrics.classifiers import labelled_by
        from serving.generate import first_devices, on_devices, run_all
        self.check(Gs)
        if Gs.resolution < self._classifiers.resolution:
            size = self._classifiers.resolution
            raise ValueError(f'the classifiers look at images of {size}x{size}, the network makes '
                             f'{Gs.resolution}x{Gs.resolution}; leave ls out.')
        functions = on_devices(Gs, devices or first_devices(), functools.partial(labelled_by, self._classifiers))
        latents = np.random.RandomState(seed).randn(len(labels), Gs.latent_size).astype(np.float32)
        minibatches = ((latents[i:i + minibatch], labels[i:i + minibatch]) for i in range(0, len(labels), minibatch))
        found = []
        with progress(total=len(labels), what=self.name) as bar:
            for result in run_all(functions, minibatches):
                found.append(result)
                bar.update(len(result[0]))
        w, logits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return [separability(points, logits) for points in (latents, w)]
