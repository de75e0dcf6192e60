"""The arrays in the pickles of data sets (CIFAR, SVHN)."""
import numpy as np

import pickles

_DATA_SETS = pickles.Kind('data set', max_bytes=1 << 30, old=True)  # The largest, SVHN's, have some 100 MB.


def arrays(path, *keys):
    """The arrays of a dict under `keys`, or without keys the two of a pair -> [np.ndarray]; lists of numbers are arrays too.

    Raises FileNotFoundError, or ValueError if the file holds anything else there.
    """
    contents = pickles.read(path, _DATA_SETS)
    if keys:
        if not isinstance(contents, dict) or not set(keys) <= set(contents):
            raise ValueError(f"'{path}' does not hold a dict with the keys {', '.join(keys)}; download it again.")
        contents = [contents[key] for key in keys]
    elif not isinstance(contents, tuple | list) or len(contents) != 2:
        raise ValueError(f"'{path}' does not hold a pair of images and labels; download it again.")
    return [_array(path, value) for value in contents]


def _scalar(item):
    filled = isinstance(item, pickles.Array) and item.value is not None and item.value.ndim == 0
    return item.value.item() if filled else item


def _array(path, value):
    if isinstance(value, pickles.Array) and value.value is not None and value.value.ndim:
        return value.value
    if isinstance(value, list):
        # Text and nested lists could take any memory as an array.
        numbers = [_scalar(item) for item in value]
        if value and all(type(number) is int and abs(number) < 1 << 62 for number in numbers):
            return np.array(numbers)
    raise ValueError(f"'{path}' holds something else where a data set has an array or a list of whole numbers; download it "
                     f'again.')
