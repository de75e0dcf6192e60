"""ProGAN's networks in official files, of the TensorFlow and the Theano version -> this project's.

What the file says is checked, never run: arguments by name, type and range, variables by name and shape.
"""
import math

import numpy as np

from networks.progan import Discriminator, Generator
from networks.snapshot import assign, most_parameters
from pickles import Array
from presets.fields import checked
from presets.preset import Images

_CLASSES = {'G': Generator, 'D': Discriminator, 'Gs': Generator}
_FUNCTIONS = {'G': ('G_paper',), 'Gs': ('G_paper',), 'D': ('D_paper',)}
_THEANO_FUNCTIONS = {'G': ('G_paper', 'G_progressive_8'), 'Gs': ('G_paper', 'G_progressive_8'),
                     'D': ('D_paper', 'D_progressive_8')}

# Switches of the Theano version's experiments; the published networks have these values.
_THEANO_FIXED = {'use_batchnorm': False, 'tanh_at_end': None, 'mbstat_func': 'Tstdeps', 'mbstat_avg': 'all',
                 'mbdisc_kernels': None, 'use_layernorm': False}


def functions(name, state):
    """The functions that build what this file reads as network `name` ('G', 'D', 'Gs') from a pickled state."""
    return (_THEANO_FUNCTIONS if 'build_func_spec' in state else _FUNCTIONS)[name]


def describe(source, name, state):
    """Pickled state -> (arguments, stored): a dict of named arrays, or the Theano version's list (lod first).

    `source` is the file and the network's name in it, for messages.
    """
    once = {}  # What the file refers to often is converted once, and counted once.
    if 'build_func_spec' in state:
        arguments = _theano_arguments(source, state['build_func_spec'])
        arrays = [_expect(state, 'toplevel_params', dict, source).get('cur_lod'),
                  *_expect(state, 'param_values', list, source)]
        stored = [_numbers(value, source, once) for value in arrays]
        lod = stored[0]
    else:
        arguments = _expect(state, 'static_kwargs', dict, source)
        stored = _tensorflow_variables(source, state, once)
        lod = stored.get('lod', np.float32(0))
    arguments = _checked_arguments(source, _CLASSES[name], arguments)
    if lod.size == 1 and not 0 <= lod.item() <= math.log2(arguments.get('resolution', 1024)) - 2:
        raise ValueError(f'{source} has lod {lod.item()}, which its resolution does not reach.')
    return arguments, stored


def build(source, name, arguments, stored, dtype):
    """What `describe` found -> the network, with activations of `dtype`."""
    arrays = stored.values() if isinstance(stored, dict) else stored
    count = sum(array.size for array in {id(array): array for array in arrays}.values())
    try:
        network = _CLASSES[name](**arguments, dtype=dtype, max_parameters=most_parameters(count))
    except ValueError as error:
        raise ValueError(f'{source} stores {count} numbers and cannot be built: {str(error).rstrip(".")}.') from error
    values = stored if isinstance(stored, dict) else _from_theano(source, network, stored)
    assign(network, values, source)
    return network


def _expect(state, key, kind, source):
    if not isinstance(state.get(key), kind):
        raise ValueError(f'{source} has no {kind.__name__} {key!r}; it is not a network of the reference.')
    return state[key]


def _short(value):
    plain = isinstance(value, str | int | float | None)
    return repr(value)[:60] if plain else f'something of type {type(value).__name__}'


def _numbers(value, source, once):
    """The float32 array of a stored number or array; `once` keeps what was converted."""
    if id(value) in once:
        return once[id(value)]
    number = value.value if isinstance(value, Array) else value
    if isinstance(number, bool) or not isinstance(number, np.ndarray | int | float):
        raise ValueError(f'{source} holds a variable of type {type(number).__name__}; variables are arrays.')
    try:
        with np.errstate(over='ignore'):
            once[id(value)] = np.asarray(number, np.float32)
    except OverflowError:
        raise ValueError(f'{source} holds a variable that is a number beyond all floats; variables are arrays.') from None
    return once[id(value)]


def _tensorflow_variables(source, state, once):
    variables = {}
    for item in _expect(state, 'variables', list, source):
        match item:
            case (str() as name, value) if name not in variables:
                variables[name] = _numbers(value, f'{source}, {_short(name)}', once)
            case _:
                raise ValueError(f'{source} lists variables that are not pairs of a new name and an array.')
    return variables


def _checked_arguments(source, network_class, arguments):
    """The arguments that a network takes, by the schema of its settings."""
    settings = network_class.Settings.names_of(network_class.role)
    found = {}
    for cls, names in (Images, Images.__dataclass_fields__), (network_class.Settings, settings):
        given = {}
        for name in names:
            value = arguments.get(name)
            if isinstance(value, Array) and value.value is not None and value.value.ndim == 0:
                value = value.value.item()
            if value is not None:  # Else it is absent, or left to the network.
                given[name] = int(value) if type(value) is float and name == 'fmap_base' and value.is_integer() else value
        try:
            found |= checked(cls, given)
        except ValueError as error:
            raise ValueError(f'{source}: {error}') from error
    return found


def _theano_arguments(source, spec):
    for name, value in _THEANO_FIXED.items():
        if name in spec and not (type(spec[name]) is type(value) and spec[name] == value):
            raise ValueError(f'{source} was built with {name} = {_short(spec[name])}; only {value!r} can be '
                             f'imported.')
    return spec | {'fused_scale': False, 'mbstd_group_size': 16}


def _from_theano(source, network, stored):
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
