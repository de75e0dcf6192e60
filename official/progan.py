"""ProGAN's networks in official files, of the TensorFlow and the Theano version -> this project's.

What the file says is checked, never run: arguments by name, type and range, variables by name and shape.
"""
import functools

import numpy as np

from networks.progan import Discriminator, Generator
from official.states import (
    check_lod,
    check_size,
    checked_arguments,
    count,
    expect,
    feature_maps,
    named_arrays,
    numbers,
    short,
)

_KIND = Generator.Settings.kind
_CLASSES = {'G': Generator, 'D': Discriminator, 'Gs': Generator}
_FUNCTIONS = {'G': ('G_paper',), 'Gs': ('G_paper',), 'D': ('D_paper',)}
_THEANO_FUNCTIONS = {'G': ('G_paper', 'G_progressive_8'), 'Gs': ('G_paper', 'G_progressive_8'),
                     'D': ('D_paper', 'D_progressive_8')}

# Name: (types, smallest, largest); what else static_kwargs holds is not for these networks.
_SHARED = {
    'resolution': (int, 4, 1 << 14),
    'num_channels': (int, 1, 1 << 10),
    'label_size': (int, 0, 1 << 20),
    'fmap_base': ((int, float), 1, 1 << 24),
    'fmap_decay': ((int, float), 0, 8),
    'fmap_max': (int, 1, 1 << 16),
    'use_wscale': (bool, False, True),
    'fused_scale': (bool, False, True),
}
_ARGUMENTS = {
    Generator: _SHARED | {
        'latent_size': (int, 1, 1 << 20),
        'normalize_latents': (bool, False, True),
        'normalize_labels': (bool, False, True),
        'use_tanh': (bool, False, True),
        'use_pixelnorm': (bool, False, True),
        'use_leakyrelu': (bool, False, True),
        'pixelnorm_epsilon': ((int, float), 0, 1),
    },
    Discriminator: _SHARED | {'mbstd_group_size': (int, 0, 1 << 16)},
}
# Switches of the Theano version's experiments; the published networks have these values. What another one means is unknown,
# or where its arrays are: they have no names, and such layers add some.
_THEANO_FIXED = {'mbstat_func': 'Tstdeps', 'mbstat_avg': 'all', 'use_batchnorm': False, 'use_layernorm': False,
                 'mbdisc_kernels': None}
_THEANO_LAYERS = {'use_batchnorm': 'batch norm', 'use_layernorm': 'layer norm', 'mbdisc_kernels': 'minibatch discrimination'}


def functions(name, state):
    """The functions that build what this file reads as network `name` ('G', 'D', 'Gs') from a pickled state."""
    return (_THEANO_FUNCTIONS if 'build_func_spec' in state else _FUNCTIONS)[name]


def describe(source, name, state):
    """Pickled state -> (kind, arguments, {reference name: array}); `source` is the file and the network's name in it.

    The arrays of the Theano version have no names: for those a function gives the dict, of the network that is built.
    """
    if 'build_func_spec' in state:
        arguments = _theano_arguments(source, state['build_func_spec'])
        arrays = [expect(state, 'toplevel_params', dict, source).get('cur_lod'),
                  *expect(state, 'param_values', list, source)]
        listed = [numbers(value, source) for value in arrays]
        stored, lod, size = functools.partial(_from_theano, source, listed), listed[0], count(listed)
    else:
        arguments = expect(state, 'static_kwargs', dict, source)
        stored = _tensorflow_variables(source, state)
        lod, size = stored.get('lod', np.float32(0)), count(stored.values())
    arguments = checked_arguments(source, _ARGUMENTS[_CLASSES[name]], arguments)
    _check_size(source, arguments, size)
    check_lod(source, lod, arguments.get('resolution', 1024))
    return _KIND, arguments, stored


def _tensorflow_variables(source, state):
    """{name: array}; version 3, which StyleGAN's repository writes, stores up-convolutions as [3, 3, in, out]."""
    stored = named_arrays(source, state)
    if state.get('version') == 2:
        return stored
    return {name: array.swapaxes(2, 3) if name.endswith('/Conv0_up/weight') and array.ndim == 4 else array
            for name, array in stored.items()}


def _check_size(source, arguments, stored):
    maps = feature_maps(arguments, arguments.get('resolution', 1024))
    dense = 16 * maps[1] * arguments.get('latent_size', maps[0]) + min(maps[:2]) * arguments.get('label_size', 0)
    check_size(source, sum(9 * n ** 2 for n in maps[1:]) + dense, stored)


def _theano_arguments(source, spec):
    for name, value in _THEANO_FIXED.items():
        if name in spec and not (type(spec[name]) is type(value) and spec[name] == value):
            noun = _THEANO_LAYERS.get(name)
            why = f', for the arrays of such files have no names, and where those of {noun} are is not known' if noun else ''
            raise ValueError(f'{source} was built with {name} = {short(spec[name])}; only {value!r} can be '
                             f'imported{why}.')
    tanh = spec.get('tanh_at_end')
    if tanh is not None and not (type(tanh) in (bool, int, float) and tanh == 1):
        raise ValueError(f'{source} was built with tanh_at_end = {short(tanh)}; only None and 1.0 can be imported.')
    return spec | {'fused_scale': False, 'mbstd_group_size': 16, 'normalize_labels': False, 'use_tanh': tanh is not None}


def _from_theano(source, stored, network):
    """{reference name: array} from the Theano version's bare list of arrays."""
    lod, *stored = stored
    values = {'lod': lod}
    per_layer = 3 if network.settings.use_wscale else 2  # Weight, (scale), bias.
    layers = _theano_order(network)
    if len(stored) != per_layer * len(layers):
        raise ValueError(f'{source} stores {len(stored)} arrays; {len(layers)} layers of {per_layer} need '
                         f'{per_layer * len(layers)}.')
    for i, name in enumerate(layers):
        weight, *scale, bias = stored[per_layer * i:per_layer * (i + 1)]
        layer, rank = network.named_layers[name], _theano_rank(name)
        if weight.ndim != rank or any(s.size != 1 for s in scale):
            raise ValueError(f'{source} holds the weight of {name} as {list(weight.shape)}; {rank} axes '
                             f'and one scale belong there.')
        weight = _theano_weight(name, weight)
        for s in scale:
            # The file's weight is stored * scale, ours is multiplied by He's constant at run time.
            weight = weight * (s.reshape(()) / np.float32(layer.weight_scale))
        values[f'{name}/weight'], values[f'{name}/bias'] = weight, bias
    return values


def _theano_order(network):
    """The layers in the order of the Theano version's parameters."""
    names = list(network.named_layers)
    if isinstance(network, Generator):  # The blocks upward, then ToRGB from lod 0 up.
        to_rgb = [name for name in names if name.startswith('ToRGB')]
        return [name for name in names if name not in to_rgb] + to_rgb[::-1]
    # Each FromRGB but the first follows the block above it: already the order of creation.
    return names


def _theano_rank(name):
    return 2 if 'RGB' in name or name == '4x4/Dense1' else 4


def _theano_weight(name, weight):
    if 'RGB' in name:
        return weight[np.newaxis, np.newaxis]  # [in, out] -> [1, 1, in, out]
    if name == '4x4/Dense':
        weight = weight.swapaxes(0, 1)  # [in, C, 4, 4]
        return weight.reshape(weight.shape[0], -1)
    if name == '4x4/Dense0':
        return weight[:, :, ::-1, ::-1].reshape(weight.shape[0], -1).T  # [in * 16, out]
    if name == '4x4/Dense1':
        return weight
    return weight[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)  # True convolution [out, in, h, w] -> HWIO.
