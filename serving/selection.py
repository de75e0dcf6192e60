"""Which images are to be made, as far as it can be said before the network is known."""
import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from serving.latents import drawn_classes, labels_of, load_array, of_rows, of_seeds, parse_classes, parse_integers


@dataclasses.dataclass(frozen=True)
class Selection:
    """Images by number: of their seeds, of rows of one random state, or of latents that are given.

    `classes` are shown in turn, or else `labels` float32 [N, label_size] are given, or else each number draws its class.
    """
    kind: str               # 'seed', 'row' or 'latent', for file names.
    numbers: Sequence[int]
    random_state: int | None = None
    given_latents: np.ndarray | None = None
    classes: str | None = None  # Numbers, or names that only the network knows.
    given_labels: np.ndarray | None = None

    def names(self):
        """Names that tell the images apart, e.g. seed0007."""
        digits = max(4, len(str(max(self.numbers, default=0))))
        return [f'{self.kind}{number:0{digits}d}' for number in self.numbers]

    def latents(self, latent_size):
        """float32 [N, latent_size]"""
        if self.given_latents is not None:
            return self.given_latents
        if self.random_state is not None:
            return of_rows(self.random_state, self.numbers, latent_size)
        return of_seeds(self.numbers, latent_size)

    def labels(self, label_size, class_names=None):
        """float32 [N, label_size], or None for a network that takes none."""
        if self.given_labels is not None:
            return self.given_labels
        if self.classes is not None:
            cycle = itertools.cycle(parse_classes(self.classes, class_names))
            return labels_of([*itertools.islice(cycle, len(self.numbers))], label_size)
        return labels_of(drawn_classes(self.numbers, label_size), label_size) if label_size else None


def select(seeds='0-23', random_state=None, rows=None, latents=None, classes=None, labels=None):
    """The Selection that is asked for in words, `latents` and `labels` by .npy files; ValueError or OSError for others."""
    given_latents = load_array(latents, 'latents') if latents else None
    if latents:
        kind, numbers = 'latent', range(len(given_latents) if given_latents.ndim else 0)
    elif random_state is not None:
        kind, numbers = 'row', parse_integers(rows or '0-23')
    else:
        kind, numbers = 'seed', parse_integers(seeds)
    return Selection(kind, numbers, random_state, given_latents, classes,
                     load_array(labels, 'labels') if labels else None)
