"""StyleGAN's networks in official files -> this project's. What the file says is checked, never run.

The outer generator holds two components, synthesis and mapping, with variables of their own. What the variables show is read
off them, for files may hold older arguments; the rest is told by the arguments, or was left at the reference's defaults.
"""
import numpy as np

from networks.stylegan import Discriminator, Generator
from official.components import components_of, read_mapping, read_stddev, resolution_of, shapes, with_components
from official.states import check_lod, check_size, checked_arguments, count, expect, feature_maps, named_arrays, plain, short

_KIND = Generator.Settings.kind
_CLASSES = {'G': Generator, 'D': Discriminator, 'Gs': Generator}
_FUNCTIONS = {'G': ('G_style',), 'Gs': ('G_style',), 'D': ('D_basic',)}

# Name: (types, smallest, largest), of what the variables do not show; the rest of static_kwargs is not for these networks.
_SHARED = {
    'fmap_base': ((int, float), 1, 1 << 24),
    'fmap_decay': ((int, float), 0, 8),
    'fmap_max': (int, 1, 1 << 16),
    'use_wscale': (bool, False, True),
}
_ARGUMENTS = {
    Generator: _SHARED | {
        'mapping_fmaps': (int, 1, 1 << 16),
        'mapping_lrmul': ((int, float), 1e-9, 1e9),
        'normalize_latents': (bool, False, True),
        'use_pixel_norm': (bool, False, True),
        'use_instance_norm': (bool, False, True),
        'dlatent_avg_beta': ((int, float), 0, 1),
        'style_mixing_prob': ((int, float), 0, 1),
        'truncation_psi': ((int, float), 0, 1e3),
        'truncation_cutoff': (int, 0, 1 << 10),
    },
    Discriminator: _SHARED | {
        'label_size': (int, 0, 1 << 20),
        'mbstd_group_size': (int, 0, 1 << 16),
    },
}
_MAY_BE_NONE = ('dlatent_avg_beta', 'truncation_psi', 'truncation_cutoff')


def functions(name, state):
    """The functions that build what this file reads as network `name` ('G', 'D', 'Gs') from a pickled state."""
    return () if 'build_func_spec' in state else _FUNCTIONS[name]


def describe(source, name, state):
    """Pickled state -> (kind, arguments, {reference name: array}); `source` is the file and the network's name in it."""
    arguments, stored = expect(state, 'static_kwargs', dict, source), named_arrays(source, state)
    components = components_of(source, state) if _CLASSES[name] is Generator else {}
    arguments, stored = with_components(source, arguments, stored, components)
    told = checked_arguments(source, _ARGUMENTS[_CLASSES[name]], arguments, _MAY_BE_NONE)
    told |= _choices(source, arguments, name)
    seen = _read_off_generator if components else _read_off_discriminator
    built = told | seen(source, stored, told)
    resolution, maps = built['resolution'], feature_maps(told, built['resolution'])
    own = 2 * resolution ** 2 * built['use_noise'] if components else maps[0] * built['label_size']
    check_size(source, sum(9 * n ** 2 for n in maps[1:]) + own, count(stored.values()))
    check_lod(source, stored.get('lod', np.float32(0)), resolution)
    if components:
        stored['G_synthesis/lod'] = stored.get('lod', np.float32(0))  # Which the outer network sets on every call.
    return _KIND, built, stored


def _choices(source, arguments, name):
    """Settings that are told in another way than here."""
    chosen, refuse = {}, f'{source} was built with'
    if 'nonlinearity' in arguments:
        chosen['nonlinearity'] = which = arguments['nonlinearity']
        if which not in ('lrelu', 'relu'):
            raise ValueError(f"{refuse} nonlinearity = {short(which)}; only 'lrelu' and 'relu' can be read.")
    if 'blur_filter' in arguments:
        blur = arguments['blur_filter']
        if blur is not None and not (isinstance(blur, list | tuple) and [*map(plain, blur)] == [1, 2, 1]):
            raise ValueError(f'{refuse} another blur_filter than [1, 2, 1] and None; it cannot be read.')
        chosen['use_blur'] = blur is not None
    if _CLASSES[name] is Generator and 'fused_scale' in arguments:
        fused = chosen['fused_scale'] = plain(arguments['fused_scale'])
        if not (isinstance(fused, bool) or isinstance(fused, str) and fused == 'auto'):
            raise ValueError(f"{refuse} fused_scale = {short(fused)}; expected is True, False or 'auto'.")
    return chosen


def _read_off_generator(source, stored, told):
    rows, resolution = shapes(source, stored), resolution_of(source, stored, r'G_synthesis/(\d+)x\d+/')
    const_input = 'G_synthesis/4x4/Const/const' in stored
    w = rows('G_synthesis/4x4/Const/StyleMod/weight' if const_input else 'G_synthesis/4x4/Dense/weight', 2)[0]
    return read_mapping(rows, stored, told, w) | {
        'resolution': resolution, 'num_channels': rows('G_synthesis/ToRGB_lod0/weight', 4)[3],
        'const_input_layer': const_input, 'use_styles': 'G_synthesis/4x4/Conv/StyleMod/weight' in stored,
        'use_noise': 'G_synthesis/4x4/Conv/Noise/weight' in stored}


def _read_off_discriminator(source, stored, told):
    rows, resolution = shapes(source, stored), resolution_of(source, stored, r'(\d+)x\d+/')
    return read_stddev(rows) | {'resolution': resolution, 'num_channels': rows('FromRGB_lod0/weight', 4)[2],
                                'label_size': told.get('label_size', 0)}
