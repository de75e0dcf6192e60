"""The one schema of settings: types and rules of a dataclass's fields, for what people type and for what files say."""
import math
import types
import typing

MOST = 10 ** 9  # Of any number whose field has no rule of its own: what is larger is a slip, or an attack.


def typed(name, value, hint):
    """The value as the type of its field; an int may stand for a float, nothing else is converted. ValueError names it."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if typing.get_origin(option) is dict:
            of_key, of_value = typing.get_args(option)
            if isinstance(value, dict):
                return {typed(f'{name} resolution', k, of_key): typed(name, v, of_value) for k, v in value.items()}
        elif typing.get_origin(option) is list:
            if isinstance(value, list | tuple):
                return [typed(name, item, typing.get_args(option)[0]) for item in value]
        elif option is float and type(value) in (int, float):
            try:
                return float(value)
            except OverflowError:
                raise ValueError(f'{name} is {short(value)}; it must be finite.') from None
        elif type(value) is option:
            if option is str and '\0' in value:
                raise ValueError(f'{name} is {short(value)}; it must not hold the character 0.')
            return value
    wanted = ' or '.join('None' if o is types.NoneType else str(o) if typing.get_origin(o) else o.__name__
                         for o in options)
    raise ValueError(f'{name} is {short(value)}, a {type(value).__name__}; it must be of type {wanted}.')


def check_range(name, value, rules):
    """ValueError unless a value is as the rules of its field (see preset.ruled) allow, its numbers finite and positive."""
    choices = rules.get('choices')
    if choices and value not in choices:
        raise ValueError(f'{name} is {short(value)}; it must be one of {", ".join(map(repr, choices))}.')
    zero, most = rules.get('zero', False), rules.get('most', MOST)
    if isinstance(value, dict) and not all(size >= 4 and size & (size - 1) == 0 for size in value):
        raise ValueError(f'{name} is {short(value)}; its keys are resolutions, powers of two from 4 on.')
    if isinstance(value, list):
        check_filter(name, value)
    for number in value.values() if isinstance(value, dict) else [value]:
        if not isinstance(number, int | float) or isinstance(number, bool):
            continue
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(f'{name} is {short(value)}; it must be finite.')
        if not (number > 0 or (number == 0 and zero)):
            raise ValueError(f'{name} is {short(value)}; it must be positive{" or 0" if zero else ""}.')
        if number > most:
            raise ValueError(f'{name} is {short(value)}; it must be at most {most}.')


def check_filter(name, taps):
    """ValueError unless a list of numbers is a filter: it has elements, few and finite, and can be divided by its sum."""
    if not 1 <= len(taps) <= 64:
        raise ValueError(f'{name} has {len(taps)} elements; a filter has 1 to 64, e.g. [1, 3, 3, 1].')
    if not all(math.isfinite(tap) and abs(tap) <= MOST for tap in taps) or sum(taps) <= 0:
        raise ValueError(f'{name} is {short(taps)}; its elements must be finite and of a positive sum.')


def checked(cls, values):
    """Values of fields of a dataclass, each of its type and within its range. ValueError names what is not."""
    hints = typing.get_type_hints(cls)
    found = {name: typed(name, value, hints[name]) for name, value in values.items()}
    for name, value in found.items():
        check_range(name, value, cls.__dataclass_fields__[name].metadata)
    return found


def short(value):
    """A value in a sentence."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integers of over 4300 digits.
        return 'a number of thousands of digits'
    except RecursionError:
        return 'a deep nesting'
    return text if len(text) <= 60 else f'{text[:57]}...'
