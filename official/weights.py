"""The bare weights in foreign files: PyTorch's .pth, or the official pickle of one network that a metric looks through."""
import os

from official.load import one_state
from official.states import expect, named_arrays, short
from official.torch_weights import is_torch, read_torch
from pickles import Instance


def read_weights(path):
    """{name: array} in the order of the file, which is that of the layers; components of a network come after its own.

    Raises FileNotFoundError, or ValueError saying in one sentence what the file holds that it should not.
    """
    if os.path.isfile(path) and is_torch(path):
        return read_torch(path)
    return _arrays(path, one_state(path))


def _arrays(source, state, depth=0):
    found = named_arrays(source, state)
    components = expect(state, 'components', dict, source) if 'components' in state else {}
    for key, component in components.items():
        if not (isinstance(component, Instance) and isinstance(component.state, dict)) or depth > 4:
            raise ValueError(f'{source} has a component {short(key)} that is no network, or lies too deep.')
        within = _arrays(f'{source}, {short(key)}', component.state, depth + 1)
        found |= {f'{key}/{name}': array for name, array in within.items()}
    return found
