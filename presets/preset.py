"""What presets are made of: a name of --config, and the base of the sections that each method has its own of."""
import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

WHOLE = 2 ** 16  # A group of images that is the whole minibatch, however large.


class Preset(NamedTuple):
    """What one name of `--config` sets. Of each group at most one name may be given; '' is no group.

    `beside` {another name: values} is what it sets where that name is given too, whichever comes first.
    """
    group: str
    help: str
    values: dict
    beside: dict = {}


def ruled(default, **rules):
    """A field with rules: zero=True, its number may be 0; most=N, it may be no larger; choices=(...), its values; use=True,
    it builds nothing; layout=True, it says which layers there are, of which those of one name mean the same.

    A field of use, like how a generator is sampled, may differ between networks of the same layers.
    """
    how = {'default_factory': default.copy} if isinstance(default, dict | list) else {'default': default}
    return dataclasses.field(**how, metadata=rules)


@dataclass(frozen=True)
class Images:
    """What a network makes or judges."""
    resolution: int = ruled(1024, most=2 ** 14)  # A power of two, 4 or more.
    num_channels: int = ruled(3, most=2 ** 10)
    label_size: int = ruled(0, most=2 ** 20, zero=True)


@dataclass(frozen=True)
class NetworkSection:
    """Settings of an architecture's two networks; `kind` is its name in networks/architectures.py."""
    kind: str

    @classmethod
    def names_of(cls, role):
        """Names of the settings that concern the generator ('G') or the discriminator ('D')."""
        return [f.name for f in dataclasses.fields(cls) if f.name != 'kind' and f.metadata.get('role', role) == role]

    @classmethod
    def names_of_use(cls):
        """Names of the settings that build nothing."""
        return [f.name for f in dataclasses.fields(cls) if f.metadata.get('use')]

    @classmethod
    def names_of_layouts(cls):
        """Names of the settings that say which layers there are."""
        return [f.name for f in dataclasses.fields(cls) if f.metadata.get('layout')]

    def for_dtype(self, dtype):
        """The same settings where activations of `dtype` ('float32', 'float16', 'bfloat16') need others."""
        return self


@dataclass(frozen=True)
class PixelNormed(NetworkSection):
    """That of an architecture with pixel norm, whose settings have pixelnorm_epsilon."""

    def for_dtype(self, dtype):
        """With an epsilon of pixel norm that is not 0 in float16."""
        return dataclasses.replace(self, pixelnorm_epsilon=max(self.pixelnorm_epsilon, 1e-4)) if dtype == 'float16' else self


@dataclass(frozen=True)
class LossSection:
    """Settings of an objective; `kind` is its name in training/objectives/table.py."""
    kind: str

    @property
    def lazy_intervals(self):
        """{'G', 'D': every how many rounds its regularizer is due}, of networks whose Adam is to make up for that."""
        return {}

    @property
    def needs_w(self):
        """Whether the generator has to map latents to w."""
        return False


def only(role, default, **rules):
    """A field that concerns one network alone, 'G' or 'D'; `rules` as for `ruled`."""
    return ruled(default, role=role, **rules)


def or_zero(default):
    """A field whose number may be 0, not only positive."""
    return ruled(default, zero=True)


def learning_rates(by_resolution):
    """Both networks' learning rates by resolution."""
    return {'schedule.G_learning_rate_dict': by_resolution, 'schedule.D_learning_rate_dict': by_resolution}
