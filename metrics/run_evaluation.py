"""Measures networks and other sets of images against one set of reals, and keeps what was found in a folder."""
import functools
import glob
import os
import time

import tensorflow as tf
from absl import logging

import files
from files import sha256_of
from metrics.downloads import default_cache
from metrics.evaluation import Evaluator
from metrics.image_sets import fake_images, fake_labels, real_images
from metrics.judges import open_judges
from metrics.records import Records
from metrics.table import check_images, check_network, parse_specs, refuse_blind
from progress import progress
from serving.generate import default_minibatch

REALS, OTHER_REALS = 'Reals', 'Other reals'
_SUFFIX = '.metrics'  # Of TensorBoard's files of metrics.


class RunEvaluation:
    """Measures each set at most once; records go to `folder`/metrics.jsonl, scalars to event files there.

    The reals' own row is measured when the first set is. Metrics that ask for other reals (SWD) get a second row,
    for as many reals that follow in the stream, measured as if they were fakes: the floor of what a network can reach.
    `reals` may be None where no metric needs them; `cache` is a folder for their features. `judges`, {name: network} as
    `open_judges` gives them, are for the metrics that take them. ValueError if a metric lacks what it needs.
    """

    def __init__(self, folder, specs, resolution, reals=None, seed=0, mirror=False, judges=None, real_statistics=None,
                 cache=None, scratch=None, devices=None, minibatch=None):
        self.specs, self.resolution, self.minibatch = specs, resolution, minibatch or default_minibatch(resolution)
        self.folder, self._reals, self._seed, self._mirror = folder, reals, seed, mirror
        self._sha256 = {name: judge.sha256[:16] for name, judge in (judges or {}).items()}
        self._cache, self._devices = cache, devices
        self._needs_reals = [spec for spec in specs if spec.metric.needs_reals
                             and not (real_statistics and 'real_statistics' in spec.metric.takes)]
        if self._needs_reals and reals is None:
            raise ValueError(f'{self._needs_reals[0]} compares with real images; name them with --real.')
        self.evaluator = Evaluator(specs, resolution, seed, judges, reals and reals.num_images, real_statistics, scratch)
        self._settings = {'resolution': resolution, 'reals': None, 'seed': seed}
        if reals:
            self._settings |= {'reals': reals.name, 'reals_sha256': reals.fingerprint(), 'mirror': mirror}
        self._statistics = real_statistics and fingerprint_of_arrays(real_statistics)
        self.records = Records(os.path.join(folder, 'metrics.jsonl'), self._settings_of)
        self._reals_measured = set()

    def missing(self, row, nimg):
        """The specs of a row that are not on record."""
        return [spec for spec in self.specs if not self.records.find(row, nimg, spec)]

    def measure(self, row, nimg, images, again=False, network=None):
        """Measures what is not on record of a set, or all of it `again`. -> {column: value} of what was measured.

        `images` makes the set: a function of a number of images -> minibatches. ValueError if a metric sees the network
        and there is none.
        """
        specs = self.specs if again else self.missing(row, nimg)
        if network is None:
            refuse_blind(specs, row)
        if not specs:
            return {}
        self.measure_reals(specs)
        return self._measure(row, nimg, 'fakes', images, specs, again=again, network=network)

    def measure_network(self, row, nimg, Gs, again=False):
        """Measures a network, and its images with the reals' labels, as `measure` does."""
        if Gs.resolution != self.resolution:
            raise ValueError(f'the network makes images of {Gs.resolution}x{Gs.resolution}, the reals are '
                             f'{self.resolution}x{self.resolution}; choose reals of its resolution.')
        check_network(self.specs, Gs)

        def images(count):
            labels = fake_labels(Gs, self._reals, count, self._seed)
            return fake_images(Gs, labels, self.minibatch, self._seed, self._devices)
        return self.measure(row, nimg, images, again, Gs)

    def measure_reals(self, specs):
        """Measures the reals, once, by those of `specs` that other sets are compared by or that are not on record."""
        missing = self.missing(REALS, None)
        specs = [s for s in specs if s.metric.sees != 'network' and s not in self._reals_measured
                 and (s in self._needs_reals or s in missing)]
        if self._reals is None or not specs:
            return
        self._reals_measured.update(specs)
        if repeating := [spec for spec in specs if not spec.metric.no_repeats and spec.num_images > self._reals.num_images]:
            logging.warning('%s has %d images, so that %s will see some of them more than once', self._reals.name,
                            self._reals.num_images, ', '.join(map(str, repeating)))
        self._measure(REALS, None, 'reals', self.images_of(self._reals, self._mirror), specs, self._cache_path(specs))
        others = [spec for spec in self.missing(OTHER_REALS, None) if spec.metric.other_reals and spec in specs]
        if others:
            self._measure(OTHER_REALS, None, 'fakes', lambda count: real_images(
                self._reals, count, self.minibatch, self._seed, self._mirror, start=count), others)

    def statistics(self):
        """(mu, sigma) of the reals, which are measured if they have not been."""
        self.measure_reals([spec for spec in self.specs if 'real_statistics' in spec.metric.takes])
        return self.evaluator.statistics()

    def images_of(self, dataset, mirror=False):
        """The set of images of a Dataset or Pictures, for `measure`; ValueError if a metric cannot measure it."""
        check_images(self.specs, dataset)
        return lambda count: real_images(dataset, count, self.minibatch, self._seed, mirror)

    def _measure(self, row, nimg, kind, images, specs, cache=None, again=False, network=None):
        start = time.perf_counter()
        of_network = [spec for spec in specs if spec.metric.sees == 'network']
        labels = functools.partial(fake_labels, network, self._reals, seed=self._seed)
        results = self.evaluator.measure_network(network, of_network, labels, self.minibatch, self._devices)
        if of_images := [spec for spec in specs if spec not in of_network]:
            results |= self._measure_images(row, kind, images, of_images, cache)
        seconds = time.perf_counter() - start
        for spec, values in results.items():
            if again or not self.records.find(row, nimg, spec):  # The reals may be needed for more than their row.
                self.records.add(row, nimg, spec, seconds, values)
        if nimg is not None:
            self._write_scalars()
        return {name: value for values in results.values() for name, value in values.items()}

    def _measure_images(self, row, kind, images, specs, cache):
        count = max(spec.num_images for spec in specs)
        with progress(total=count, what=row) as bar:
            def watched():
                for minibatch in images(count):
                    yield minibatch
                    bar.update(len(minibatch))
            return self.evaluator.measure(kind, watched(), specs, cache)

    def _settings_of(self, spec):
        """What a value of this spec depends on."""
        settings = dict(self._settings)
        settings |= {f'{name}_sha256': sha256 for name, sha256 in self._sha256.items() if name in spec.judges}
        if self._statistics and 'real_statistics' in spec.metric.takes:
            settings['statistics_sha256'] = self._statistics
        return settings

    def _write_scalars(self):
        """Writes all records to one event file, in place of those before it.

        TensorBoard drops the points of a curve at and after the step of a point that it reads later, so steps must rise.
        """
        earlier = glob.glob(os.path.join(glob.escape(self.folder), f'*{_SUFFIX}'))
        partial = files.partial_path(os.path.join(self.folder, 'events'))
        try:
            with tf.summary.create_file_writer(partial, filename_suffix=_SUFFIX).as_default():
                for (metric, name), curve in self.records.curves().items():
                    for nimg, value in curve.items():
                        tf.summary.scalar(f'Metrics/{metric}/{name}', value, step=nimg)
            for name in os.listdir(partial):
                files.replace(os.path.join(partial, name), os.path.join(self.folder, name))
        except tf.errors.OpError as error:
            reason = error.message.strip().splitlines()[0].rpartition('; ')[2]
            raise OSError(f"TensorBoard's file in {self.folder} cannot be written ({reason}); free disk space or check "
                          'permissions.') from error
        finally:
            if os.path.exists(partial):
                files.remove(partial)
        for path in earlier:
            os.remove(path)

    def _cache_path(self, specs):
        """Where the reals' features are kept: the name says what they depend on."""
        count = max([spec.num_images for spec in specs if spec.needs_inception], default=0)
        if not self._cache or not count:
            return None
        name = (f'{self._reals.name}-{self._settings["reals_sha256"]}-{self._sha256.get("inception")}-{count}'
                f'-seed{self._seed}{"-mirror" * self._mirror}.npy')
        return os.path.join(self._cache, 'features', name)


def fingerprint_of_arrays(arrays):
    """A short checksum of the contents of arrays."""
    return sha256_of(array.tobytes() for array in arrays)[:16]


def during_training(run_dir, dataset, mirror, options):
    """The RunEvaluation of a run while it trains; evaluate.py finds its records and measures nothing again.

    `options`: the config's section train.
    """
    files = {name: getattr(options, name) for name in ('inception', 'vgg16', 'lpips', 'classifiers', 'mnist')}
    specs, judges = open_judges(parse_specs(options.metrics), files, default_cache())
    return RunEvaluation(run_dir, specs, dataset.resolution, dataset, mirror=mirror, cache=default_cache(), judges=judges)
