"""Asks TensorFlow Serving for pictures: `python serve_client.py --server=localhost:8500 --seeds=0-7 --out=pictures`.

Over gRPC (port 8500), or over REST with --server=http://localhost:8501. Latents are those of generate.py's seeds; the
pictures come back as PNG files, which are a tenth of the size of numbers in JSON.
"""
import runtime  # isort: skip (it must come before TensorFlow)

import base64
import importlib.util
import json
import os
import sys
import urllib.error
import urllib.request

import numpy as np
from absl import flags

from files import check_new, replacing
from serving.latents import drawn_classes, labels_of, of_seeds, parse_integers

FLAGS = flags.FLAGS
flags.DEFINE_string('server', 'localhost:8500', 'HOST:PORT for gRPC, http://HOST:PORT for REST.')
flags.DEFINE_string('model', 'progan', 'Name of the model on the server.')
flags.DEFINE_string('seeds', '0-7', 'One picture per seed, e.g. 0-99 or 3,5,8.')
flags.DEFINE_integer('class', None, 'Class of the pictures, for a conditional network; without it each seed draws its own.')
flags.DEFINE_string('out', None, 'Folder of the pictures.')
flags.DEFINE_bool('overwrite', False, 'Replace pictures that exist.')
flags.DEFINE_integer('minibatch', 8, 'Pictures per request.')
flags.DEFINE_float('timeout', 300.0, 'Seconds to wait for each answer.')


def without_tensorflow():
    """Lets the protos within TensorFlow be imported without TensorFlow itself, which takes seconds."""
    if 'tensorflow' not in sys.modules:
        sys.modules['tensorflow'] = importlib.util.module_from_spec(importlib.util.find_spec('tensorflow'))


class Rest:
    """The REST interface: JSON in, JSON with base64 of whatever is called `*_bytes` out."""

    def __init__(self, server, model, timeout):
        self.url, self.timeout = f'{server.rstrip("/")}/v1/models/{model}', timeout

    def inputs(self, signature):
        """{input name: width} of a signature."""
        found = self._ask('/metadata')['metadata']['signature_def']['signature_def'][signature]['inputs']
        return {name: int(spec['tensor_shape']['dim'][1]['size']) for name, spec in found.items()}

    def predict(self, signature, inputs):
        """The PNG files of one request."""
        body = {'signature_name': signature, 'inputs': {name: value.tolist() for name, value in inputs.items()}}
        return [base64.b64decode(item['b64']) for item in self._ask(':predict', body)['outputs']]

    def _ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(self.url + path, data, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ConnectionError(f'{self.url} answers {error.code}: {error.read().decode()[:300].strip()}') from error
        except urllib.error.URLError as error:
            raise ConnectionError(f'{self.url} does not answer ({error.reason}); is the server running?') from error


class Grpc:
    """The gRPC interface: tensors in, tensors out."""

    def __init__(self, server, model, timeout):
        import grpc
        without_tensorflow()
        from tensorflow_serving.apis import prediction_service_pb2_grpc
        self.server, self.model, self.timeout = server, model, timeout
        unlimited = [('grpc.max_receive_message_length', -1), ('grpc.max_send_message_length', -1)]
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server, unlimited))
        self.error = grpc.RpcError

    def inputs(self, signature):
        """{input name: width} of a signature."""
        from tensorflow_serving.apis import get_model_metadata_pb2
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=['signature_def'])
        request.model_spec.name = self.model
        answer, found = self._ask(self.stub.GetModelMetadata, request), get_model_metadata_pb2.SignatureDefMap()
        answer.metadata['signature_def'].Unpack(found)
        return {name: spec.tensor_shape.dim[1].size for name, spec in found.signature_def[signature].inputs.items()}

    def predict(self, signature, inputs):
        """The PNG files of one request."""
        from tensorflow.core.framework import types_pb2
        from tensorflow_serving.apis import predict_pb2
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self.model, signature
        for name, value in inputs.items():
            tensor = request.inputs[name]
            tensor.dtype, tensor.tensor_content = types_pb2.DT_FLOAT, value.astype('<f4').tobytes()
            for size in value.shape:
                tensor.tensor_shape.dim.add(size=size)
        return list(self._ask(self.stub.Predict, request).outputs['image_bytes'].string_val)

    def _ask(self, method, request):
        try:
            return method(request, timeout=self.timeout)
        except self.error as error:
            raise ConnectionError(f'{self.server} answers {error.code().name}: {error.details()[:300]}') from error


def main(argv):
    if not FLAGS.out or argv[1:]:
        raise ValueError('Use: serve_client.py --server=HOST:PORT --seeds=0-7 --out=FOLDER.')
    if FLAGS.minibatch < 1:
        raise ValueError(f'--minibatch is {FLAGS.minibatch}; use 1 or more.')
    seeds = parse_integers(FLAGS.seeds)
    paths = {seed: os.path.join(FLAGS.out, f'seed{seed:04d}.png') for seed in seeds}
    for path in paths.values():
        check_new(path, FLAGS.overwrite)
    service = (Rest if FLAGS.server.startswith('http') else Grpc)(FLAGS.server, FLAGS.model, FLAGS.timeout)
    widths = service.inputs('generate_png')
    inputs = {'latents': of_seeds(seeds, widths['latents'])}
    chosen = FLAGS['class'].value
    if 'labels' in widths or chosen is not None:
        label_size = widths.get('labels', 0)
        classes = [chosen] * len(seeds) if chosen is not None else drawn_classes(seeds, label_size)
        inputs['labels'] = labels_of(classes, label_size)
    os.makedirs(FLAGS.out, exist_ok=True)
    for start in range(0, len(seeds), FLAGS.minibatch):
        rows = np.s_[start:start + FLAGS.minibatch]
        pictures = service.predict('generate_png', {name: value[rows] for name, value in inputs.items()})
        for seed, picture in zip(seeds[rows], pictures, strict=True):
            with replacing(paths[seed]) as partial, open(partial, 'wb') as file:
                file.write(picture)
    print(f'{FLAGS.out}: {len(seeds)} pictures')


if __name__ == '__main__':
    runtime.run(main)
