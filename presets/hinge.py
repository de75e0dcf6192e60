"""The hinge loss, with or without a gradient penalty: its settings and presets."""
from dataclasses import dataclass

from presets.preset import LossSection, Preset, or_zero


@dataclass(frozen=True)
class Loss(LossSection):
    kind: str = 'hinge'
    wgan_lambda: float = or_zero(0.0)            # Weight of WGAN-GP's gradient penalty; 0: none.
    wgan_target: float = 1.0                     # Gradient norm that the penalty aims at.
    cond_weight: float = or_zero(1.0)            # Weight of the label terms (AC-GAN), of a D with label logits.


PRESETS = {
    'hinge': Preset('loss', 'hinge loss', {'loss.kind': 'hinge'}),
    'hinge-gp': Preset('loss', 'hinge loss with WGAN-GP\'s gradient penalty', {
        'loss.kind': 'hinge', 'loss.wgan_lambda': 10.0}),
}
