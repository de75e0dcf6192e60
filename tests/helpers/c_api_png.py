"""Runs a PNG signature through TensorFlow's C API, as TensorFlow Serving does: no Python of TensorFlow or of Keras.

    python c_api_png.py LIBRARY SAVED_MODEL INPUT_TENSOR OUTPUT_TENSOR LATENTS.npy OUT_FOLDER
"""
import ctypes
import os
import sys

import numpy as np

TF_FLOAT = 1


class Output(ctypes.Structure):
    """TF_Output: a tensor of the graph."""
    _fields_ = [('operation', ctypes.c_void_p), ('index', ctypes.c_int)]


def main(library, folder, input_name, output_name, latents_path, out):
    tf = ctypes.CDLL(library)
    for name in ('NewStatus', 'NewGraph', 'NewSessionOptions', 'LoadSessionFromSavedModel', 'GraphOperationByName',
                 'AllocateTensor', 'TensorData', 'StringGetDataPointer', 'Message'):
        getattr(tf, f'TF_{name}').restype = ctypes.c_void_p
    tf.TF_StringGetSize.restype = ctypes.c_size_t
    tf.TF_Message.restype = ctypes.c_char_p
    pointer = ctypes.c_void_p
    status, graph = pointer(tf.TF_NewStatus()), pointer(tf.TF_NewGraph())

    def check():
        if tf.TF_GetCode(status):
            sys.exit(tf.TF_Message(status).decode())

    def tensor(name):
        operation, index = name.split(':')
        found = tf.TF_GraphOperationByName(graph, operation.encode())
        return Output(found, int(index)) if found else sys.exit(f'no operation {operation}')

    tags = (ctypes.c_char_p * 1)(b'serve')
    session = pointer(tf.TF_LoadSessionFromSavedModel(
        pointer(tf.TF_NewSessionOptions()), None, folder.encode(), tags, 1, graph, None, status))
    check()

    latents = np.ascontiguousarray(np.load(latents_path), np.float32)
    dims = (ctypes.c_int64 * 2)(*latents.shape)
    value = pointer(tf.TF_AllocateTensor(TF_FLOAT, dims, 2, ctypes.c_size_t(latents.nbytes)))
    ctypes.memmove(tf.TF_TensorData(value), latents.ctypes.data, latents.nbytes)
    inputs, values = (Output * 1)(tensor(input_name)), (pointer * 1)(value)
    outputs, results = (Output * 1)(tensor(output_name)), (pointer * 1)()
    tf.TF_SessionRun(session, None, inputs, values, 1, outputs, results, 1, None, 0, None, status)
    check()

    strings = tf.TF_TensorData(pointer(results[0]))
    for i in range(len(latents)):
        string = pointer(strings + 24 * i)  # sizeof(TF_TString)
        png = ctypes.string_at(tf.TF_StringGetDataPointer(string), tf.TF_StringGetSize(string))
        with open(os.path.join(out, f'{i}.png'), 'wb') as file:
            file.write(png)
    assert not {'tensorflow', 'keras'} & set(sys.modules)


if __name__ == '__main__':
    main(*sys.argv[1:])
