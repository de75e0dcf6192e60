"""The closed table of metrics, and how they are asked for by name."""
import re
from typing import NamedTuple

from metrics.frechet_inception_distance import FID
from metrics.inception_score import InceptionScore
from metrics.kernel_inception_distance import KID
from metrics.linear_separability import LinearSeparability
from metrics.metric import Metric
from metrics.modes import Modes
from metrics.ms_ssim import MSSSIM
from metrics.perceptual_path_length import WEnd, WFull, WholeWEnd, ZEnd, ZFull
from metrics.precision_recall import PrecisionRecall
from metrics.precision_recall_vgg16 import PrecisionRecallVGG16
from metrics.sliced_wasserstein import SlicedWasserstein

METRICS = {metric.name: metric for metric in (
    SlicedWasserstein,
    MSSSIM,
    FID,
    InceptionScore,
    KID,
    PrecisionRecall,
    ZFull,
    WFull,
    ZEnd,
    WEnd,
    WholeWEnd,
    PrecisionRecallVGG16,
    LinearSeparability,
    Modes,
)}
# What StyleGAN's repositories call them; the other names are theirs too.
REFERENCE_NAMES = {'fid50k': 'fid-50k', 'is50k': 'is-50k', 'pr50k3': 'pr_vgg16-50k'}

_COUNT = re.compile(r'(\d+)(k?)')


class Spec(NamedTuple):
    """A metric and how many images of each set it looks at."""
    metric: type[Metric]
    num_images: int

    @property
    def needs_inception(self):
        """Whether it sees what Inception makes of the images."""
        return self.metric.sees in ('features', 'logits')

    @property
    def judges(self):
        """Among others the names in metrics/judges.py of the networks that it looks through."""
        return ('inception',) * self.needs_inception + tuple(self.metric.takes)

    def __str__(self):
        n = self.num_images
        count = '16k' if n == 16384 else f'{n // 1000}k' if n % 1000 == 0 else str(n)
        return f'{self.metric.name}-{count}'


def label(specs):
    """A short name of specs for files: swd-16k-fid-50k, or swd-msssim-500 where all have one number of images."""
    if len({spec.num_images for spec in specs}) > 1:
        return '-'.join(map(str, specs))
    return '-'.join([*(spec.metric.name for spec in specs[:-1]), str(specs[-1])])


def parse_specs(names, num_images=None):
    """'swd,fid-10k,is-500' -> Specs; a name without a count takes `num_images`, or else the paper's.

    swd-16k means 16384 images; fid50k, is50k and pr50k3 are StyleGAN's names. ValueError for unknown names.
    """
    specs = []
    for item in filter(None, names.split(',')):
        item = REFERENCE_NAMES.get(item, item)
        name, dash, count = item.partition('-')
        match = _COUNT.fullmatch(count)
        if name not in METRICS or (dash and not match) or (match and int(match[1]) == 0):
            raise ValueError(f'unknown metric {item!r}; expected {", ".join(METRICS)}, or one with a number of '
                             'images, such as swd-16k, fid-50k or is-500.')
        number = 16384 if count == '16k' else int(match[1]) * (1000 if match[2] else 1) if match else None
        specs.append(Spec(METRICS[name], number or num_images or METRICS[name].default_count))
    return list(dict.fromkeys(specs))


def check_network(specs, Gs):
    """ValueError if a metric cannot measure such a network."""
    for spec in specs:
        spec.metric.check(Gs)


def check_images(specs, images):
    """ValueError if a metric of images cannot measure such a set of them."""
    check_network([spec for spec in specs if spec.metric.sees != 'network'], images)


def refuse_blind(specs, row):
    """ValueError if a metric needs a network where there is a set of images."""
    for spec in specs:
        if spec.metric.sees == 'network':
            raise ValueError(f'{spec} looks at a network, {row!r} is a set of images; leave it out of --metrics.')
