"""ProGAN's experiments under the settings of its first implementation: the rows of table 1, the large runs, CIFAR-10.

Where the paper is silent: growing takes 800 + 800 kimg, as it was run (its text says 600 + 600); row h, "longer", shows the
15000 kimg that are the implementation's default; LSUN is mirrored but for bedrooms and dogs in table 1 too. The paper's
moving average follows G once per G step; ours does once per D step, to the same G: 0.999^4 five times is its 0.999^20.
"""
from presets.preset import WHOLE, Preset

_NOT_MIRRORED = {f'lsun-{name}-100k': {'data.mirror': False} for name in ('bedroom', 'dog')}

_COMMON = {  # Of all.
    'network.fused_scale': False, 'network.normalize_labels': False, 'train.devices': 1,
    'train.minibatch_repeats': 1, 'schedule.minibatch_base': 16, 'schedule.minibatch_dict': {}}


def _growing(kimg):
    return {'schedule.lod_initial_resolution': 4, 'schedule.lod_training_kimg': kimg, 'schedule.lod_transition_kimg': kimg}


def _rates(rate):
    return {'schedule.G_learning_rate': rate, 'schedule.D_learning_rate': rate}


_A = _COMMON | _rates(1e-4) | {
    'data.resolution': 128, 'train.total_kimg': 10000.0, 'loss.wgan_epsilon': 0.0,
    'train.D_repeats': 5, 'optimizer.beta2': 0.9, 'schedule.minibatch_base': 64, 'train.Gs_decay': 0.999 ** 4,
    'schedule.lod_initial_resolution': None, 'schedule.lod_training_kimg': 0.0, 'schedule.lod_transition_kimg': 0.0,
    'network.fmap_base': 2048, 'network.latent_size': 128, 'network.normalize_latents': False,
    'network.use_leakyrelu': False, 'network.use_batchnorm': True, 'network.use_tanh': True, 'network.use_layernorm': True,
    'network.use_wscale': False, 'network.use_pixelnorm': False, 'network.mbstd_group_size': 0}
_B = _A | _growing(800.0)
_C = _B | {'schedule.minibatch_base': 16, 'train.Gs_decay': 0.999}
_D = {key: value for key, value in _C.items() if key != 'loss.wgan_epsilon'} | {  # So that other losses compose.
    'train.D_repeats': 1, 'optimizer.beta2': 0.99, 'network.latent_size': 512,
    'network.normalize_latents': True, 'network.use_leakyrelu': True, 'network.use_batchnorm': False,
    'network.use_tanh': False, 'network.use_layernorm': False}
_E_STAR = _D | {'network.mbdisc_kernels': 100, 'network.mbdisc_dims': 5}
_E = _D | {'network.mbstd_group_size': WHOLE}
_F = _E | _rates(1e-3) | {'network.use_wscale': True}
_G = _F | {'network.use_pixelnorm': True}
_H = _G | {'network.fmap_base': 8192, 'train.total_kimg': 15000.0}


def _row(letter, help, settings):
    return Preset('preset', f'row {letter} of ProGAN\'s table 1: {help}', settings, _NOT_MIRRORED)


_LARGE = _COMMON | _growing(800.0) | {'network.mbstd_group_size': WHOLE, 'schedule.rampup_kimg': 40.0}

PRESETS = {
    'table1-a': _row('a', 'Gulrajani et al.', _A),
    'table1-b': _row('b', '+ progressive growing', _B),
    'table1-c': _row('c', '+ small minibatch', _C),
    'table1-d': _row('d', '+ revised training parameters', _D),
    'table1-e-star': _row('e*', '+ minibatch discrimination', _E_STAR),
    'table1-e': _row('e', '+ minibatch stddev', _E),
    'table1-f': _row('f', '+ equalized learning rate', _F),
    'table1-g': _row('g', '+ pixel norm', _G),
    'table1-h': _row('h', 'converged', _H),
    'paper-celebahq': Preset('preset', 'CelebA-HQ under the settings of ProGAN\'s first implementation', _LARGE | {
        'data.name': 'celebahq', 'data.mirror': True, 'train.total_kimg': 19000.0,
        'schedule.minibatch_dict': {256: 14, 512: 6, 1024: 3}}),
    'paper-lsun': Preset('preset', 'the same for a category of LSUN at 256x256, e.g. lsun-cat-100k,paper-lsun', _LARGE | {
        'data.resolution': 256, 'train.total_kimg': 20000.0}, _NOT_MIRRORED),
    'cifar10-paper': Preset('preset', 'CIFAR-10, unsupervised: joint step, target 750', _COMMON | _growing(400.0) | {
        'data.name': 'cifar10', 'data.mirror': False, 'loss.kind': 'wgan_gp_joint', 'loss.wgan_target': 750.0,
        'train.total_kimg': 20000.0, 'network.fmap_base': 4096, 'network.fmap_max': 128, 'network.latent_size': 128,
        'network.mbstd_group_size': WHOLE}),
}
