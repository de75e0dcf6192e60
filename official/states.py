"""What pickled states of networks hold, checked before anything is made of it; `source` is the file and the network."""
import math

import numpy as np

from pickles import Array


def expect(state, key, kind, source):
    """state[key]; ValueError unless it is of the type `kind`."""
    if not isinstance(state.get(key), kind):
        raise ValueError(f'{source} has no {kind.__name__} {key!r}; it is not a network of the reference.')
    return state[key]


def short(value):
    """A value in a sentence, whatever it is."""
    plain = isinstance(value, str | int | float | None)
    return repr(value)[:60] if plain else f'something of type {type(value).__name__}'


def numbers(value, source):
    """The float32 array of a stored number or array."""
    if isinstance(value, Array) and value.value is not None:
        return value.float32
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'{source} holds a variable of type {type(value).__name__}; variables are arrays.')
    try:
        with np.errstate(over='ignore'):
            return np.asarray(value, np.float32)
    except OverflowError as error:
        raise ValueError(f'{source} holds a variable that is beyond any float; variables are arrays.') from error


def count(arrays):
    """Of how many numbers arrays are made, without those that a file refers to again."""
    return sum({array.__array_interface__['data'][0]: array.size for array in arrays}.values())


def named_arrays(source, state):
    """{local name: float32 array} of a state of TensorFlow."""
    variables = {}
    for item in expect(state, 'variables', list, source):
        match item:
            case (str() as name, value) if name not in variables:
                variables[name] = numbers(value, f'{source}, {short(name)}')
            case _:
                raise ValueError(f'{source} lists variables that are not pairs of a new name and an array.')
    return variables


def plain(value):
    """A stored scalar of NumPy as Python's; anything else as it is."""
    return value.value.item() if isinstance(value, Array) and value.value is not None and value.value.ndim == 0 else value


def checked_arguments(source, table, arguments, may_be_none=()):
    """The arguments that `table` {name: (types, smallest, largest)} names, without those that are absent.

    None counts as absent too, but for those that `may_be_none`. ValueError for another type or a number out of range.
    """
    checked = {}
    for name, (kinds, low, high) in table.items():
        value = plain(arguments.get(name))
        if value is None:
            if name in may_be_none and name in arguments:
                checked[name] = None
            continue  # Absent, or left to the network.
        fits = isinstance(value, kinds) and isinstance(value, bool) == (kinds is bool)
        if not (fits and low <= value <= high):
            raise ValueError(f'{source} has {name} = {short(value)}; expected is {low} to {high}.')
        checked[name] = value
    return checked


def check_lod(source, lod, resolution):
    """ValueError for a stored lod that a network of this resolution does not reach."""
    if lod.size == 1 and not 0 <= lod.item() <= math.log2(resolution) - 2:
        raise ValueError(f'{source} has lod {lod.item()}, which its resolution does not reach.')


def feature_maps(arguments, resolution):
    """Feature maps by stage as the arguments or the defaults of the reference have them."""
    got = {'fmap_base': 8192, 'fmap_decay': 1.0, 'fmap_max': 512} | arguments
    return [min(int(got['fmap_base'] / 2 ** (stage * got['fmap_decay'])), got['fmap_max'])
            for stage in range(int(math.log2(resolution)))]


def check_size(source, least, stored):
    """Refuses a network of at least so many parameters with far fewer `stored`, before anything is allocated."""
    if least > 4 * stored + (1 << 20):  # A missing variable is for `assign` to name.
        raise ValueError(f'{source} describes a network of at least {least} parameters and stores {stored}; '
                         f'its arguments and its arrays contradict each other.')
