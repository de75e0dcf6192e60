"""The tables of ProGAN's paper as runs: which names of --config make each row, at the paper's size and at a small one.

The small size is meant for two CPU cores, a quarter of an hour per row at most: drawn faces of 32x32, or triples of
scikit-learn's digits at 16x16, tiny networks, and as many images for each row of a table. Published values are those of the
paper's table 1 for CelebA at 128x128; a table names their source below them, whatever size was run.
"""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One line of a table: `names` of --config, what is set beside them, always and at the small size, and the paper's."""
    label: str
    names: str
    small: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    published: dict = field(default_factory=dict)  # {column: value}


@dataclass(frozen=True)
class Experiment:
    """A table: its rows by name, the metrics and the data set of either size, and the number of seeds that is usual."""
    help: str
    rows: dict[str, Row]
    metrics: dict[str, str]          # {scale: --metrics}
    data: dict[str, str]             # {scale: a name of --config}
    small: dict                      # What is set in every small run.
    seeds: int = 2
    source: str = 'Karras et al., 2018'


_FACES = {'data.resolution': 32, 'network.fmap_base': 128, 'network.fmap_max': 32, 'train.total_kimg': 120.0}
_GROWS = {'schedule.lod_training_kimg': 10.0, 'schedule.lod_transition_kimg': 10.0}
_DATA = {'paper': 'celeba', 'small': 'faces32'}
_METRICS = {'paper': 'swd-16k,msssim-10k', 'small': 'swd-2k,msssim-2k'}
_SWD = ('SWDx1e3_128', 'SWDx1e3_64', 'SWDx1e3_32', 'SWDx1e3_16', 'SWDx1e3_avg', 'MS-SSIM')


def _row(letter, help, values, small=_GROWS):
    return Row(f'({letter}) {help}', f'table1-{letter.replace("*", "-star")}', small,
               published=dict(zip(_SWD, values, strict=True)))


TABLE1 = Experiment('from WGAN-GP to ProGAN step by step', {
    'a': _row('a', 'Gulrajani et al.', (12.99, 7.79, 7.62, 8.73, 9.28, 0.2854), {}),
    'b': _row('b', '+ progressive growing', (4.62, 2.64, 3.78, 6.06, 4.28, 0.2838)),
    'c': _row('c', '+ small minibatch', (75.42, 41.33, 41.62, 26.57, 46.23, 0.4065)),
    'd': _row('d', '+ revised training parameters', (9.20, 6.53, 4.71, 11.84, 8.07, 0.3027)),
    'e-star': _row('e*', '+ minibatch discrimination', (10.76, 6.28, 6.04, 16.29, 9.84, 0.3057)),
    'e': _row('e', '+ minibatch stddev', (13.94, 5.67, 2.82, 5.71, 7.04, 0.2950)),
    'f': _row('f', '+ equalized learning rate', (4.42, 3.28, 2.32, 7.52, 4.39, 0.2902)),
    'g': _row('g', '+ pixelwise normalization', (4.06, 3.04, 2.02, 5.13, 3.56, 0.2845)),
    'h': _row('h', 'converged', (2.42, 2.17, 2.24, 4.99, 2.96, 0.2828),
              _GROWS | {'network.fmap_base': 256, 'train.total_kimg': 150.0}),
}, _METRICS, _DATA, _FACES,
    source='Karras et al., 2018, table 1, CelebA')

MNIST1K = Experiment('1000 modes of three digits: how many does G cover, and how evenly?', {
    f'k{k}{suffix}': Row(f'D of K/{k}{help}', f'mnist1k-k{k}{suffix}', small)
    for k in (4, 2) for suffix, help, small in (
        ('', ', WGAN-GP', {}), ('-norm', ', + our normalization', {}), ('-mbstd', ', + minibatch stddev', {}),
        ('-progressive', ', + progressive growing', {'schedule.lod_training_kimg': 10.0,
                                                     'schedule.lod_transition_kimg': 40.0}))
}, {'paper': 'modes', 'small': 'modes'}, {'paper': 'mnistrgb', 'small': 'digitsrgb'}, {'train.total_kimg': 200.0}, seeds=8)

LSGAN = Experiment('least squares with and without adaptive noise in D, beside WGAN-GP', {
    'wgan-gp': Row('WGAN-GP', 'table1-g', _GROWS),
    'lsgan': Row('LSGAN, adaptive noise', 'table1-g,lsgan', _GROWS),
    'lsgan-bare': Row('LSGAN without noise', 'table1-g,lsgan', _GROWS, {'loss.noise_weight': 0.0}),
}, _METRICS, _DATA, _FACES)

GROWING = Experiment('growing against all layers from the start, the same images', {
    'growing': Row('growing from 4x4', 'table1-g', _GROWS),
    'all-layers': Row('all layers from the start', 'table1-g,nogrowing'),
}, {'paper': 'swd-16k', 'small': 'swd-2k'}, _DATA, _FACES)

EXPERIMENTS = {'table1': TABLE1, 'mnist1k': MNIST1K, 'lsgan': LSGAN, 'growing': GROWING}
