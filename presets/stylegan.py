"""StyleGAN (Karras et al., CVPR 2019): settings of its networks and of its logistic loss, and the presets."""
from dataclasses import dataclass

from presets.preset import LossSection, NetworkSection, Preset, learning_rates, only, or_zero, ruled


@dataclass(frozen=True)
class Network(NetworkSection):
    kind: str = 'stylegan'
    fmap_base: int = 8192                        # Maps of a block: min(fmap_base / 2^(stage * fmap_decay), fmap_max).
    fmap_decay: float = or_zero(1.0)             # See fmap_base.
    fmap_max: int = 512                          # See fmap_base.
    use_wscale: bool = True                      # Equalized learning rate; False: He's initialization alone.
    nonlinearity: str = ruled('lrelu', choices=('lrelu', 'relu'))  # Leaky ReLU of slope 0.2, or ReLU.
    use_blur: bool = True                        # Blur after each upscale in G and before each downscale in D.
    fused_scale: bool | str = only('G', 'auto', choices=('auto', False, True))  # Upscaling kernels that are stored flipped:
    #                                              those of blocks 128x128 and above, none, or all.
    latent_size: int = only('G', 512)            # Components of a latent z.
    dlatent_size: int = only('G', 512)           # Components of an intermediate latent w.
    mapping_layers: int = only('G', 8, zero=True, most=64)  # Dense layers from z to w.
    mapping_fmaps: int = only('G', 512)          # Width of those but the last.
    mapping_lrmul: float = only('G', 0.01)       # Their learning rate relative to the other layers'.
    normalize_latents: bool = only('G', True)    # Pixel-norm the latents before the first layer.
    const_input_layer: bool = only('G', True)    # Start from a learned constant; False: from a dense layer of w.
    use_styles: bool = only('G', True)           # Scale and shift the maps by w; False: w enters at the first layer alone.
    use_noise: bool = only('G', True)            # Add noise to the maps.
    use_pixel_norm: bool = only('G', False)      # Pixel norm after each layer of G.
    use_instance_norm: bool = only('G', True)    # Instance norm after each layer of G.
    dlatent_avg_beta: float | None = only('G', 0.995, zero=True, use=True)  # Decay of the average of w; None: there is none.
    style_mixing_prob: float = only('G', 0.9, zero=True, use=True)  # Share of the evaluations in training that mix two w.
    truncation_psi: float | None = only('G', 0.7, zero=True, use=True)  # How far pictures' w go from the average; None: all.
    truncation_cutoff: int | None = only('G', 8, zero=True, use=True)  # In so many layers; None or 0: in none.
    mbstd_group_size: int = only('D', 4, zero=True)  # Group size of minibatch stddev in D; 0 or 1: none.
    mbstd_num_features: int = only('D', 1)       # Runs of channels of which it takes one number each.


@dataclass(frozen=True)
class Loss(LossSection):
    kind: str = 'logistic'
    saturating: bool = False                     # G's loss -softplus(score) in place of softplus(-score).
    r1_gamma: float = or_zero(10.0)              # Twice the weight of D's squared gradient at reals.
    r2_gamma: float = or_zero(0.0)               # The same at fakes.
    cond_weight: float = or_zero(1.0)            # Weight of the label terms (AC-GAN), of a D with label logits.


_RATES = {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}


def _gpus(devices, minibatch_base, minibatch_dict):
    return Preset('preset', f'StyleGAN for {devices} GPU{"s" if devices > 1 else ""}', {
        'network.kind': 'stylegan', 'loss.kind': 'logistic', 'train.devices': devices, 'train.total_kimg': 25000.0,
        'schedule.lod_initial_resolution': 8, 'schedule.minibatch_base': minibatch_base,
        'schedule.minibatch_dict': minibatch_dict, 'schedule.max_minibatch_per_gpu': {}, **learning_rates(_RATES),
        'schedule.tick_kimg_dict': {4: 160, 8: 140, 16: 120, 32: 100, 64: 80, 128: 60, 256: 40, 512: 30, 1024: 20},
        'schedule.Gs_half_life_kimg': 10.0, 'train.grid': '4k'})


def _row(number, help, **settings):
    return Preset('ablation', f'row {number} of the paper\'s table 1: {help}',
                  {'network.kind': 'stylegan', **{f'network.{name}': value for name, value in settings.items()}})


FACES = {  # What demos on drawn faces have in common.
    'data.name': 'faces32', 'data.mirror': True, 'network.fmap_base': 256, 'network.fmap_max': 64, 'network.latent_size': 64,
    'network.dlatent_size': 64, 'network.mapping_fmaps': 64, 'network.mapping_layers': 4, 'schedule.minibatch_base': 16,
    'schedule.minibatch_dict': {}, 'schedule.tick_kimg': 10.0, 'schedule.tick_kimg_dict': {},
    'schedule.Gs_half_life_kimg': 3.0, 'train.network_snapshot_ticks': 5}
_STYLES = {'const_input_layer': False, 'style_mixing_prob': 0.0, 'use_noise': False}

PRESETS = {
    'stylegan-1gpu': _gpus(1, 4, {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4}),
    'stylegan-2gpus': _gpus(2, 8, {4: 256, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8}),
    'stylegan-4gpus': _gpus(4, 16, {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16}),
    'stylegan-8gpus': _gpus(8, 32, {4: 512, 8: 256, 16: 128, 32: 64, 64: 32}),
    'demo-stylegan': Preset('preset', 'StyleGAN on drawn faces at 32x32, in minutes on two CPU cores', {
        'network.kind': 'stylegan', 'loss.kind': 'logistic', **FACES, 'loss.r1_gamma': 0.3,
        'schedule.lod_initial_resolution': 8, 'schedule.lod_training_kimg': 15.0, 'schedule.lod_transition_kimg': 15.0,
        'schedule.G_learning_rate': 0.003, 'schedule.D_learning_rate': 0.003, 'train.total_kimg': 140.0}),
    'progan-networks': Preset('networks', 'ProGAN\'s networks and loss under StyleGAN\'s schedule', {
        'network.kind': 'progan', 'loss.kind': 'wgan_gp'}),

    'wgan-gp': Preset('loss', 'StyleGAN\'s CelebA-HQ variant: WGAN-GP, lower learning rates', {
        'loss.kind': 'wgan_gp', **learning_rates(_RATES | {512: 0.002, 1024: 0.002})}),
    'wgan': Preset('loss', 'Wasserstein loss with the drift penalty alone', {
        'loss.kind': 'wgan_gp', 'loss.wgan_lambda': 0.0}),
    'logistic': Preset('loss', 'logistic, non-saturating, with R1 (StyleGAN\'s)', {'loss.kind': 'logistic'}),
    'logistic-nogp': Preset('loss', 'logistic without gradient penalty', {
        'loss.kind': 'logistic', 'loss.r1_gamma': 0.0}),
    'logistic-saturating': Preset('loss', 'logistic, saturating, with R1', {
        'loss.kind': 'logistic', 'loss.saturating': True}),

    'traditional': _row('B', 'no styles, ProGAN\'s generator', **_STYLES, use_styles=False, use_pixel_norm=True,
                        use_instance_norm=False, mapping_layers=0, truncation_psi=None),
    'add-styles': _row('C', 'mapping and styles', **_STYLES),
    'add-constant': _row('D', 'constant input', style_mixing_prob=0.0, use_noise=False),
    'add-noise': _row('E', 'noise', style_mixing_prob=0.0),
    'add-mixing': _row('F', 'style mixing, the default', style_mixing_prob=0.9),
}
