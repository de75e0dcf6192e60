"""The common part of the metrics that need all features of a set at once."""
import numpy as np

from metrics.metric import Metric


class Collected(Metric):
    """Collects what is fed between begin and end, then calls `measure(kind, everything)` of the subclass.

    Memory: 8 kB per image for 2048 features (410 MB for 50000); metrics fed the same arrays share them.
    """

    def begin(self, kind):
        """Starts a set: 'reals' or 'fakes'; the reals come first."""
        self._kind = kind
        self._parts = []

    def feed(self, features):
        """Adds float32 [N, D]."""
        self._parts.append(features)

    def end(self):
        """Finishes the set. -> one float per column."""
        if not self._parts:
            raise ValueError('found no images to measure; raise --num_images.')
        features = np.concatenate(self._parts)
        self._parts = []
        return list(self.measure(self._kind, features))
