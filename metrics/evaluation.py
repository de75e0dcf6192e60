"""Measures sets of images by several metrics in one pass over each set."""
import os
import re
from typing import NamedTuple

import numpy as np

from files import replacing
from metrics.frechet_inception_distance import FID
from metrics.inception_score import InceptionScore
from metrics.kernel_inception_distance import KID
from metrics.ms_ssim import MSSSIM
from metrics.precision_recall import PrecisionRecall
from metrics.sliced_wasserstein import SlicedWasserstein, memory_needed

DEFAULT_COUNTS = {'swd': 16384, 'msssim': 20000, 'fid': 10000, 'is': 50000, 'kid': 10000, 'pr': 10000}
OF_FEATURES = ('fid', 'is', 'kid', 'pr')       # Need the Inception graph.
NEED_REALS = ('swd', 'fid', 'kid', 'pr')
_COUNT = re.compile(r'(\d+)(k?)')


class Spec(NamedTuple):
    """A metric and how many images of each set it looks at."""
    metric: str
    num_images: int

    def __str__(self):
        n = self.num_images
        count = '16k' if n == 16384 else f'{n // 1000}k' if n % 1000 == 0 else str(n)
        return f'{self.metric}-{count}'


def label(specs):
    """A short name of specs for files: swd-16k-fid-50k, or swd-msssim-500 where all have one number of images."""
    if len({spec.num_images for spec in specs}) > 1:
        return '-'.join(map(str, specs))
    return '-'.join([*(spec.metric for spec in specs[:-1]), str(specs[-1])])


def parse_specs(names, num_images=None):
    """'swd,fid-10k,is-500' -> Specs; a name without a count takes `num_images`, or else the paper's.

    swd-16k means 16384 images. ValueError for unknown names.
    """
    specs = []
    for name in filter(None, names.split(',')):
        metric, dash, count = name.partition('-')
        match = _COUNT.fullmatch(count)
        if metric not in DEFAULT_COUNTS or (dash and not match) or (match and int(match[1]) == 0):
            raise ValueError(f'unknown metric {name!r}; expected {", ".join(DEFAULT_COUNTS)}, or one with a number of '
                             'images, such as swd-16k, fid-50k or is-500.')
        number = 16384 if count == '16k' else int(match[1]) * (1000 if match[2] else 1) if match else None
        specs.append(Spec(metric, number or num_images or DEFAULT_COUNTS[metric]))
    return list(dict.fromkeys(specs))


class Evaluator:
    """Holds one metric per spec, fed together; Inception sees each image once, whatever needs its features.

    `num_reals`: how many different reals there are; KID, precision and recall do not look at one twice.
    `real_statistics` (mu, sigma) stand for the reals of FID. `scratch`: see SlicedWasserstein.
    """

    def __init__(self, specs, resolution, seed=0, inception=None, num_reals=None, real_statistics=None, scratch=None):
        for spec in specs:
            if spec.metric == 'swd' and not scratch:
                _check_memory(memory_needed(spec.num_images, resolution))
        make = {'swd': lambda: SlicedWasserstein(resolution, None, scratch), 'msssim': MSSSIM, 'is': InceptionScore,
                'fid': lambda: FID(real_statistics), 'kid': KID, 'pr': PrecisionRecall}
        self._metrics = {spec: make[spec.metric]() for spec in specs}
        self._inception, self._seed, self._num_reals = inception, seed, num_reals

    def columns(self, spec):
        """Names of the values of a spec."""
        return self._metrics[spec].names

    def statistics(self):
        """(mu, sigma) of the reals, once measured by FID."""
        return next(m.real_statistics for spec, m in self._metrics.items() if spec.metric == 'fid')

    def measure(self, kind, minibatches, specs=None, cache=None):
        """Measures one set: 'reals', which come first, or 'fakes'. -> {spec: {column: value}}.

        `minibatches`: iterator of uint8 [n, 3, R, R]. `cache`: file of the set's features, read if it is there, else
        written.
        """
        specs = list(self._metrics) if specs is None else specs
        features = _Features(self._inception, cache)
        for spec in specs:
            self._metrics[spec].begin(kind)
            if spec.metric == 'swd':  # From the seed for every set: values do not depend on what was measured before.
                self._metrics[spec].random = np.random.RandomState([self._seed, kind != 'reals'])
        most = {spec: self._count(kind, spec) for spec in specs}
        with_features = max([n for spec, n in most.items() if spec.metric in OF_FEATURES], default=0)
        if features.known >= with_features and all(spec.metric in OF_FEATURES for spec in specs):
            minibatches = [None]  # Nothing has to look at the images themselves.

        position = 0
        for images in minibatches:
            n = with_features if images is None else len(images)
            of_these = features.take(images, position, min(n, max(with_features - position, 0)))
            for spec in specs:
                part = slice(max(min(n, most[spec] - position), 0))
                if part.stop == 0:
                    continue
                if spec.metric == 'is':
                    self._metrics[spec].feed(self._inception.logits(of_these[part]))
                else:
                    self._metrics[spec].feed((of_these if spec.metric in OF_FEATURES else images)[part])
            position += n
        features.save()
        return {spec: dict(zip(self.columns(spec), self._metrics[spec].end(), strict=True)) for spec in specs}

    def _count(self, kind, spec):
        # The distance of a point to its equal is 0: repeated reals would have no neighbourhood and no bias to correct.
        repeats = kind == 'fakes' or spec.metric not in ('kid', 'pr') or self._num_reals is None
        return spec.num_images if repeats else min(spec.num_images, self._num_reals)


def _check_memory(need):
    """Asking for too much ends in a killed process after hours instead of an error: refuse before."""
    total = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    if need > total:
        raise ValueError(f'SWD needs {need / 1e9:.0f} GB for the descriptors of two sets, this machine has '
                         f'{total / 1e9:.0f} GB of memory; keep them on disk with --scratch=FOLDER, or lower --num_images.')


class _Features:
    """Features of a set, from a file where it holds them, else computed and, at the end, saved there."""

    def __init__(self, inception, path):
        self._inception, self._path, self._new = inception, path, []
        try:
            self._stored = np.load(path, mmap_mode='r') if path and os.path.exists(path) else None
        except (ValueError, EOFError) as error:
            raise ValueError(f'the cached features in {path} are damaged; remove that file.') from error
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
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        with replacing(self._path) as partial, open(partial, 'wb') as file:
            np.save(file, np.concatenate(self._new))
