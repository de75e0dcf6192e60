"""Reads pickles from strangers; nothing they name is executed, imported or looked up.

This is not the pickle module with a filter: a small stack machine knows the few opcodes that such files need and the few
names of their kind, and refuses everything else. Names map to inert markers; text and bytes stay what they are.
"""
import codecs
import functools
import io
import math
import os
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

_MAX_OPERATIONS = 1_000_000  # A network takes some thousand, CIFAR-100 with its names of files some hundred thousand.

_NUMPY_CORES = ('numpy.core', 'numpy._core')  # NumPy 1 and 2.
_NAMES = {
    ('numpy', 'ndarray'): 'ndarray',
    ('numpy', 'dtype'): 'dtype',
    ('_codecs', 'encode'): 'encode',  # How protocols before 3 hold the bytes of Python 3.
    **{(f'{core}.multiarray', name): name for core in _NUMPY_CORES for name in ('_reconstruct', 'scalar')},
    **{(f'{core}.numeric', '_frombuffer'): '_frombuffer' for core in _NUMPY_CORES},  # Arrays in protocol 5.
}
_DTYPES = frozenset(('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'b1'))  # No objects.

_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_NEW = {'EMPTY_LIST': list, 'EMPTY_DICT': dict, 'EMPTY_TUPLE': tuple}
_TEXT_LITERALS = frozenset(('INT', 'LONG', 'FLOAT', 'STRING', 'UNICODE'))  # Protocol 0's.
_LITERALS = _TEXT_LITERALS | {
    'BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8',
    'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8', 'BYTEARRAY8',
    'BINSTRING', 'SHORT_BINSTRING'}  # Python 2's; they read as latin1.
_BEFORE_PROTOCOL_2 = _TEXT_LITERALS | {'LIST', 'DICT'}
_TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}


@dataclass(frozen=True)
class Kind:
    """What the pickles of one kind may hold beside plain containers, numbers, text and arrays of numbers.

    Functions of `calls` get the pickled arguments, `elsewhere` the pickled reference; both check them and raise Refused.
    """
    noun: str                                    # 'network', in sentences.
    max_bytes: int                               # Of a file.
    names: dict = field(default_factory=dict)    # {(module, name): INSTANCE, DICT, or a word for a Name}
    foreign: dict = field(default_factory=dict)  # {package: what a file is that names something of it}
    old: bool = False                            # Whether protocols 0 and 1 are read, and bytes as the keys of a dict.
    calls: dict = field(default_factory=dict)    # {word for a Name: function of the arguments with which it is called}
    elsewhere: Callable | None = None            # What a reference to something beside the pickle stands for.
    attributes: bool = False                     # Whether ordered dicts may have attributes, which are passed over.


INSTANCE, DICT = 'instance', 'OrderedDict'  # What a name of a Kind stands for: a class of Instances, an ordered dict.


class Refused(Exception):
    """The file holds what its kind does not need; the message continues a sentence that starts with the path."""


@dataclass(eq=False)
class Instance:
    """An inert stand-in for a pickled object: its state, not its code."""
    state: dict | None = None


@dataclass(eq=False)
class Array:
    """An array of the file; `value` is None until the file has filled it."""
    value: np.ndarray | None = None

    @functools.cached_property
    def float32(self):
        """The array as float32, one copy at most, however often the file refers to it."""
        with np.errstate(over='ignore'):
            return np.asarray(self.value, np.float32)


@dataclass(eq=False)
class _DType:
    value: np.dtype


@dataclass(frozen=True)
class Name:
    """What a module and a name of the file stand for, a word; nothing is looked up."""
    value: str


def read(path, kind):
    """Reads a pickle of a Kind -> tuple, list, dict, str, int, Array, Instance, ...

    Raises FileNotFoundError, or ValueError saying in one sentence what the file holds that it should not.
    """
    return read_by(path, kind, parse)


def read_by(path, kind, parse):
    """What `parse(bytes, kind)` makes of a file, with the same errors; `parse` raises Refused."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'There is no file {path}; give the path of the pickle of a {kind.noun}.')
    if os.path.getsize(path) > kind.max_bytes:
        raise ValueError(f'{path} has {os.path.getsize(path)} bytes, more than any {kind.noun}; it was not read.')
    with open(path, 'rb') as file:
        data = file.read()
    try:
        return parse(data, kind)
    except Refused as error:
        raise ValueError(f'{path} {error}; nothing in it was executed.') from error


def parse(data, kind):
    """The same from bytes; raises Refused."""
    value, end = parse_first(data, kind)
    if end != len(data):
        raise Refused(f'has {len(data) - end} bytes after the end of its pickle')
    return value


def parse_first(data, kind, start=0):
    """The pickle that begins at a byte, whatever follows. -> (what it holds, where it ends); raises Refused."""
    first = data[start:start + 32]
    guess = _guess(first)
    if guess or not kind.old and first[:1] != b'\x80':  # Protocol 2 and later.
        raise Refused(f'is not the pickle of a {kind.noun}: it starts with {first[:12]!r}{guess}')
    machine, file = _Machine(kind, budget=2 * len(data)), io.BytesIO(data)
    file.seek(start)
    try:
        for _ in range(_MAX_OPERATIONS):
            opcode = pickletools.code2op[file.read(1).decode('latin1')]
            argument = None
            if opcode.name == 'STRING':  # pickletools takes it for ASCII.
                argument = codecs.escape_decode(pickletools.read_stringnl(file, decode=False))[0].decode('latin1')
            elif opcode.arg is not None:
                argument = opcode.arg.reader(file)
            if opcode.name == 'STOP':
                break
            machine.step(opcode.name, argument)
        else:
            raise Refused(f'has over {_MAX_OPERATIONS} pickle operations, more than any {kind.noun}')
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise Refused(f'is truncated or damaged near byte {file.tell()} ({type(error).__name__})') from error
    return machine.result(), file.tell()


def _guess(data):
    if data[:32].lstrip()[:1] == b'<':
        return ', which looks like a web page that a download saved in its place'
    if data[:8] == b'\x89HDF\r\n\x1a\n':
        return '; it is an HDF5 file'
    return ''


class _Machine:
    """The pickle stack machine, without the opcodes that load code."""

    def __init__(self, kind, budget):
        self.kind = kind
        self.stack, self.marks, self.memo = [], [], {}
        self.budget = budget  # Bytes and items that may still be copied: one text or list may be referred to often.

    def result(self):
        if len(self.stack) != 1 or self.marks:
            raise Refused('is damaged: its pickle does not end in one object')
        return self.stack[0]

    def step(self, opcode, argument):
        stack = self.stack
        if opcode in _BEFORE_PROTOCOL_2 and not self.kind.old:
            raise Refused(f'uses the pickle opcode {opcode}, which no {self.kind.noun} needs')
        if opcode in _LITERALS:
            stack.append(argument)
        elif opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode in _NEW:
            stack.append(_NEW[opcode]())
        elif opcode in _TUPLES:
            items = [self._pop() for _ in range(_TUPLES[opcode])]
            stack.append(tuple(reversed(items)))
        elif opcode in ('PUT', 'BINPUT', 'LONG_BINPUT'):
            self.memo[argument] = self._top(object)
        elif opcode == 'MEMOIZE':
            self.memo[len(self.memo)] = self._top(object)
        elif opcode in ('GET', 'BINGET', 'LONG_BINGET'):
            stack.append(self.memo[argument])
        elif opcode == 'MARK':
            self.marks.append(len(stack))
        elif opcode == 'TUPLE':
            stack.append(tuple(self._pop_marked()))
        elif opcode == 'LIST':
            stack.append(self._pop_marked())
        elif opcode == 'DICT':
            stack.append(self._set_items({}, self._pop_marked()))
        elif opcode == 'APPEND':
            item = self._pop()
            self._top(list).append(item)
        elif opcode == 'APPENDS':
            items = self._pop_marked()
            self._top(list).extend(items)
        elif opcode == 'SETITEM':
            value, key = self._pop(), self._pop()
            self._set_items(self._top(dict), [key, value])
        elif opcode == 'SETITEMS':
            items = self._pop_marked()
            self._set_items(self._top(dict), items)
        elif opcode == 'GLOBAL':
            stack.append(self._name(*argument.split(' ', 1)))
        elif opcode == 'STACK_GLOBAL':
            name, module = self._pop(), self._pop()
            stack.append(self._name(module, name))
        elif opcode == 'NEWOBJ':
            arguments, cls = self._pop(), self._pop()
            if cls not in (Name(INSTANCE), Name(DICT)) or arguments != ():
                raise Refused(f'makes {_describe(cls)} as an object, which no {self.kind.noun} needs')
            stack.append(Instance() if cls == Name(INSTANCE) else {})
        elif opcode == 'REDUCE':
            arguments, function = self._pop(), self._pop()
            stack.append(self._call(function, arguments))
        elif opcode == 'BINPERSID' and self.kind.elsewhere:
            stack.append(self.kind.elsewhere(self._pop()))
        elif opcode == 'BUILD':
            state = self._pop()
            self._build(self._top(object), state)
        elif opcode not in ('PROTO', 'FRAME'):
            raise Refused(f'uses the pickle opcode {opcode}, which no {self.kind.noun} needs')

    def _floor(self):
        return self.marks[-1] if self.marks else 0

    def _pop(self):
        if len(self.stack) <= self._floor():
            raise Refused('is damaged: its pickle takes more than it has put')
        return self.stack.pop()

    def _top(self, kind):
        if len(self.stack) <= self._floor() or not isinstance(self.stack[-1], kind):
            raise Refused('is damaged: its pickle fills something that is not a container')
        return self.stack[-1]

    def _pop_marked(self):
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _spend(self, size):
        self.budget -= size
        if self.budget < 0:
            raise Refused(f'repeats the same contents more often than a {self.kind.noun} would')

    def _bytes(self, value):
        """The bytes of an array: bytes, or text that stands for them as Python 2 wrote it."""
        if isinstance(value, str):
            self._spend(len(value))
            return value.encode('latin1')
        if not isinstance(value, bytes | bytearray):
            raise Refused(f'gives an array {_describe(value)} in place of its bytes')
        return value

    def _call(self, function, arguments):
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Refused(f'calls {_describe(function)}, which is not a function')
        match function.value, arguments:
            case 'encode', (str() as text, 'latin1'):
                return self._bytes(text)
            case '_reconstruct', (Name('ndarray'), (0,), b'b' | 'b'):
                return Array()
            case 'dtype', (str() as code, False | 0, True | 1):
                if code not in _DTYPES:
                    raise Refused(f'holds an array of dtype {code[:20]!r}; a {self.kind.noun} holds numbers')
                return _DType(np.dtype(code))
            case 'scalar', (_DType(dtype), bytes() | str() as value):
                return Array(_array(self._bytes(value), dtype, (), 'C'))
            case '_frombuffer', (bytes() | bytearray() as value, _DType(dtype), tuple() as shape,
                                 ('C' | 'F') as order):
                return Array(_array(value, dtype, shape, order))
            case 'OrderedDict', ():
                return {}
            case 'OrderedDict', (list() as pairs,):
                self._spend(len(pairs))
                items = [item for key, value in pairs for item in (key, value)]
                return self._set_items({}, items)
        if function.value in self.kind.calls:
            return self.kind.calls[function.value](*arguments)
        raise Refused(f'calls {function.value} with arguments that no {self.kind.noun} gives it')

    def _build(self, target, state):
        match target, state:
            case Instance(None), dict():
                target.state = state
            case Array(None), (1, tuple() as shape, _DType(dtype), bool() | int() as fortran, value):
                target.value = _array(self._bytes(value), dtype, shape, 'F' if fortran else 'C')
            case _DType(), (3, '<' | '>' | '|' as order, None, None, None, -1, -1, 0):
                if order != '|':
                    target.value = target.value.newbyteorder(order)
            case dict(), dict() if self.kind.attributes:
                pass
            case _:
                raise Refused(f'gives {_describe(target)} a state that no {self.kind.noun} gives it')

    def _name(self, module, name):
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Refused('is damaged: it names something by what is not text')
        value = _NAMES.get((module, name)) or self.kind.names.get((module, name))
        if value:
            return Name(value)
        package = module.split('.')[0]
        if package in self.kind.foreign:
            raise Refused(self.kind.foreign[package])
        what = repr(f'{module}.{name}'[:80])
        raise Refused(f'asks for {what}, which no {self.kind.noun} needs; it may be an attempt to run code')

    def _set_items(self, target, items):
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, bytes) and self.kind.old:  # What was text in Python 2.
                self._spend(len(key))
                key = key.decode('latin1')
            if not isinstance(key, str):  # Hashing nested tuples could take for ever.
                raise Refused(f'uses {_describe(key)} as a key; the keys of a {self.kind.noun} are text')
            target[key] = value
        return target


def _array(data, dtype, shape, order):
    """A read-only array on the file's own bytes."""
    if len(shape) > 8 or not all(type(size) is int and size > 0 for size in shape):
        raise Refused('holds an array whose shape is not a few positive numbers')
    size = math.prod(shape) * dtype.itemsize
    if size != len(data):
        raise Refused(f'holds an array that should have {size} bytes and has {len(data)}')
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _describe(value):
    if isinstance(value, Name):
        return repr(value.value)
    return f'something of type {type(value).__name__.strip("_")}'
