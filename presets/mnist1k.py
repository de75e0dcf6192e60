"""ProGAN's test of MNIST's 1000 modes (appendix E): settings of its small networks, and the presets."""
from dataclasses import dataclass

from presets.preset import WHOLE, PixelNormed, Preset, only, ruled


@dataclass(frozen=True)
class Network(PixelNormed):
    kind: str = 'mnist1k'
    fmap_base: int = ruled(64, most=2 ** 24)     # Maps of a layer: min(fmap_base / 2^(stage * fmap_decay), fmap_max).
    fmap_decay: float = ruled(1.0, most=8, zero=True)  # See fmap_base.
    fmap_max: int = ruled(256, most=2 ** 16)     # See fmap_base.
    D_divisor: int = only('D', 4, most=2 ** 16)  # D has one map for so many of G's: K of the paper.
    latent_size: int = only('G', 128, most=2 ** 20)  # Components of a latent.
    grows: bool = False                          # There is an image at each resolution, so that networks can grow.
    use_wscale: bool = False                     # Equalized learning rate; False: He's initialization alone.
    use_batchnorm: bool = True                   # Batch norm after each linear part but those of images and of the score.
    use_pixelnorm: bool = only('G', False)       # Pixel norm of the latents and after each layer of G.
    pixelnorm_epsilon: float = only('G', 1e-8, most=1, zero=True)  # Added to its mean square; 1e-4 in fp16.
    mbstd_group_size: int = only('D', 0, most=2 ** 16, zero=True)  # Of minibatch stddev; 65536: all; 0 or 1: none.


_BASELINE = {
    'network.kind': 'mnist1k', 'loss.wgan_epsilon': 0.0, 'data.name': 'mnistrgb',
    'data.mirror': False, 'train.devices': 1, 'train.D_repeats': 5, 'train.minibatch_repeats': 1,
    'train.total_kimg': 10000.0, 'schedule.minibatch_base': 64, 'schedule.minibatch_dict': {},
    'schedule.lod_initial_resolution': None, 'schedule.lod_training_kimg': 0.0, 'schedule.lod_transition_kimg': 0.0}
_VARIANTS = (  # Each has what those before it have.
    ('', 'WGAN-GP', {}),
    ('-norm', 'ProGAN\'s normalization', {
        'network.use_wscale': True, 'network.use_pixelnorm': True, 'network.use_batchnorm': False}),
    ('-mbstd', 'minibatch stddev too', {'network.mbstd_group_size': WHOLE}),
    ('-progressive', 'growing too', {
        'network.grows': True, 'schedule.lod_initial_resolution': 4, 'schedule.lod_training_kimg': 500.0,
        'schedule.lod_transition_kimg': 2000.0, 'train.total_kimg': 15000.0}),
)


def _presets(divisor):
    settings = _BASELINE | {'network.D_divisor': divisor}
    for suffix, help, added in _VARIANTS:
        settings = settings | added
        yield f'mnist1k-k{divisor}{suffix}', Preset('preset', f'MNIST\'s 1000 modes, D of 1/{divisor}: {help}', settings)


PRESETS = dict([*_presets(2), *_presets(4)])
