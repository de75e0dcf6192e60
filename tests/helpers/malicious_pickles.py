"""Pickles that try to run code, to hang or to fill the memory, and some that only lack the networks."""

import collections
import pickle
import struct

P2, P4, P5 = b'\x80\x02', b'\x80\x04', b'\x80\x05'


def text(s):
    data = s.encode()
    return b'X' + struct.pack('<I', len(data)) + data


def stack_global(module, name):
    return text(module) + text(name) + b'\x93'


def reduce_to(module, name, *arguments):
    """GLOBAL module.name, called with strings."""
    return P2 + f'c{module}\n{name}\n('.encode() + b''.join(map(text, arguments)) + b'tR.'


def dtype(code='f4'):
    return b'cnumpy\ndtype\n' + text(code) + b'\x89\x88\x87R'


def array(shape, data, code='f4', core='numpy.core'):
    """An ndarray; shape and data are pickled pieces."""
    return (
        f'c{core}.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85'.encode('latin1')
        + text('b')
        + b'\x87R(K\1'
        + shape
        + dtype(code)
        + b'\x89'
        + data
        + b'tb'
    )


COMMAND = 'touch executed'
SHAPE_2 = b'K\2\x85'


def _doubling(depth, last=b''):
    """A tuple of itself, `depth` times: 2^depth leaves in a few bytes."""
    return b')' + b''.join(b'q' + bytes([i]) + b'h' + bytes([i]) + b'\x86' for i in range(depth)) + last


def _stylegan_in_itself():
    """Three times one network, that is its own component."""
    state = [('version', b'K\3'), ('build_func_name', text('G_style')), ('static_kwargs', b'}'), ('variables', b']'),
             ('components', b'}(' + text('synthesis') + b'h\0' + text('mapping') + b'h\0u')]
    items = b''.join(text(key) + value for key, value in state)
    return stack_global('dnnlib.tflib.network', 'Network') + b')\x81q\0}(' + items + b'ubh\0h\0\x87.'


