"""StyleGAN as StyleGAN2's authors revised it (Karras et al., CVPR 2020, configurations B to D): it still grows."""
from dataclasses import dataclass

from presets.stylegan2 import GROWING, Layers, preset


@dataclass(frozen=True)
class Network(Layers):
    kind: str = 'stylegan_revised'


_NETWORKS = GROWING | {'network.kind': 'stylegan_revised', 'network.fmap_base': 8192}

PRESETS = {
    'stylegan2-b': preset('configuration B: weight demodulation', _NETWORKS | {'loss.lazy': False, 'loss.pl_weight': 0.0}),
    'stylegan2-c': preset('configuration C: lazy regularization', _NETWORKS | {'loss.pl_weight': 0.0}),
    'stylegan2-d': preset('configuration D: path length regularization', _NETWORKS),
}
