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
    kind: str               # 'seed', 'row', 'latent' or 'w', for file names.
    numbers: Sequence[int]
    random_state: int | None = None
    given_latents: np.ndarray | None = None
    classes: str | None = None  # Numbers, or names that only the network knows.
    given_labels: np.ndarray | None = None
    given_w: np.ndarray | None = None  # [N, W] or [N, layers, W]; then there are neither latents nor labels.
    average: bool = False              # One image, of the average of their w.
    steps: int | None = None           # Those between each two in w as well: so many steps from one to the next.

    @property
    def is_of_w(self):
        """Whether the images are of w that latents alone do not give."""
        return self.given_w is not None or self.average or self.steps is not None

    def names(self):
        """Names that tell the images apart, e.g. seed0007."""
        if self.average:
            return ['average']
        numbers = self.numbers if self.steps is None else range((len(self.numbers) - 1) * self.steps + 1)
        digits = max(4, len(str(max(numbers, default=0))))
        return [f'{self.kind if self.steps is None else "step"}{number:0{digits}d}' for number in numbers]

    def distinct_names(self):
        """The same; ValueError where one comes twice."""
        names = self.names()
        if len({*names}) < len(names):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            raise ValueError(f'{twice} was asked for twice; name each number once.')
        return names

    def latents(self, latent_size):
        """float32 [N, latent_size]"""
        if self.given_latents is not None:
            return self.given_latents
        if self.random_state is not None:
            return of_rows(self.random_state, self.numbers, latent_size)
        return of_seeds(self.numbers, latent_size)

    @property
    def is_of_seeds(self):
        """Whether each image is that of a seed."""
        return self.kind == 'seed' and not self.is_of_w

    def labels(self, label_size, class_names=None):
        """float32 [N, label_size], or None for a network that takes none."""
        if self.given_labels is not None:
            return self.given_labels
        if self.classes is not None:
            cycle = itertools.cycle(parse_classes(self.classes, class_names))
            return labels_of([*itertools.islice(cycle, len(self.numbers))], label_size)
        return labels_of(drawn_classes(self.numbers, label_size), label_size) if label_size else None


def select(seeds='0-23', random_state=None, rows=None, latents=None, classes=None, labels=None, w=None, average=False,
           steps=None):
    """The Selection that is asked for in words, `latents`, `labels`, `w` by .npy files; ValueError or OSError for others."""
    given_latents, given_w = load_array(latents, 'latents') if latents else None, load_array(w, 'w') if w else None
    given = given_latents if latents else given_w
    if given is not None:
        kind, numbers = 'latent' if latents else 'w', range(len(given) if given.ndim else 0)
    elif random_state is not None:
        kind, numbers = 'row', parse_integers(rows or '0-23')
    else:
        kind, numbers = 'seed', parse_integers(seeds)
    return Selection(kind, numbers, random_state, given_latents, classes,
                     load_array(labels, 'labels') if labels else None, given_w, average, steps)
