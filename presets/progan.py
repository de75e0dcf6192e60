"""ProGAN (Karras et al., ICLR 2018): settings of its networks and of its loss, and the presets."""
from dataclasses import dataclass

from presets.preset import LossSection, PixelNormed, Preset, learning_rates, only, or_zero, ruled


@dataclass(frozen=True)
class Network(PixelNormed):
    kind: str = 'progan'
    fmap_base: int = ruled(8192, most=2 ** 24)        # Maps of a block: min(fmap_base / 2^(stage * fmap_decay), fmap_max).
    fmap_decay: float = ruled(1.0, most=8, zero=True)  # See fmap_base.
    fmap_max: int = ruled(512, most=2 ** 16)          # See fmap_base.
    latent_size: int | None = only('G', None, most=2 ** 20)  # Components of a latent; None: the feature maps of stage 0.
    normalize_latents: bool = only('G', True)    # Pixel-norm the latents before the first layer.
    normalize_labels: bool = only('G', True)     # Together with their labels; False: the latents alone.
    use_wscale: bool = True                      # Equalized learning rate; False: He's initialization alone.
    use_pixelnorm: bool = only('G', True)        # Pixel norm after each layer of G.
    use_batchnorm: bool = only('G', False)       # Batch norm after each linear part of G, before bias and activation.
    use_leakyrelu: bool = only('G', True)        # Leaky ReLU in G; False: ReLU (D is always leaky).
    use_tanh: bool = only('G', False)            # G ends in tanh.
    pixelnorm_epsilon: float = only('G', 1e-8, most=1, zero=True)  # Added to the mean square before its root; 1e-4 in fp16.
    fused_scale: bool = True                     # One strided convolution instead of a convolution and a rescaling.
    mbstd_group_size: int = only('D', 4, most=2 ** 16, zero=True)  # Group size of minibatch stddev in D; 0 or 1: none;
    #                                              65536: the whole minibatch, whatever its size.
    mbdisc_kernels: int = only('D', 0, most=2 ** 10, zero=True)  # Kernels of minibatch discrimination; 0: none.
    mbdisc_dims: int = only('D', 5, most=2 ** 8)  # Dimensions of each.
    use_layernorm: bool = only('D', False)       # The same, layer norm, of D's that see neighbours.


@dataclass(frozen=True)
class Loss(LossSection):
    kind: str = 'wgan_gp'
    wgan_lambda: float = or_zero(10.0)           # Weight of the gradient penalty.
    wgan_epsilon: float = or_zero(0.001)         # Weight of the drift penalty real_score^2.
    wgan_target: float = 1.0                     # Gradient norm that the penalty aims at.
    cond_weight: float = or_zero(1.0)            # Weight of the label terms (AC-GAN).


def _gpus(devices, minibatch_base, minibatch_dict, rates):
    return Preset('preset', f'the reference\'s settings for {devices} GPU{"s" if devices > 1 else ""}', {
        'train.devices': devices, 'schedule.minibatch_base': minibatch_base,
        'schedule.minibatch_dict': minibatch_dict, **learning_rates(rates)})


PRESETS = {
    'demo': Preset('preset', 'handwritten digits at 16x16 by class, in minutes on two CPU cores', {
        'data.name': 'digits', 'data.label_size': 'full', 'network.fmap_base': 128, 'network.fmap_max': 32,
        'schedule.minibatch_base': 16, 'schedule.minibatch_dict': {}, 'schedule.lod_training_kimg': 4.0,
        'schedule.lod_transition_kimg': 4.0, 'schedule.G_learning_rate': 0.003, 'schedule.D_learning_rate': 0.003,
        'schedule.tick_kimg': 4.0, 'schedule.tick_kimg_dict': {}, 'train.total_kimg': 60.0, 'train.Gs_decay': 0.99,
        'train.network_snapshot_ticks': 5, 'train.grid_layout': 'row_per_class'}),
    'small': Preset('preset', 'your pictures at 64x64 with 64 maps, on two CPU cores or any GPU', {
        'data.resolution': 64, 'network.fmap_base': 1024, 'network.fmap_max': 64,
        'schedule.minibatch_base': 16, 'schedule.minibatch_dict': {}, 'schedule.lod_training_kimg': 12.0,
        'schedule.lod_transition_kimg': 12.0, 'schedule.tick_kimg': 4.0, 'schedule.tick_kimg_dict': {},
        'train.total_kimg': 120.0, 'train.Gs_decay': 0.99, 'train.network_snapshot_ticks': 5, 'train.keep_snapshots': 5}),
    'v1-1gpu': Preset('preset', 'the paper: one GPU, minibatch 16', {
        'train.devices': 1, 'train.total_kimg': 19000.0, 'network.mbstd_group_size': 16,
        'schedule.minibatch_base': 16, 'schedule.minibatch_dict': {256: 14, 512: 6, 1024: 3},
        'schedule.lod_training_kimg': 800.0, 'schedule.lod_transition_kimg': 800.0}),
    'v2-1gpu': _gpus(1, 4, {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4}, {1024: 0.0015}),
    'v2-2gpus': _gpus(2, 8, {4: 256, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8}, {512: 0.0015, 1024: 0.002}),
    'v2-4gpus': _gpus(4, 16, {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16},
                      {256: 0.0015, 512: 0.002, 1024: 0.003}),
    'v2-8gpus': _gpus(8, 32, {4: 512, 8: 256, 16: 128, 32: 64, 64: 32},
                      {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}),

    'nopixelnorm': Preset('', 'no pixel norm in G', {'network.use_pixelnorm': False}),
    'nowscale': Preset('', 'no equalized learning rate', {'network.use_wscale': False}),
    'noleakyrelu': Preset('', 'ReLU in G', {'network.use_leakyrelu': False}),
}
