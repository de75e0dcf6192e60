"""Where a run begins: with fresh networks at 0, or with given ones where their training was."""
import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from networks.growth import process_reals
from networks.snapshot import assign


class Start(NamedTuple):
    """nimg, and a sentence for each thing worth knowing."""
    nimg: int = 0
    remarks: tuple = ()


def start_from(state, schedule, snapshot, source, total_nimg, start_kimg=None, partial=False):
    """Takes over the networks of a snapshot, optimizers stay fresh -> Start.

    With `partial`, what fits by name and shape. Training goes on at `start_kimg`, by default where that of the networks
    was. ValueError where the networks are built in another way than the run's, or nothing is left to train.
    """
    remarks = [line for name, network in state.networks.items()
               for line in _take_over(name, network, getattr(snapshot, name), source, partial)]
    lod = lod_in(state.Gs, snapshot.Gs)
    nimg, why = find_start(schedule, lod, snapshot.nimg)
    if start_kimg is not None:
        nimg, why = round(start_kimg * 1000), 'as train.start_kimg says'
    if nimg >= total_nimg:
        raise ValueError(f'Training would start from {source} at {nimg / 1000:g} kimg, {why}, and end at train.total_kimg, '
                         f'{total_nimg / 1000:g}; raise that, e.g. --set=train.total_kimg={math.ceil(nimg / 500)}, or start '
                         f'earlier, e.g. --start_kimg={total_nimg // 2000}.')
    return Start(nimg, (f'Starting from {source}, saved at lod {snapshot.Gs.stored_lod:.2f}: at {nimg / 1000:g} kimg, '
                        f'{why}, with lod {schedule.lod_at(nimg):.2f} and fresh optimizers.', *remarks))


def initialize(D, dataset, schedule):
    """Shows a fresh D the reals that it is to be initialized from, spread over the data set, if it asks for any."""
    if D.initial_images:
        count = min(D.initial_images, dataset.num_images)
        indices = np.linspace(0, dataset.num_images - 1, count).astype(int)
        level = math.floor(schedule.lod_at(0))
        images = tf.transpose(dataset.read(level, indices), [0, 2, 3, 1])
        D.initialize(process_reals(images, fade=0), level)


def lod_in(network, given):
    """The stored lod of a given network, as a network of another resolution counts it."""
    lod = given.check_lod(given.stored_lod)
    return min(max(lod + network.resolution_log2 - given.resolution_log2, 0.0), float(network.max_level))


def find_start(schedule, lod, nimg=0):
    """Where in a schedule networks of `lod` that have seen `nimg` images (0: not known) go on -> (nimg, why)."""
    # A file's lod is that of the iteration before it was saved: close to the schedule's, not equal.
    if nimg and abs(schedule.lod_at(nimg) - lod) < 0.2:
        return nimg, 'where it was saved'
    reached = schedule.nimg_at(lod)
    return reached, f'where this schedule reaches lod {lod:.2f}'


def _take_over(name, network, given, source, partial):
    """Sets a network's variables from a given one -> sentences on what does not fit."""
    ours, theirs = _comparable(network), _comparable(given)
    for key in ours:
        # Numbers change shapes alone, architectures which names there are, other switches what a weight means.
        free = type(ours[key]) in (int, float) or key in network.settings.names_of_layouts()
        if ours[key] != theirs.get(key) and not (partial and free):
            if key == 'kind':
                raise ValueError(f'{source} holds networks of kind {theirs[key]}, but this run builds {ours[key]}; take a '
                                 f'preset of that kind, which train.py --list names.')
            advice = '' if partial else '; to take over what fits, add --partial'
            raise ValueError(f'{source} holds networks of {key} {theirs.get(key)}, but this run builds them with '
                             f'{ours[key]}; use a data set and labels that match, or set network.*{advice}.')
    values = {key: variable.numpy() for key, variable in given.named_variables().items()}
    if not partial:
        assign(network, values, source)
        return []
    values = {_by_resolution(given, key): value for key, value in values.items()}
    variables = network.named_variables()
    fresh = []
    for key, variable in variables.items():
        value = values.get(_by_resolution(network, key))
        if value is not None and value.shape == tuple(variable.shape) and key != 'lod':
            variable.assign(value)
        elif key != 'lod':
            fresh.append(key)
    count = len(variables) - ('lod' in variables)
    return [f'{name}: {count - len(fresh)} of {count} variables are taken over; these do not fit '
            f'and start fresh: {", ".join(fresh)}.'] if fresh else []


def _by_resolution(network, key):
    """A variable's name with the pixels of its layer in place of the lod, which counts from the full resolution."""
    for level in range(network.max_level + 1):
        key = key.replace(f'_lod{level}/', f'_{network.resolution >> level}px/')
    return key


def _comparable(network):
    """What a network is built of, but for what follows a run's precision, and how it is used."""
    settings = network.settings.for_dtype('float16')
    built = {'kind': network.kind} | network.build_arguments() | {
        name: getattr(settings, name) for name in settings.names_of(network.role)
        if getattr(settings, name) != getattr(network.settings, name)}
    return {name: value for name, value in built.items() if name not in settings.names_of_use()}
