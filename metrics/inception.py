"""The Inception graph of December 2015, which defines FID and IS: a local file, or downloaded once."""
import io
import os
import tarfile

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from files import read, sha256
from metrics import downloads
from serving.generate import first_devices, shared_out

# The bucket behind http://download.tensorflow.org, which offers no https of its own.
URL = 'https://storage.googleapis.com/download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz'
MEMBER = 'classify_image_graph_def.pb'
_MOST = 2 ** 29  # Bytes, packed or not: the published archive holds less than half of that.
INPUT, FEATURES, LOGITS = 'ExpandDims:0', 'pool_3:0', 'softmax/logits/MatMul'


def obtain(cache, url=URL):
    """Returns the path of the archive in the folder `cache`, downloading it if it is not there; see downloads.obtain."""
    return downloads.obtain(cache, url, 'the Inception graph', 'inception', read_graph)


def read_graph(path):
    """Reads the GraphDef from a .pb, or from a .tgz that holds MEMBER. ValueError for any other file."""
    try:
        content = read(path, _MOST)
        if tarfile.is_tarfile(io.BytesIO(content)):
            content = _member(path, content)
        graph_def = tf.compat.v1.GraphDef.FromString(content)
    except (DecodeError, tarfile.TarError, EOFError) as error:
        raise ValueError(f'{path} is damaged, or neither a graph nor inception-2015-12-05.tgz.') from error
    found = {node.name for node in graph_def.node}
    for name in (INPUT, FEATURES, LOGITS):
        if name.split(':')[0] not in found:
            raise ValueError(f'{path} has no node {name.split(":")[0]!r}; '
                             'expected the graph of inception-2015-12-05.tgz.')
    return graph_def


def _member(path, content):
    """The file MEMBER of an archive, of which no more is unpacked than it should hold."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if member.offset_data + member.size > _MOST:
                raise ValueError(f'{path} unpacks to more than {_MOST} bytes; expected inception-2015-12-05.tgz.')
            if member.isfile() and os.path.basename(member.name) == MEMBER:
                return archive.extractfile(member).read()
    raise ValueError(f'{path} holds no {MEMBER}; expected inception-2015-12-05.tgz.')


def modernize(graph_def):
    """Replaces batch normalizations of 2015 by today's op of the same values: functions refuse the old."""
    modern = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        if node.op != 'BatchNormWithGlobalNormalization':
            modern.node.append(node)
            continue
        images, mean, variance, beta, gamma = node.input[:5]
        if not node.attr['scale_after_normalization'].b:
            ones = modern.node.add(op='OnesLike', name=f'{node.name}/without_gamma', input=[gamma])
            ones.attr['T'].type = tf.float32.as_datatype_enum
            gamma = ones.name
        norm = modern.node.add(op='FusedBatchNormV3', name=node.name,
                               input=[images, gamma, beta, mean, variance, *node.input[5:]])
        norm.attr['T'].type = norm.attr['U'].type = tf.float32.as_datatype_enum
        norm.attr['epsilon'].f = node.attr['variance_epsilon'].f
        norm.attr['is_training'].b = False
    return modern


class Inception:
    """Runs images through the graph up to the activations of pool_3; logits follow from those.

    Images enter at their own size, as floats 0..255; the graph scales them. `devices` are names that share each
    minibatch (default: all GPUs, else the CPU).
    """

    def __init__(self, path, devices=None):
        graph_def = modernize(read_graph(path))
        self.sha256 = sha256(path)
        self._devices = devices or first_devices()

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)])
        def run(images):
            images = tf.cast(tf.transpose(images, [0, 2, 3, 1]), tf.float32)
            pool, matmul = tf.graph_util.import_graph_def(
                graph_def, {INPUT: images}, [FEATURES, LOGITS], 'inception')
            return tf.reshape(pool, [tf.shape(images)[0], -1]), matmul.inputs[1]

        self._run = run
        self._weights = None

    def __call__(self, images):
        """uint8 [N, 3, H, W] -> features, float32 [N, 2048]."""
        return shared_out(self._devices, lambda part: self._run(part)[0], images)

    def logits(self, features):
        """Features, float32 [N, 2048] -> logits [N, 1008] *without* the bias of their layer.

        The reference's score leaves it out, so published figures do too.
        """
        if self._weights is None:
            self._weights = self._run(np.zeros([1, 3, 16, 16], np.uint8))[1].numpy()
        return features @ self._weights