MALICIOUS = {
    # Calls.
    'os.system': reduce_to('os', 'system', COMMAND),
    'posix.system': reduce_to('posix', 'system', COMMAND),
    'nt.system': reduce_to('nt', 'system', COMMAND),
    'subprocess.Popen': reduce_to('subprocess', 'Popen', COMMAND),
    'subprocess.check_output': reduce_to('subprocess', 'check_output', COMMAND),
    'builtins.eval': reduce_to('builtins', 'eval', f'__import__("os").system("{COMMAND}")'),
    'builtins.exec': reduce_to('builtins', 'exec', f'import os; os.system("{COMMAND}")'),
    'builtins.compile': reduce_to('builtins', 'compile', '1', 'x', 'eval'),
    'builtins.open': reduce_to('builtins', 'open', 'executed', 'w'),
    'builtins.getattr': reduce_to('builtins', 'getattr', 'a', '__class__'),
    'builtins.__import__': reduce_to('builtins', '__import__', 'antigravity'),
    'Python 2 __builtin__.eval': reduce_to('__builtin__', 'eval', f'__import__("os").system("{COMMAND}")'),
    'Python 2 __builtin__.file': reduce_to('__builtin__', 'file', 'executed', 'w'),
    'Python 2 commands.getoutput': reduce_to('commands', 'getoutput', COMMAND),
    'importlib': reduce_to('importlib', 'import_module', 'antigravity'),
    'runpy': reduce_to('runpy', 'run_path', 'x.py'),
    'webbrowser': reduce_to('webbrowser', 'open', 'file:///'),
    'socket': reduce_to('socket', 'create_connection', 'localhost'),
    'pty.spawn': reduce_to('pty', 'spawn', 'sh'),
    'timeit': reduce_to('timeit', 'timeit', f'__import__("os").system("{COMMAND}")'),
    'nested pickle.loads': reduce_to('pickle', 'loads', 'cos\nsystem\n(S"touch executed"\ntR.'),
    'nested _pickle.loads': reduce_to('_pickle', 'loads', 'cos\nsystem\n(S"touch executed"\ntR.'),
    'marshal.loads': reduce_to('marshal', 'loads', 'x'),
    'dotted stack global': P4
    + stack_global('numpy', 'core.multiarray.os.system')
    + text(COMMAND)
    + b'\x85R.',
    'dotted allowed prefix': P4 + stack_global('collections', 'OrderedDict.__init__.__globals__') + b').',
    'Network attribute': P4 + stack_global('tfutil', 'Network.__class__') + b')\x81.',
    'shutil.rmtree': reduce_to('shutil', 'rmtree', 'victim'),
    # Gadgets through NumPy and the standard library.
    'numpy.load of a pickle': reduce_to('numpy', 'load', 'x.npy'),
    'numpy runstring': reduce_to(
        'numpy.testing._private.utils', 'runstring', f'import os; os.system("{COMMAND}")', ''
    ),
    'numpy exec_command': reduce_to('numpy.distutils.exec_command', 'exec_command', COMMAND),
    'numpy f2py': reduce_to('numpy.f2py', 'compile', 'x'),
    'numpy _ufunc_reconstruct': reduce_to('numpy.core', '_ufunc_reconstruct', 'os', 'system'),
    'numpy object dtype': P2 + array(SHAPE_2, b'](K\1K\2e', 'O8') + b'.',
    'numpy object array with code': P2
    + array(b'K\1\x85', b'](cos\nsystem\n' + text(COMMAND) + b'\x85Re', 'O')
    + b'.',
    'numpy structured dtype': P2 + array(SHAPE_2, b'C\x10' + bytes(16), 'f4,O') + b'.',
    'numpy memmap type': P2
    + b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nmemmap\n'
    + text('/etc/passwd')
    + b'\x85'
    + text('b')
    + b'\x87R.',
    'numpy type by another': P2
    + b'cnumpy.core.multiarray\n_reconstruct\nc_codecs\nencode\nK\0\x85'
    + text('b')
    + b'\x87R.',
    'codec with code': reduce_to('_codecs', 'encode', 'x', 'os.system'),
    'codec bomb': reduce_to('_codecs', 'encode', 'x', 'zlib_codec'),
    'codecs.decode': reduce_to('_codecs', 'decode', 'x', 'zip'),
    'Network called': P2 + b'ctfutil\nNetwork\n' + text(COMMAND) + b'\x85R.',
    'Network with arguments': P2 + b'ctfutil\nNetwork\n' + text(COMMAND) + b'\x85\x81.',
    'NEWOBJ_EX': P4 + stack_global('tfutil', 'Network') + b')}\x92.',
    'torch storage': P2 + b'ctorch._utils\n_rebuild_tensor_v2\n)R.',
    'code object': P4 + stack_global('types', 'CodeType') + b')R.',
    # Opcodes.
    'persistent id': P2 + text('storage') + b'Q.',
    'INST': P2 + b'(' + text(COMMAND) + b'ios\nsystem\n.',
    'OBJ': P2 + b'(cos\nsystem\n' + text(COMMAND) + b'o.',
    'extension registry': P2 + b'\x82\x01.',
    'extension registry, 4 bytes': P2 + b'\x84\1\0\0\0.',
    'out-of-band buffer': P5 + b'\x97.',
    'protocol 0': b'cos\nsystem\n(S"touch executed"\ntR.',
    'build with attributes': P2 + b'ctfutil\nNetwork\n)\x81}' + text('__class__') + b'cos\nsystem\ns\x86b.',
    'build on a function': P2 + b'c_codecs\nencode\n}' + text('__code__') + text('x') + b'sb.',
    # Memory and time.
    'tuples doubled 100 times': P2 + _doubling(100) + b'.',
    'doubled tuple as a key': P2 + b'}' + _doubling(60) + b'K\1s.',
    'doubled tuple as a name': P4 + _doubling(60) + text('x') + b'\x93.',
    'doubled tuple called': P2 + _doubling(60) + b')R.',
    'doubled tuple compared': P2 + _doubling(40) + _doubling(40) + b'\x81.',
    'doubled tuple as a shape': P2 + array(_doubling(60), b'C\0') + b'.',
    'doubled tuple as three networks': P2 + _doubling(60, b'h\1h\1\x87') + b'.',
    'list in itself': P2 + b']q\0h\0a.',
    'dict in itself': P2 + b'}q\0' + text('x') + b'h\0s.',
    'memo at 4 billion': P2 + b']r\xff\xff\xff\xff.',
    'string of 4 GB': P2 + b'X\xff\xff\xff\xffx.',
    'bytes of 2^62': P4 + b'\x8e' + struct.pack('<Q', 1 << 62) + b'x.',
    'bytearray of 2^62': P5 + b'\x96' + struct.pack('<Q', 1 << 62) + b'x.',
    'frame of 2^63': P4 + b'\x95' + struct.pack('<Q', 1 << 63) + b'N.',
    'integer of 2 GB': P2 + b'\x8b\xff\xff\xff\x7fx.',
    'digits': P2 + b'I' + b'9' * 1_000_000 + b'\n.',
    'one list read 100000 times as a dict': P2
    + b'](' + (text('k') + b'K\1\x86') * 100_000 + b'eq\0]('
    + b'ccollections\nOrderedDict\nh\0\x85R' * 100_000 + b'e.',
    'deep tuples': P2 + b')' + b'\x85' * 900_000 + b'.',
    'void dtype that becomes objects': P2
    + b'cnumpy\ndtype\n' + text('V8') + b'\x89\x88\x87R(K\3U\1|N' + text('x') + b'\x85}' + text('x')
    + b'cnumpy\ndtype\n' + text('O8') + b'\x89\x88\x87RK\0\x86sK\x08K\1K\x1btb.',
    'dtype with fields in its state': P2
    + dtype() + b'(K\3U\1<N' + text('x') + b'\x85}' + text('x') + dtype('f4') + b'K\0\x86sK\x08K\1K\0tb.',
    'defaults of a function': P2 + b'c_codecs\nencode\nN}' + text('__defaults__') + b')s\x86b.',
    'memo at 2 billion': P2 + b']r\xff\xff\xff\x7f.',
    'array that is never filled': P2 + array(SHAPE_2, b'C\x08' + bytes(8))[: array(SHAPE_2, b'').index(b'R(') + 1] + b'.',
    'two million operations': P2 + b'(' + b'N' * 2_000_000 + b't.',
    'ten million marks': P2 + b'(' * 10_000_000 + b'.',
    'array of 2^60 numbers': P2
    + array(b'\x8a\x08' + struct.pack('<q', 1 << 60) + b'\x85', b'C\4abcd')
    + b'.',
    'array of negative size': P2 + array(b'J\xff\xff\xff\xff\x85', b'C\4abcd') + b'.',
    'array of 1000 axes': P2 + array(b'(' + b'K\1' * 1000 + b't', b'C\4abcd') + b'.',
    'array in itself': P2 + array(b'K\1\x85', b'C\4abcd')[:-2] + b'q\0h\0\x86b.',
    'one text encoded 10000 times': P2
    + text('x' * 1_000_000)
    + b'q\0]'
    + (b'c_codecs\nencode\nh\0' + text('latin1') + b'\x86Ra') * 10_000
    + b'.',
    # Networks that are not there.
    'plain object': pickle.dumps({'G': 1}),
    'empty': b'',
    'only a stop': P2 + b'.',
    'networks without state': P2 + b'ctfutil\nNetwork\n)\x81' * 3 + b'\x87.',
    'OrderedDict of states': pickle.dumps(collections.OrderedDict(G={}, D={}, Gs={}), 2),
    'StyleGAN, without state': P4 + stack_global('dnnlib.tflib.network', 'Network') + b')\x81.',
    'StyleGAN, a module': P4 + stack_global('dnnlib.tflib', 'network') + b')\x81.',
    'StyleGAN, run_func': reduce_to('dnnlib.tflib.network', 'exec_', COMMAND),
    'StyleGAN, submit': reduce_to('dnnlib.submission.submit', 'run_wrapper', COMMAND),
    'EasyDict attribute': P4 + stack_global('dnnlib.util', 'EasyDict.__init__.__globals__') + b').',
    'EasyDict by another': P4 + stack_global('dnnlib.util', 'call_func_by_name') + text('os.system') + b'\x85R.',
    'EasyDict with arguments': P4 + stack_global('dnnlib.util', 'EasyDict') + text(COMMAND) + b'\x85\x81.',
    'EasyDict with a state': P4 + stack_global('dnnlib.util', 'EasyDict') + b')\x81}' + text('__class__') + text('x')
    + b'sb.',
    'EasyDict in itself': P4 + stack_global('dnnlib.util', 'EasyDict') + b')\x81q\0' + text('x') + b'h\0s.',
    'network in its own components': P4 + _stylegan_in_itself(),
    'StyleGAN, PyTorch': P4
    + stack_global('torch_utils.persistence', '_reconstruct_persistent_obj')
    + b'}\x85R.',
}
FRAGMENTS = [data[2:-1] for data in MALICIOUS.values() if 4 < len(data) < 200]
