"""StyleGAN as StyleGAN2's authors revised it (Karras et al., CVPR 2020, configurations B to D): it still grows."""
from dataclasses import dataclass

from presets.stylegan2 import Layers


@dataclass(frozen=True)
class Network(Layers):
    kind: str = 'stylegan_revised'


PRESETS = {}
