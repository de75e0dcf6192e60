"""(G, D, Gs) <-> one HDF5 file.

Layout: groups `G`, `D`, `Gs`, each with the build arguments as JSON in its attribute `arguments` and one dataset per
variable under the reference's name (`Gs/8x8/Conv0_up/weight`, HWIO); the file's attributes hold `format`, `version`, `kind`
(see architectures.py) and `nimg`, the number of real images shown so far. The `lod` of each network is among its variables.
The dataset `class_names`, where there is one, holds the names of classes as JSON.
Version 1, from before there was a choice, holds no `kind`: its networks are of the first.
"""
import contextlib
import io
import json
import os
from typing import NamedTuple

import h5py
import tensorflow as tf

from files import replacing
from networks.architectures import FIRST, network_class
from networks.network import DiscriminatorNetwork, GeneratorNetwork

_FORMAT, _VERSION = 'progan snapshot', 2
NAMES = ('G', 'D', 'Gs')
# What reading a damaged file, or building the networks that it describes, may end in.
_DAMAGED = (OSError, KeyError, RuntimeError, TypeError, AttributeError, ArithmeticError, MemoryError, json.JSONDecodeError,
            tf.errors.OpError)


class Snapshot(NamedTuple):
    """Networks of one moment of training; those that were not asked for are None."""
    G: GeneratorNetwork | None
    D: DiscriminatorNetwork | None
    Gs: GeneratorNetwork | None
    nimg: int  # Number of real images shown to D so far.


def save_snapshot(path, G, D, Gs, nimg=0):
    """Writes the three networks to `path`, which appears complete or not at all."""
    image = io.BytesIO()  # HDF5 crashes where a disk fills up, so it never sees one.
    with h5py.File(image, 'w') as file:
        file.attrs.update(format=_FORMAT, version=_VERSION, kind=G.kind, nimg=int(nimg))
        if Gs.class_names:
            file['class_names'] = json.dumps(Gs.class_names)  # No attribute: HDF5 limits them to 64 kB.
        for name, network in (('G', G), ('D', D), ('Gs', Gs)):
            group = file.create_group(name)
            group.attrs['arguments'] = json.dumps(network.build_arguments())
            for variable_name, variable in network.named_variables().items():
                group[variable_name] = variable.numpy()
    with replacing(path) as partial, open(partial, 'wb') as file:
        file.write(image.getbuffer())


def load_snapshot(path, names=NAMES, dtype=None):
    """Reads a snapshot and builds its networks -> Snapshot.

    `names` limits which networks are built, `dtype` is their Keras dtype policy (default: float32). Raises
    FileNotFoundError, or ValueError when the file is truncated, not a snapshot, or lacks a variable.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'There is no snapshot {path}; give the path of a .h5 file that training wrote.')
    try:
        with h5py.File(path, 'r') as file:
            if file.attrs.get('format') != _FORMAT:
                raise ValueError(f'{path} is an HDF5 file but not a snapshot of this project; its networks cannot be read.')
            if not 1 <= file.attrs['version'] <= _VERSION:
                raise ValueError(f'{path} is a snapshot of version {file.attrs["version"]}, this program reads '
                                 f'versions 1 to {_VERSION}; use the release that wrote it.')
            kind = file.attrs['kind'] if file.attrs['version'] > 1 else FIRST
            networks = {name: _read_network(path, file, kind, name, dtype) for name in names}
            return Snapshot(**{name: networks.get(name) for name in NAMES}, nimg=int(file.attrs['nimg']))
    except _DAMAGED as error:
        raise ValueError(f'{path} is truncated, damaged or not an HDF5 snapshot ({error}); use another one.') from error


def feature_maps(path):
    """The most feature maps of a snapshot's networks, without building them; None where the file does not tell."""
    with contextlib.suppress(*_DAMAGED, ValueError), h5py.File(path, 'r') as file:
        maps = json.loads(file['Gs'].attrs['arguments'])['fmap_max']
        return maps if isinstance(maps, int) else None
    return None


def _read_network(path, file, kind, name, dtype):
    group = file[name]
    network = network_class(kind, name)(**json.loads(group.attrs['arguments']), dtype=dtype)
    network.class_names = _class_names(path, file, network.label_size)
    assign(network, {key: group[key][()] for key in _dataset_names(group)}, source=path)
    return network


def _class_names(path, file, label_size):
    if 'class_names' not in file:
        return None
    names = json.loads(file['class_names'].asstr()[()])
    if not isinstance(names, list) or len(names) != label_size or not all(isinstance(name, str) for name in names):
        raise ValueError(f'{path} is damaged: its class_names are not {label_size} names; use another snapshot.')
    return tuple(names)


def _dataset_names(group):
    names = []
    group.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def assign(network, values, source):
    """Sets all variables of a network from {reference name: array}; ValueError names the first that does not fit."""
    variables = network.named_variables()
    lacking, unknown = variables.keys() - values.keys(), values.keys() - variables.keys()
    for problem, names in (('lacks', lacking), ('has an unknown', unknown)):
        if names:
            raise ValueError(f'{source} {problem} variable {min(names)!r} of a {network.resolution}x{network.resolution} '
                             f'{type(network).__name__}; it belongs to another architecture.')
    for name, variable in variables.items():
        if tuple(variable.shape) != values[name].shape:
            raise ValueError(f'{source} holds {name!r} of shape {list(values[name].shape)}, this '
                             f'{type(network).__name__} needs {list(variable.shape)}; the architectures differ.')
        variable.assign(values[name])
