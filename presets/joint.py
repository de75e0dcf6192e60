"""WGAN-GP with one step for both networks: its settings, those of ProGAN's loss, and its preset."""
from dataclasses import dataclass

from presets import progan
from presets.preset import Preset


@dataclass(frozen=True)
class Loss(progan.Loss):
    kind: str = 'wgan_gp_joint'


PRESETS = {
    'joint': Preset('loss', 'ProGAN\'s WGAN-GP, G and D updated from one evaluation', {'loss.kind': 'wgan_gp_joint'}),
}
