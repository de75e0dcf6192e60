"""A small frozen graph with the names, shapes and old ops of the Inception graph of 2015."""
import numpy as np
import tensorflow as tf

CLASSES, FEATURES = 11, 6


def small_graph():
    """Frozen as in 2015: a JPEG by default, resize, convolution, old batch norm, pool, biased logits."""
    random = np.random.RandomState(0)
    graph_def = tf.compat.v1.GraphDef()
    graph_def.versions.producer = 8

    def node(op, name, *inputs, **attrs):
        added = graph_def.node.add(op=op, name=name, input=inputs)
        for key, value in attrs.items():
            attr = added.attr[key]
            if isinstance(value, tf.DType):
                attr.type = value.as_datatype_enum
            elif isinstance(value, bool):
                attr.b = value
            elif isinstance(value, float):
                attr.f = value
            elif isinstance(value, str):
                attr.s = value.encode()
            elif isinstance(value, list):
                attr.list.i.extend(value)
            else:
                attr.tensor.CopyFrom(tf.make_tensor_proto(value))
        return name

    def const(name, value, dtype=tf.float32):
        return node('Const', name, dtype=dtype, value=np.asarray(value, dtype.as_numpy_dtype))

    def batch_norm(name, x, scale):
        values = [const(f'{name}/{part}', np.abs(random.normal(1, 0.3, FEATURES)))
                  for part in ('moving_mean', 'moving_variance', 'beta', 'gamma')]
        return node('BatchNormWithGlobalNormalization', name, x, *values, T=tf.float32,
                    variance_epsilon=0.001, scale_after_normalization=scale)

    node('DecodeJpeg', 'DecodeJpeg', const('DecodeJpeg/contents', b'', tf.string))
    node('Cast', 'Cast', 'DecodeJpeg', SrcT=tf.uint8, DstT=tf.float32)
    node('ExpandDims', 'ExpandDims', 'Cast', const('ExpandDims/dim', 0, tf.int32), T=tf.float32)
    node('ResizeBilinear', 'ResizeBilinear', 'ExpandDims', const('size', [9, 9], tf.int32), T=tf.float32)
    node('Mul', 'Mul', node('Sub', 'Sub', 'ResizeBilinear', const('Sub/y', 128.0), T=tf.float32),
         const('Mul/y', 0.0078125), T=tf.float32)
    node('Conv2D', 'conv/Conv2D', 'Mul', const('conv/conv2d_params', random.normal(size=[3, 3, 3, FEATURES])),
         T=tf.float32, strides=[1, 1, 1, 1], padding='VALID')
    batch_norm('conv/batchnorm', 'conv/Conv2D', False)
    node('CheckNumerics', 'conv/CheckNumerics', 'conv/batchnorm', T=tf.float32, message='not finite')
    node('Identity', 'conv/control_dependency', 'conv/batchnorm', '^conv/CheckNumerics', T=tf.float32)
    node('Relu', 'conv', batch_norm('conv_1/batchnorm', 'conv/control_dependency', True), T=tf.float32)
    node('AvgPool', 'pool_3', 'conv', T=tf.float32, ksize=[1, 7, 7, 1], strides=[1, 1, 1, 1], padding='VALID')
    node('Reshape', 'pool_3/_reshape', 'pool_3', const('shape', [1, FEATURES], tf.int32), T=tf.float32)
    node('MatMul', 'softmax/logits/MatMul', 'pool_3/_reshape',
         const('softmax/weights', random.normal(size=[FEATURES, CLASSES])), T=tf.float32)
    node('BiasAdd', 'softmax/logits', 'softmax/logits/MatMul',
         const('softmax/biases', 100 * random.normal(size=CLASSES)), T=tf.float32)
    node('Softmax', 'softmax', 'softmax/logits', T=tf.float32)
    return graph_def
