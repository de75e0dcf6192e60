"""StyleGAN2 (Karras et al., CVPR 2020): settings of its networks, which do not grow, and of its losses, and the presets."""
from dataclasses import dataclass

from presets.preset import NetworkSection, only, ruled

NONLINEARITIES = ('lrelu', 'relu', 'linear', 'tanh', 'sigmoid', 'elu', 'selu', 'softplus', 'swish')
ARCHITECTURES = ('orig', 'skip', 'resnet')


@dataclass(frozen=True)
class Layers(NetworkSection):
    """What its networks have in common, growing or not."""
    kind: str
    fmap_base: int = ruled(16384, most=2 ** 24)  # Maps of a block: fmap_base / 2^(stage * fmap_decay), fmap_min to fmap_max.
    fmap_decay: float = ruled(1.0, most=8, zero=True)  # See fmap_base.
    fmap_min: int = ruled(1, most=2 ** 16)       # See fmap_base.
    fmap_max: int = ruled(512, most=2 ** 16)     # See fmap_base.
    use_wscale: bool = True                      # Equalized learning rate; False: He's initialization alone.
    nonlinearity: str = ruled('lrelu', choices=NONLINEARITIES)  # Leaky ReLU of slope 0.2, times sqrt(2), or another.
    resample_kernel: list[float] | None = ruled([1.0, 3.0, 3.0, 1.0])  # Filter of up and down; None: box and nearest.
    latent_size: int = only('G', 512, most=2 ** 20)   # Components of a latent z.
    dlatent_size: int = only('G', 512, most=2 ** 20)  # Components of an intermediate latent w.
    mapping_layers: int = only('G', 8, zero=True, most=64)  # Dense layers from z to w.
    mapping_fmaps: int = only('G', 512, most=2 ** 16)  # Width of those but the last.
    mapping_lrmul: float = only('G', 0.01)       # Their learning rate relative to the other layers'.
    normalize_latents: bool = only('G', True)    # Pixel-norm the latents before the first layer.
    dlatent_avg_beta: float | None = only('G', 0.995, zero=True, most=1, use=True)  # Decay of the average of w; None: none.
    style_mixing_prob: float = only('G', 0.9, zero=True, most=1, use=True)  # Share of evaluations that mix two.
    truncation_psi: float | None = only('G', 0.5, zero=True, use=True)  # How far pictures' w go from the average; None: all.
    truncation_cutoff: int | None = only('G', None, zero=True, use=True)  # In so many layers; None: in all.
    mbstd_group_size: int = only('D', 4, zero=True, most=2 ** 16)  # Group size of minibatch stddev in D; 0 or 1: none.
    mbstd_num_features: int = only('D', 1, most=2 ** 16)  # Runs of channels of which it takes one number each.


@dataclass(frozen=True)
class Network(Layers):
    kind: str = 'stylegan2'
    G_architecture: str = only('G', 'skip', choices=ARCHITECTURES, layout=True)    # Images add up, or maps do, or neither.
    D_architecture: str = only('D', 'resnet', choices=ARCHITECTURES, layout=True)  # The same of D.


PRESETS = {}
