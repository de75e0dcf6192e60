"""Official network files (G, D, Gs) -> this project's networks; nothing in such a file is ever run."""
import pickles
from networks.architectures import network_class
from networks.snapshot import Snapshot, assign
from official import progan, stylegan, stylegan2
from official.states import plain, short

NETWORKS = pickles.Kind(
    'network', max_bytes=4 << 30,  # A 1024x1024 file has about 280 MB.
    names={('tfutil', 'Network'): pickles.INSTANCE,
           ('network', 'Network'): pickles.INSTANCE,  # The Theano version's.
           ('dnnlib.tflib.network', 'Network'): pickles.INSTANCE,
           ('dnnlib.util', 'EasyDict'): pickles.DICT,
           ('collections', 'OrderedDict'): pickles.DICT},
    foreign={'torch_utils': 'is a network of StyleGAN2-ADA or StyleGAN3 (PyTorch); it needs legacy.load_network_pkl of '
                            'that repository, this project reads ProGAN, StyleGAN and StyleGAN2'})
READERS = (progan, stylegan, stylegan2)  # Modules of `functions` and `describe`: one per repository.
NAMES = ('G', 'D', 'Gs')


def load_official(path, names=NAMES, dtype=None):
    """Reads an official .pkl and builds its networks -> Snapshot; `names` and `dtype` as for load_snapshot.

    `nimg` is 0: such files do not say how long they were trained. Raises FileNotFoundError, or ValueError if
    the file is no such pickle, asks for code to be run, or lacks a network, an argument or a variable.
    """
    found = {}
    for name, state in _states(path).items():
        source = f'{path}: {name}'
        _check_version(source, state)
        reader = _reader(source, name, state)
        found[name] = source, reader.describe(source, name, state)
    if len({description[0] for _, description in found.values()}) > 1:
        raise ValueError(f'{path} holds networks of several architectures; G, D and Gs have to be of one.')
    networks = {name: _build(source, name, *description, dtype)
                for name, (source, description) in found.items() if name in names}
    return Snapshot(**{name: networks.get(name) for name in NAMES}, nimg=0)


def load_discriminator(path):
    """The discriminator of a .pkl that holds this one network, as the classifiers of metrics are; errors as above."""
    state = one_state(path)
    _check_version(path, state)
    reader = _reader(path, 'D', state)
    return _build(path, 'D', *reader.describe(path, 'D', state))


def _build(source, name, kind, arguments, stored, dtype=None):
    """What a reader's `describe` found -> the network, with activations of `dtype`."""
    network = network_class(kind, name)(**arguments, dtype=dtype)
    assign(network, stored(network) if callable(stored) else stored, source)
    return network


def one_state(path):
    """The state of the one network in a pickle; ValueError for anything else."""
    content = pickles.read(path, NETWORKS)
    if not isinstance(content, pickles.Instance) or content.state is None:
        several = isinstance(content, tuple | list)
        found = f'{len(content)} items' if several else f'one {type(content).__name__}'
        raise ValueError(f'{path} holds {found}; expected is one network, as the files of metrics have it.')
    return content.state


def _states(path):
    content = pickles.read(path, NETWORKS)
    if not (isinstance(content, tuple | list) and len(content) == 3
            and all(isinstance(item, pickles.Instance) and item.state is not None for item in content)):
        several = isinstance(content, tuple | list)
        found = f'{len(content)} items' if several else f'one {type(content).__name__}'
        raise ValueError(f'{path} holds {found}; an official network file holds three networks, G, D and Gs.')
    return dict(zip(NAMES, (item.state for item in content), strict=True))


def _check_version(source, state):
    """ValueError for a state of a later repository; the Theano version's have no number."""
    version = plain(state.get('version'))
    if 'build_func_spec' in state or version in (2, 3, 4) and isinstance(version, int):
        return
    told = ', as StyleGAN2-ADA writes' if version == 5 and isinstance(version, int) else ''
    raise ValueError(f'{source} is a network of version {short(version)}{told}; this project reads versions 2 (ProGAN), '
                     f'3 (StyleGAN) and 4 (StyleGAN2).')


def _reader(source, name, state):
    """The module that reads a state, by the function that built the network."""
    spec = state.get('build_func_spec')
    if 'build_func_spec' in state and not isinstance(spec, dict):
        raise ValueError(f"{source} has no dict 'build_func_spec'; it is not a network of the reference.")
    function = spec.get('func') if spec is not None else state.get('build_func_name')
    known = {function: reader for reader in READERS for function in reader.functions(name, state)}
    if not isinstance(function, str) or function not in known:
        told = repr(function)[:60] if isinstance(function, str | int | float | None) else f'a {type(function).__name__}'
        raise ValueError(f'{source} was built by {told}; this project reads networks built by {" or ".join(known)}.')
    return known[function]
