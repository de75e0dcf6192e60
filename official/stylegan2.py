"""StyleGAN2's networks in official files -> this project's. What the file says is checked, never run.

Files tell only what differs from the defaults of the configuration that wrote them, so the architecture and all sizes are
read off the variables; the rest is told by the arguments, or was left at the reference's defaults.
"""
import numpy as np

from networks import stylegan2, stylegan_revised
from official.components import components_of, read_mapping, read_stddev, resolution_of, shapes, with_components
from official.states import check_lod, check_size, checked_arguments, count, expect, named_arrays, plain, short
from presets.fields import checked
from presets.stylegan2 import NONLINEARITIES, Layers

_FUNCTIONS = {'G': ('G_main',), 'Gs': ('G_main',), 'D': ('D_stylegan2', 'D_stylegan')}
_WIDTHS = {'fmap_base': ((int, float), 1, 1 << 24), 'fmap_decay': ((int, float), 0, 8), 'fmap_min': (int, 1, 1 << 16),
           'fmap_max': (int, 1, 1 << 16)}
# Name: (types, smallest, largest), of what the variables do not show.
_OF_G = {
    'mapping_fmaps': (int, 1, 1 << 16),
    'mapping_lrmul': ((int, float), 1e-9, 1e9),
    'normalize_latents': (bool, False, True),
    'dlatent_avg_beta': ((int, float), 0, 1),
    'style_mixing_prob': ((int, float), 0, 1),
    'truncation_psi': ((int, float), 0, 1e3),
    'truncation_cutoff': (int, 0, 1 << 10),
}
_OF_D = {'label_size': (int, 0, 1 << 20), 'mbstd_group_size': (int, 0, 1 << 16)}
_MAY_BE_NONE = ('dlatent_avg_beta', 'truncation_psi', 'truncation_cutoff')


def functions(name, state):
    """The functions that build what this file reads as network `name` ('G', 'D', 'Gs') from a pickled state."""
    return () if 'build_func_spec' in state else _FUNCTIONS[name]


def describe(source, name, state):
    """Pickled state -> (kind, arguments, {reference name: array}); `source` is the file and the network's name in it."""
    arguments, stored = expect(state, 'static_kwargs', dict, source), named_arrays(source, state)
    components = {} if name == 'D' else components_of(source, state)
    arguments, stored = with_components(source, arguments, stored, components)
    told = checked_arguments(source, _OF_D if name == 'D' else _OF_G, arguments, _MAY_BE_NONE) | _choices(source, arguments)
    module, seen, widths = (_read_off_discriminator if name == 'D' else _read_off_generator)(source, stored, told)
    widths_told = {key: int(value) if key == 'fmap_base' else value
                   for key, value in checked_arguments(source, _WIDTHS, arguments).items()}
    built = told | seen | _feature_maps(source, widths_told, widths)
    own = 2 * built['resolution'] ** 2 if components else 0
    check_size(source, own, count(stored.values()))
    if module is stylegan_revised:
        check_lod(source, stored.get('lod', np.float32(0)), built['resolution'])
        if components:
            stored['G_synthesis/lod'] = stored.get('lod', np.float32(0))  # Which the outer network sets on every call.
    elif components:
        stored['lod'] = np.float32(0)  # Which nothing in it looks at.
    return module.Generator.Settings.kind, built, stored


def _choices(source, arguments):
    """Settings that are told in another way than here."""
    chosen, refuse = {}, f'{source} was built with'
    if 'nonlinearity' in arguments:
        chosen['nonlinearity'] = which = arguments['nonlinearity']
        if which not in NONLINEARITIES:
            raise ValueError(f'{refuse} nonlinearity = {short(which)}; expected is one of {", ".join(NONLINEARITIES)}.')
    if 'resample_kernel' in arguments:
        kernel = arguments['resample_kernel']
        taps = [*map(plain, kernel)] if isinstance(kernel, list | tuple) else kernel
        try:
            chosen |= checked(Layers, {'resample_kernel': taps})
        except ValueError as error:
            raise ValueError(f'{refuse} another resample_kernel than None or a list of 1 to 64 numbers of a positive sum; '
                             f'it cannot be read.') from error
    return chosen


