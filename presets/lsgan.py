"""LSGAN with adaptive noise in D (ProGAN, appendix B): its settings and preset."""
from dataclasses import dataclass

from presets.preset import LossSection, Preset, or_zero


@dataclass(frozen=True)
class Loss(LossSection):
    kind: str = 'lsgan'
    fake_weight: float = or_zero(0.1)            # Weight of (fake - 1)^2 in D's loss.
    noise_weight: float = or_zero(0.2)           # Of (average fake score - 0.5)^2, the strength of D's noise; 0: none.
    cond_weight: float = or_zero(1.0)            # Weight of the label terms (AC-GAN), of a D with label logits.


PRESETS = {
    'lsgan': Preset('loss', 'least squares with adaptive noise in D (ProGAN\'s appendix B)', {'loss.kind': 'lsgan'}),
}
