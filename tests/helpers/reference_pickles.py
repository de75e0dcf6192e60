"""Writes pickles as the reference does, from this project's networks, without its classes."""

import pickle
import sys
import types

import numpy as np

from networks import stylegan, stylegan2, stylegan_revised
from networks.progan import Discriminator, Generator


class EasyDict(dict):
    """A dict that pickles as the reference's."""

    __module__ = 'dnnlib.util'


def pickled(networks_as_states, module, protocol):
    """Pickles states, or one, as instances of `module`.Network; `components` of a state, {key: state}, as further ones."""
    cls = type('Network', (), {'__module__': module, '__getstate__': lambda self: self.state})

    def network(state):
        made = cls()
        made.state = dict(state)
        if isinstance(state.get('components'), dict):
            made.state['components'] = type(state['components'])(
                (key, network(part) if isinstance(part, dict) else part) for key, part in state['components'].items())
        return made

    there = {name: types.ModuleType(name) for name in (module, 'dnnlib', 'dnnlib.util')}
    there[module].Network, there['dnnlib.util'].EasyDict = cls, EasyDict
    sys.modules.update(there)
    try:
        one = isinstance(networks_as_states, dict)
        return pickle.dumps(network(networks_as_states) if one else tuple(map(network, networks_as_states)), protocol)
    finally:
        for name in there:
            del sys.modules[name]


def tensorflow_state(network, arguments, lod=0.0):
    """The state of a tfutil.Network; `lod` is the stored one."""
    function = 'G_paper' if isinstance(network, Generator) else 'D_paper'
    variables = [(name, variable.numpy()) for name, variable in network.named_variables().items()]
    variables[0] = ('lod', np.float32(lod))
    return {
        'version': 2,
        'name': function[0],
        'static_kwargs': dict(arguments),
        'build_module_src': 'import os\n',
        'build_func_name': function,
        'variables': variables,
    }


_BUILT_BY = {'stylegan': ('G_style', 'D_basic'), 'stylegan2': ('G_main', 'D_stylegan2'),
             'stylegan_revised': ('G_main', 'D_stylegan')}


def stylegan_state(network, version=3, **static_kwargs):
    """The state of a dnnlib.tflib.network.Network, as StyleGAN's repository writes it, or StyleGAN2's (version 4)."""
    values = {name: variable.numpy() for name, variable in network.named_variables().items()}
    values = {name: np.float32(value) if value.ndim == 0 else value for name, value in values.items()}
    settings = network.settings
    shape = {'num_channels': network.num_channels, 'resolution': np.int64(network.resolution),
             'label_size': network.label_size}
    if version < 4:  # Later files tell what is not the default of their configuration.
        shape |= {'fmap_base': settings.fmap_base, 'fmap_max': settings.fmap_max}
    G_function, D_function = _BUILT_BY[network.kind]
    common = {'version': version, 'static_kwargs': EasyDict(shape, **static_kwargs), 'build_module_src': 'import os\n'}

    def owned(prefix):
        return [(name.removeprefix(prefix), value) for name, value in values.items()
                if name.startswith(prefix) and ('/' not in name or prefix or network.role == 'D')]

    if network.role == 'D':
        return common | {'name': 'D', 'build_func_name': D_function, 'components': {}, 'variables': owned('')}
    components = {key: common | {'name': f'G_{key}', 'build_func_name': f'G_{key}', 'components': {},
                                 'variables': owned(f'G_{key}/')} for key in ('synthesis', 'mapping')}
    return common | {'name': 'G', 'build_func_name': G_function, 'components': EasyDict(components),
                     'variables': owned('')}


def tiny_stylegan(protocol=4, seed=1, resolution=8, label_size=0, G_settings=(), D_settings=(), **static_kwargs):
    """A whole file of small random StyleGAN networks -> (bytes, (G, D))."""
    shape = dict(resolution=resolution, label_size=label_size, fmap_base=16, fmap_max=4, seed=seed)
    small = dict(latent_size=4, dlatent_size=4, mapping_fmaps=3, mapping_layers=2)
    G = stylegan.Generator(**shape | small | dict(G_settings))
    D = stylegan.Discriminator(**shape, **dict(D_settings))
    states = [stylegan_state(network, **static_kwargs) for network in (G, D, G)]
    return pickled(states, 'dnnlib.tflib.network', protocol), (G, D)


