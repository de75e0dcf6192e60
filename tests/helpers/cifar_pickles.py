"""Batches of CIFAR as Python 2 pickled them."""
import struct


def as_python_2(images, key, labels, protocol=2):
    """A dict of uint8 [N, 3072] and labels, in protocol 2 (as on the data set's page) or 0."""
    def number(value):
        return b'J' + struct.pack('<i', value) if protocol else b'I%d\n' % value

    def text(data):
        escaped = ''.join(f'\\x{byte:02x}' for byte in data).encode()
        return b'T' + struct.pack('<i', len(data)) + data if protocol else b"S'" + escaped + b"'\n"

    array = (b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(' + number(0) + b't' + text(b'b') + b'tR('
             + number(1) + b'(' + b''.join(map(number, images.shape)) + b't'
             + b'cnumpy\ndtype\n(' + text(b'u1') + number(0) + number(1) + b'tR(' + number(3) + text(b'|') + b'NNN'
             + number(-1) + number(-1) + number(0) + b'tb' + number(0) + text(images.tobytes()) + b'tb')
    numbers = b'(l' + b''.join(number(label) + b'a' for label in labels)
    return ((b'\x80\2' if protocol else b'') + b'(d' + text(b'batch_label') + text(b'training batch 1 of 1') + b's'
            + text(b'data') + array + b's' + text(key.encode()) + numbers + b's.')
