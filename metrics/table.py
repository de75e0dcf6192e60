"""The closed table of metrics, and how they are asked for by name."""
import re
from typing import NamedTuple

from metrics.frechet_inception_distance import FID
from metrics.inception_score import InceptionScore
from metrics.kernel_inception_distance import KID
from metrics.metric import Metric
from metrics.ms_ssim import MSSSIM
from metrics.precision_recall import PrecisionRecall
from metrics.sliced_wasserstein import SlicedWasserstein

METRICS = {metric.name: metric for metric in (
    SlicedWasserstein,
    MSSSIM,
    FID,
    InceptionScore,
    KID,
    PrecisionRecall,
)}

_COUNT = re.compile(r'(\d+)(k?)')


class Spec(NamedTuple):
    """A metric and how many images of each set it looks at."""
    metric: type[Metric]
    num_images: int

    @property
    def needs_inception(self):
        """Whether it sees what Inception makes of the images."""
        return self.metric.sees in ('features', 'logits')

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

    swd-16k means 16384 images. ValueError for unknown names.
    """
    specs = []
    for item in filter(None, names.split(',')):
        name, dash, count = item.partition('-')
        match = _COUNT.fullmatch(count)
        if name not in METRICS or (dash and not match) or (match and int(match[1]) == 0):
            raise ValueError(f'unknown metric {item!r}; expected {", ".join(METRICS)}, or one with a number of '
                             'images, such as swd-16k, fid-50k or is-500.')
        number = 16384 if count == '16k' else int(match[1]) * (1000 if match[2] else 1) if match else None
        specs.append(Spec(METRICS[name], number or num_images or METRICS[name].default_count))
    return list(dict.fromkeys(specs))