def tiny_stylegan2(growing=False, label_size=0, G_settings=(), D_settings=(), **static_kwargs):
    """A whole file of small random networks of StyleGAN2's repository -> (bytes, (G, D))."""
    module = stylegan_revised if growing else stylegan2
    shape = dict(resolution=16, label_size=label_size, seed=1) | (
        {} if {'fmap_base', 'fmap_max'} & {*dict(G_settings)} else {'fmap_base': 32, 'fmap_max': 6})
    small = dict(latent_size=4, dlatent_size=5, mapping_fmaps=3, mapping_layers=2)
    G = module.Generator(**shape | small | dict(G_settings))
    D = module.Discriminator(**shape | dict(D_settings))
    states = [stylegan_state(network, version=4, **static_kwargs) for network in (G, D, G)]
    return pickled(states, 'dnnlib.tflib.network', 4), (G, D)


def theano_state(network, arguments, lod=0.0):
    """The state of the Theano version's network.Network, written from the description of its layout."""
    generator = isinstance(network, Generator)
    L = network.resolution_log2
    if generator:
        order = ['4x4/Dense', '4x4/Conv']
        order += [f'{2**s}x{2**s}/Conv{i}' for s in range(3, L + 1) for i in (0, 1)]
        order += [f'ToRGB_lod{lod}' for lod in range(L - 1)]
    else:
        order = ['FromRGB_lod0']
        for s in range(L, 2, -1):
            order += [f'{2**s}x{2**s}/Conv{i}' for i in (0, 1)] + [f'FromRGB_lod{L - s + 1}']
        order += ['4x4/Conv', '4x4/Dense0', '4x4/Dense1']

    params = []
    for name in order:
        weight, bias = (network.named_variables()[f'{name}/{kind}'].numpy() for kind in ('weight', 'bias'))
        scale = network.named_layers[name].weight_scale
        if name == '4x4/Dense':
            weight = weight.reshape(len(weight), -1, 4, 4).swapaxes(0, 1)
        elif name == '4x4/Dense0':
            weight = weight.T.reshape(weight.shape[1], -1, 4, 4)[:, :, ::-1, ::-1]
        elif 'RGB' in name:
            weight = weight[0, 0]
        elif 'Conv' in name:
            weight = weight[::-1, ::-1].transpose(3, 2, 0, 1)
        if network.settings.use_wscale:
            # Any split of the product may be stored: here the scale is twice He's constant.
            params += [np.ascontiguousarray(weight / 2), np.float32(2 * scale), bias]
        else:
            params += [np.ascontiguousarray(weight), bias]
    spec = (
        {'func': 'G_progressive_8', 'use_batchnorm': False, 'tanh_at_end': None}
        if generator
        else {
            'func': 'D_progressive_8',
            'mbstat_func': 'Tstdeps',
            'mbstat_avg': 'all',
            'mbdisc_kernels': None,
            'use_gdrop': True,
            'use_layernorm': False,
        }
    )
    return {
        'build_func_spec': spec | dict(arguments),
        'build_module_src': 'import os\n',
        'param_values': params,
        'toplevel_params': {'cur_lod': np.float32(lod)},
    }


def tiny(layout='tensorflow', protocol=4, lod=0.0, resolution=4, label_size=0, use_wscale=True, use_tanh=False, seed=1):
    """A whole file of small random networks -> (bytes, (G, D)); only the Theano version knows `use_tanh`."""
    arguments = {
        'resolution': resolution,
        'num_channels': 3,
        'label_size': label_size,
        'fmap_base': 16,
        'fmap_decay': 1.0,
        'fmap_max': 4,
        'use_wscale': use_wscale,
    }
    theano = layout == 'theano'
    G = Generator(**arguments, fused_scale=not theano, normalize_labels=not theano, use_tanh=use_tanh, seed=seed)
    D = Discriminator(**arguments, fused_scale=not theano, mbstd_group_size=16 if theano else 4, seed=seed)
    for i, variable in enumerate([*G.trainable_variables, *D.trainable_variables]):
        if variable.name == 'bias':
            variable.assign(np.random.RandomState(i).randn(*variable.shape))
    state, module = (theano_state, 'network') if theano else (tensorflow_state, 'tfutil')
    states = [state(network, arguments | ({'tanh_at_end': 1.0} if use_tanh else {}), lod) for network in (G, D, G)]
    return pickled(states, module, protocol), (G, D)
