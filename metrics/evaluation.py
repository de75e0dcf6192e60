"""Measures networks and sets of images by several metrics, in one pass over each set."""
import hashlib
import os

import numpy as np
from absl import logging

from files import replacing, sha256


class Evaluator:
    """Holds one metric per spec, fed together; Inception sees each image once, whatever needs its features.

    `num_reals`: how many different reals there are, for metrics that look at none twice. `real_statistics`, `scratch` and
    the networks of `judges`, {name: network}, are for the metrics that take them.
    """

    def __init__(self, specs, resolution, seed=0, judges=None, num_reals=None, real_statistics=None, scratch=None):
        judges = judges or {}
        given = {'resolution': resolution, 'real_statistics': real_statistics, 'scratch': scratch, **judges,
                 'random': None}  # Until a set begins.
        self._metrics = {}
        for spec in specs:
            given['num_images'] = spec.num_images
            self._metrics[spec] = spec.metric(**{name: given[name] for name in spec.metric.takes})
        self._inception, self._seed, self._num_reals = judges.get('inception'), seed, num_reals

    def statistics(self):
        """(mu, sigma) of the reals, once they were measured or given."""
        return next(m.real_statistics for m in self._metrics.values() if 'real_statistics' in m.takes)

    def measure(self, kind, minibatches, specs=None, cache=None):
        """Measures one set: 'reals', which come first, or 'fakes'. -> {spec: {column: value}}.

        `minibatches`: iterator of uint8 [n, 3, R, R]. `cache`: file of the set's features, read if it is there, else
        written.
        """
        specs = list(self._metrics) if specs is None else specs
        features = _Features(self._inception, cache)
        for spec in specs:
            self._metrics[spec].begin(kind)
            if 'random' in spec.metric.takes:  # From the seed alone, whatever was measured before.
                self._metrics[spec].random = np.random.RandomState([self._seed, kind != 'reals'])
        most = {spec: self._count(kind, spec) for spec in specs}
        with_features = max([n for spec, n in most.items() if spec.needs_inception], default=0)
        if features.known >= with_features and all(spec.needs_inception for spec in specs):
            minibatches = [None]  # Nothing has to look at the images themselves.

        position = 0
        for images in minibatches:
            n = with_features if images is None else len(images)
            of_these = features.take(images, position, min(n, max(with_features - position, 0)))
            for spec in specs:
                part = slice(max(min(n, most[spec] - position), 0))
                if part.stop == 0:
                    continue
                seen = (of_these if spec.needs_inception else images)[part]
                self._metrics[spec].feed(self._inception.logits(seen) if spec.metric.sees == 'logits' else seen)
            position += n
        features.save()
        return {spec: self._by_column(spec, self._metrics[spec].end()) for spec in specs}

    def measure_network(self, Gs, specs, labels, minibatch, devices):
        """Lets the metrics that see a network look at it, each with labels(number of images). -> {spec: {column: value}}."""
        return {spec: self._by_column(spec, self._metrics[spec].measure_network(
            Gs, labels(spec.num_images), minibatch, self._seed, devices)) for spec in specs}

    def _by_column(self, spec, values):
        return dict(zip(self._metrics[spec].columns, values, strict=True))

    def _count(self, kind, spec):
        limited = kind == 'reals' and spec.metric.no_repeats and self._num_reals is not None
        return min(spec.num_images, self._num_reals) if limited else spec.num_images


class _Features:
    """Features of a set, from a file where it holds them, else computed and, at the end, saved there."""

    def __init__(self, inception, path):
        self._inception, self._path, self._new = inception, path, []
        self._stored = _stored(path) if path and os.path.isfile(path) else None
        self.known = 0 if self._stored is None else len(self._stored)

    def take(self, images, position, count):
        """Features of the first `count` of `images`, which start at `position` in the set."""
        if count == 0:
            return None
        if position + count <= self.known:
            return np.array(self._stored[position:position + count])
        self._new.append(self._inception(images[:count]))
        return self._new[-1]

    def save(self):
        if not self._path or not self._new or self.known:
            return
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with replacing(self._path) as partial:
                with open(partial, 'wb') as file:
                    np.save(file, np.concatenate(self._new))
                with open(partial, 'ab') as file:
                    file.write(bytes.fromhex(sha256(partial)))
        except OSError as error:  # What was measured counts without it.
            logging.warning('the features of the reals are not kept: %s', error)


def _stored(path):
    """The features in a file, float32 [N, D]; None where its last 32 bytes are not the SHA-256 of those before."""
    try:
        data = np.memmap(path, mode='r')
        if hashlib.sha256(data[:-32]).digest() == data[-32:].tobytes():
            return np.load(path, mmap_mode='r')
    except (ValueError, OSError):
        pass
    logging.warning('the cached features in %s are damaged, or of an earlier release; they are computed anew', path)
    return None
