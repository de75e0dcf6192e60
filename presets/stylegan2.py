"""StyleGAN2 (Karras et al., CVPR 2020): settings of its networks, which do not grow, and of its losses, and the presets."""
from dataclasses import dataclass

from presets.preset import LossSection, NetworkSection, Preset, learning_rates, only, or_zero, ruled
from presets.stylegan import FACES

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


@dataclass(frozen=True)
class Loss(LossSection):
    kind: str = 'stylegan2'
    G_loss: str = ruled('logistic_ns', choices=('logistic_ns', 'logistic', 'wgan'))  # softplus(-s), -softplus(s), or -s.
    pl_weight: float = or_zero(2.0)              # Weight of the path length regularizer; 0: there is none.
    pl_decay: float = ruled(0.01, zero=True, most=1)  # How far the mean of path lengths goes to each new one.
    pl_minibatch_shrink: int = 2                 # One latent for so many of the minibatch.
    D_loss: str = ruled('logistic', choices=('logistic', 'wgan'))  # softplus(fake) + softplus(-real), or fake - real + ...
    D_penalty: str = ruled('r1', choices=('r1', 'r2', 'gp', 'none'))  # Gradient at reals, at fakes, WGAN-GP's, or none.
    gamma: float = or_zero(10.0)                 # Twice the weight of r1 or r2.
    wgan_lambda: float = or_zero(10.0)           # Weight of gp.
    wgan_target: float = 1.0                     # Gradient norm that gp aims at.
    wgan_epsilon: float = or_zero(0.001)         # Weight of real_score^2 in D_loss wgan.
    lazy: bool = True                            # Regularizers are steps of their own, now and then; False: part of each.
    G_reg_interval: int = ruled(4, most=2 ** 16)   # G's is due every so many rounds, with as much weight.
    D_reg_interval: int = ruled(16, most=2 ** 16)  # The same of D's.
    cond_weight: float = or_zero(1.0)            # Weight of the label terms (AC-GAN), of a D with label logits.

    @property
    def D_weight(self):
        """Weight of D's regularizer; 0: there is none."""
        return {'gp': self.wgan_lambda, 'none': 0.0}.get(self.D_penalty, self.gamma)

    @property
    def lazy_intervals(self):
        return {'G': self.G_reg_interval, 'D': self.D_reg_interval} if self.lazy else {}

    @property
    def needs_w(self):
        return self.pl_weight > 0


_KIMG = {'lsun-car': 57000.0, 'lsun-cat': 88000.0, 'lsun-church': 88000.0, 'lsun-horse': 100000.0}
_NO_CAPS = {'schedule.max_minibatch_per_gpu': {}}  # Of devices that are full: slices make do with less.


def preset(help, settings, gammas=()):
    """A configuration; `gammas` by data set."""
    beside = {name: {'train.total_kimg': kimg} for name, kimg in _KIMG.items()} | {'fp16': _NO_CAPS, 'bf16': _NO_CAPS}
    for name, gamma in dict(gammas).items():
        beside[name] = beside[name] | {'loss.gamma': gamma}
    return Preset('preset', help, {
        'loss.kind': 'stylegan2', 'train.total_kimg': 25000.0, **_NO_CAPS,
        'schedule.minibatch_base': 32, 'schedule.minibatch_per_device_base': 4, 'schedule.tick_kimg': 4.0,
        'schedule.tick_kimg_dict': {8: 28, 16: 24, 32: 20, 64: 16, 128: 12, 256: 8, 512: 6, 1024: 4},
        'schedule.Gs_half_life_kimg': 10.0, 'train.grid': '8k', **settings}, beside)


GROWING = {  # What the configurations that grow have in common.
    'schedule.lod_initial_resolution': 8, 'schedule.minibatch_dict': {8: 256, 16: 128, 32: 64, 64: 32},
    'schedule.minibatch_per_device': {8: 32, 16: 16, 32: 8, 64: 4},
    **learning_rates({128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003})}
_FIXED = {
    'network.kind': 'stylegan2', 'schedule.lod_initial_resolution': None, 'schedule.lod_training_kimg': 0.0,
    'schedule.lod_transition_kimg': 0.0, 'schedule.G_learning_rate': 0.002, 'schedule.D_learning_rate': 0.002}
_E = _FIXED | {'network.fmap_base': 8192, 'loss.gamma': 100.0}


def _pair(G, D):
    return preset(f'configuration E with G {G}, D {D} (table 2)',
                  _E | {'network.G_architecture': G, 'network.D_architecture': D})


PRESETS = {
    'stylegan2-a': preset('configuration A of the paper: StyleGAN', GROWING | {
        'network.kind': 'stylegan', 'loss.lazy': False, 'loss.pl_weight': 0.0}),
    'stylegan2-e': preset('configuration E: no growing, G skip, D resnet', _E),
    'stylegan2-f': preset('configuration F: large networks', _FIXED, {'lsun-church': 100.0, 'lsun-horse': 100.0}),
    'demo-stylegan2': preset('StyleGAN2 on drawn faces at 32x32, in minutes on two CPU cores', _FIXED | FACES | {
        'loss.gamma': 0.3, 'schedule.minibatch_per_device_base': None, 'train.total_kimg': 110.0, 'train.grid': '1080p'}),
    **{f'stylegan2-e-G{G}-D{D}': _pair(G, D) for G in ARCHITECTURES for D in ARCHITECTURES},
}
