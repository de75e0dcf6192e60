"""(G, D, Gs) <-> one HDF5 file.

Layout: groups `G`, `D`, `Gs`, each with the build arguments as JSON in its attribute `arguments` and one dataset per
variable under the reference's name (`Gs/8x8/Conv0_up/weight`, HWIO, float32), the `lod` of each network among them; the
file's attributes hold `format`, `version`, `kind` (see architectures.py) and `nimg`, the number of real images shown so far.
The dataset `class_names`, where there is one, holds the names of classes as JSON.
Each dataset of a variable, each group and the file have an attribute `sha256`: of the bytes, the arguments, the rest.
Version 2 has no checksums. Version 1, from before there was a choice, has no `kind` either: its networks are of the first.
"""
import contextlib
import io
import json
import math
import os
from typing import NamedTuple

import h5py
import numpy as np
import tensorflow as tf

import hdf5
from files import replacing, sha256_of
from networks.architectures import FIRST, network_class
from networks.network import DiscriminatorNetwork, GeneratorNetwork

_FORMAT, _VERSION = 'progan snapshot', 3
_CHECKED = 3  # The first version with checksums.
NAMES = ('G', 'D', 'Gs')
# What reading a damaged file, or building the networks that it describes, may end in.
_DAMAGED = (OSError, LookupError, RuntimeError, TypeError, AttributeError, ArithmeticError, MemoryError, ValueError,
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
        names = json.dumps(Gs.class_names) if Gs.class_names else ''
        if names:
            file['class_names'] = names  # No attribute: HDF5 limits them to 64 kB.
        file.attrs['sha256'] = _sum_of_file(_VERSION, G.kind, nimg, names)
        for name, network in (('G', G), ('D', D), ('Gs', Gs)):
            group, arguments = file.create_group(name), json.dumps(network.build_arguments())
            group.attrs.update(arguments=arguments, sha256=sha256_of([arguments.encode()]))
            for variable_name, variable in network.named_variables().items():
                value = np.asarray(variable.numpy(), '<f4')
                group[variable_name] = value
                group[variable_name].attrs['sha256'] = _sum_of_array(value)
    with replacing(path) as partial, open(partial, 'wb') as file:
        file.write(image.getbuffer())


def load_snapshot(path, names=NAMES, dtype=None):
    """Reads a snapshot and builds its networks -> Snapshot.

    `names` limits which networks are built, `dtype` is their Keras dtype policy (default: float32). Raises
    FileNotFoundError, or ValueError when the file is truncated, not a snapshot, damaged, or lacks a variable.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f'There is no snapshot {path}; give the path of a .h5 file that training wrote.')
    try:
        with hdf5.open_file(path) as file:
            groups = dict(hdf5.members(file))
            class_names = _read_class_names(groups.get('class_names'))
            version, kind, nimg = _read_position(file, class_names)
            lacking = [name for name in names if not isinstance(groups.get(name), h5py.Group)]
            if lacking:
                raise ValueError(f'lacks the network {lacking[0]}')
            networks = {name: _read_network(path, groups[name], kind, name, dtype, version >= _CHECKED) for name in names}
            for network in networks.values():
                network.class_names = _parsed_class_names(class_names, network.label_size)
        return Snapshot(**{name: networks.get(name) for name in NAMES}, nimg=nimg)
    except _DAMAGED as error:
        problem = str(error).strip().rstrip('.').partition('\n')[0][:300] or type(error).__name__
        raise ValueError(f'{path} {problem}; use another snapshot.') from error


def feature_maps(path):
    """The most feature maps of a snapshot's networks, without building them; None where the file does not tell."""
    with contextlib.suppress(*_DAMAGED, RecursionError), hdf5.open_file(path) as file:
        maps = json.loads(dict(hdf5.members(file))['Gs'].attrs['arguments'])['fmap_max']
        return maps if type(maps) is int and maps > 0 else None
    return None


def _sum_of_file(version, kind, nimg, class_names):
    return sha256_of([json.dumps([_FORMAT, int(version), kind, int(nimg), class_names]).encode()])


def _sum_of_array(value):
    return sha256_of([np.ascontiguousarray(value).tobytes()])


def _read_class_names(array):
    """The text of the names of classes; '' where there is none."""
    if array is None:
        return ''
    if not isinstance(array, h5py.Dataset) or array.shape != () or h5py.check_string_dtype(array.dtype) is None:
        raise ValueError('is damaged: its class_names are no text')
    return array.asstr()[()]


def _parsed_class_names(text, label_size):
    if not text:
        return None
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or len(names) != label_size or not all(isinstance(name, str) for name in names):
        raise ValueError(f'is damaged: its class_names are not {label_size} names')
    return tuple(names)


def _read_position(file, class_names):
    """The file's own attributes -> (version, kind, nimg); ValueError where they are not those of a snapshot."""
    found = {key: _plain(value) for key, value in file.attrs.items()}
    version, nimg = found.get('version'), found.get('nimg')
    if found.get('format') != _FORMAT:
        raise ValueError('is an HDF5 file but not a snapshot of this project')
    if type(version) is not int or not 1 <= version <= _VERSION:
        raise ValueError(f'is of version {version}, this program reads 1 to {_VERSION}; a newer release may have written it')
    kind = found.get('kind') if version > 1 else FIRST
    if type(nimg) is not int or not 0 <= nimg < 1 << 53 or not isinstance(kind, str):
        raise ValueError(f'is damaged, its attributes are nimg = {nimg} and kind = {kind!r}'[:200])
    if (version >= _CHECKED or 'sha256' in found) and found.get('sha256') != _sum_of_file(version, kind, nimg, class_names):
        raise ValueError('is damaged, its attributes do not have the checksum noted beside them')
    return version, kind, nimg


def _plain(value):
    """An attribute as a Python number or text where it is one."""
    return value.item() if isinstance(value, np.generic) else value if isinstance(value, str) else type(value)


def _read_network(path, group, kind, name, dtype, checked):
    arguments = group.attrs['arguments']
    if not isinstance(arguments, str) or (checked and group.attrs.get('sha256') != sha256_of([arguments.encode()])):
        raise ValueError(f'is damaged: the arguments of {name} do not have the checksum noted beside them')
    try:
        arguments = json.loads(arguments)
    except RecursionError as error:
        raise ValueError(f'nests the arguments of {name} too deep') from error
    if not isinstance(arguments, dict) or {'dtype', 'name', 'seed', 'max_parameters'} & arguments.keys():
        raise ValueError(f'holds arguments of {name} that are no object of settings')
    stored = hdf5.arrays(group)
    for key, array in stored.items():
        if array.dtype != np.dtype('<f4'):
            raise ValueError(f'holds {name}/{key} as {array.dtype}; variables are float32')
    count = sum(math.prod(array.shape) for array in stored.values())
    if 4 * count > os.path.getsize(path):
        raise ValueError(f'should hold {4 * count} bytes of variables of {name}, more than the whole file has')
    try:
        network = network_class(kind, name)(**arguments, dtype=dtype, max_parameters=most_parameters(count))
    except (ValueError, TypeError) as error:
        raise ValueError(f'describes a {name} that cannot be built ({str(error).rstrip(".")})') from error
    check_shapes(network, stored, f'holds a {name} that')
    values = {key: _read_array(f'{name}/{key}', array, checked) for key, array in stored.items()}
    assign(network, values, f'holds a {name} that')
    return network


def _read_array(name, array, checked):
    value = array[()]
    if checked and array.attrs.get('sha256') != _sum_of_array(value):
        raise ValueError(f'is damaged in its variable {name!r}, whose checksum differs')
    return value


def most_parameters(stored):
    """How many parameters a file that stores so many numbers may ask for; what is missing is named later."""
    return 4 * stored + (1 << 20)


def check_shapes(network, values, source):
    """ValueError names the first of {reference name: array} that is no variable of the network, or of another shape."""
    variables = network.named_variables()
    lacking, unknown = variables.keys() - values.keys(), values.keys() - variables.keys()
    for problem, names in (('lacks', lacking), ('has an unknown', unknown)):
        if names:
            raise ValueError(f'{source} {problem} variable {min(names)[:80]!r} of a {network.resolution}x'
                             f'{network.resolution} {type(network).__name__}; it belongs to another architecture.')
    for name, variable in variables.items():
        if tuple(variable.shape) != values[name].shape:
            raise ValueError(f'{source} holds {name!r} of shape {list(values[name].shape)}, this '
                             f'{type(network).__name__} needs {list(variable.shape)}; the architectures differ.')


def assign(network, values, source):
    """Sets all variables of a network from {reference name: array}; ValueError names the first that does not fit."""
    check_shapes(network, values, source)
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise ValueError(f'{source} holds numbers in {name!r} that are not finite; such a network makes no pictures.')
    if not 0 <= values.get('lod', 0) <= network.max_level:
        raise ValueError(f"{source} holds lod {values['lod']}; this {network.resolution}x{network.resolution} "
                         f'{type(network).__name__} has 0 to {network.max_level}.')
    for name, variable in network.named_variables().items():
        variable.assign(values[name])
