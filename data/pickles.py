"""Reads downloaded pickle files without running anything that is in them."""
import pickle

import numpy as np


def _encode(text, encoding):
    """What pickles of Python 3 hold instead of bytes, for old protocols."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'text encoded as {encoding}')
    return text.encode(encoding)


ALLOWED = {('numpy', 'ndarray'): np.ndarray, ('numpy', 'dtype'): np.dtype, ('_codecs', 'encode'): _encode}
for _module in ('numpy.core', 'numpy._core'):  # Before and since NumPy 2.
    ALLOWED[f'{_module}.multiarray', '_reconstruct'] = np._core.multiarray._reconstruct
    ALLOWED[f'{_module}.multiarray', 'scalar'] = np._core.multiarray.scalar
    ALLOWED[f'{_module}.numeric', '_frombuffer'] = np._core.numeric._frombuffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for '{module}.{name}', which no data set needs")
        return ALLOWED[module, name]


def load(path):
    """Contents of a pickle file that consists of containers, numbers, strings and NumPy arrays; Python 2's are latin-1."""
    try:
        with open(path, 'rb') as file:
            return _Unpickler(file, encoding='latin1').load()
    except OSError:
        raise
    except Exception as error:  # A damaged pickle can raise anything.
        raise ValueError(f"'{path}' is not read: it is damaged or unsafe ({error}).") from error