def _read_off_generator(source, stored, told):
    """-> (module of the architecture, settings, {stage: maps})"""
    shape, resolution = shapes(source, stored), resolution_of(source, stored, r'G_synthesis/(\d+)x\d+/')
    if any('/StyleMod/' in name for name in stored):
        raise ValueError(f'{source} holds the layers of StyleGAN under the name of StyleGAN2; it cannot be read.')
    sides, last = _sides(resolution), f'G_synthesis/{resolution}x{resolution}'
    growing = 'G_synthesis/ToRGB_lod0/weight' in stored
    settings = read_mapping(shape, stored, told, shape('G_synthesis/4x4/Conv/mod_weight', 2)[0]) | {'resolution': resolution}
    if not growing:
        skip = all(f'G_synthesis/{side}x{side}/ToRGB/weight' in stored for side in sides) and resolution > 4
        resnet = f'{last}/Skip/weight' in stored
        settings['G_architecture'] = 'resnet' if resnet else 'skip' if skip else 'orig'
    to_rgb = 'G_synthesis/ToRGB_lod0' if growing else f'{last}/ToRGB'
    settings['num_channels'] = shape(f'{to_rgb}/weight', 4)[3]
    names = ['4x4/Conv', *(f'{side}x{side}/Conv1' for side in sides[1:])]
    widths = {stage: shape(f'G_synthesis/{name}/weight', 4)[3] for stage, name in enumerate(names, 1)}
    return _module(growing), settings, widths


def _read_off_discriminator(source, stored, told):
    """-> (module of the architecture, settings, {stage: maps})"""
    shape, resolution = shapes(source, stored), resolution_of(source, stored, r'(\d+)x\d+/')
    sides, last = _sides(resolution), f'{resolution}x{resolution}'
    growing = 'FromRGB_lod0/weight' in stored
    settings = read_stddev(shape) | {'resolution': resolution}
    if not growing:
        skip = all(f'{side}x{side}/FromRGB/weight' in stored for side in sides) and resolution > 4
        settings['D_architecture'] = 'resnet' if f'{last}/Skip/weight' in stored else 'skip' if skip else 'orig'
    from_rgb = 'FromRGB_lod0' if growing else f'{last}/FromRGB'
    settings['num_channels'] = shape(f'{from_rgb}/weight', 4)[2]
    outputs = shape('Output/weight', 2)[1]
    settings['label_size'] = told.get('label_size', 0) if outputs == 1 else outputs
    widths = {0: shape('4x4/Dense0/weight', 2)[1], 1: shape('4x4/Conv/weight', 4)[3]}
    widths |= {stage: shape(f'{side}x{side}/Conv0/weight', 4)[3] for stage, side in enumerate(sides[1:], 2)}
    return _module(growing), settings, widths


def _module(growing):
    return stylegan_revised if growing else stylegan2


def _sides(resolution):
    return [1 << s for s in range(2, resolution.bit_length())]  # 4, 8, ... resolution.


def _feature_maps(source, told, widths):
    """Settings of feature maps that give what is stored, {stage: maps}: those that are told, or else the simplest."""
    last, most = max(widths), max(widths.values())
    derived = {'fmap_base': widths[last] << last, 'fmap_max': most}
    for settings in (told, derived):
        layers = Layers('', **settings)
        if all(max(min(int(layers.fmap_base / 2 ** (stage * layers.fmap_decay)), layers.fmap_max), layers.fmap_min) == maps
               for stage, maps in widths.items()):
            return settings
    raise ValueError(f'{source} holds layers of {", ".join(str(widths[stage]) for stage in sorted(widths))} maps from low '
                     f'to high resolution, which follow no fmap_base, fmap_decay, fmap_min and fmap_max that it tells.')
