"""A small stand-in for TensorFlow Serving on its official protos: a SavedModel over gRPC and REST, no batching."""
import base64
import concurrent.futures
import contextlib
import http.server
import json
import threading

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session  # Session.run would compare the shapes itself.
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc


class Model:
    """The signatures of a SavedModel by name."""

    def __init__(self, folder):
        self.loaded = tf.saved_model.load(folder)
        with open(f'{folder}/saved_model.pb', 'rb') as file:
            self.definitions = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs[0].signature_def

    def run(self, signature, inputs):
        """{input: array} -> {output: array}."""
        function, spec = self.loaded.signatures[signature], self.definitions[signature].inputs
        if set(inputs) != set(spec):
            raise ValueError(f'{signature} takes {sorted(spec)}, not {sorted(inputs)}')
        tensors = {name: tf.constant(value, spec[name].dtype) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in function(**tensors).items()}

    def metadata(self):
        """A GetModelMetadataResponse with the signatures."""
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in self.definitions.items():
            found.signature_def[name].CopyFrom(definition)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata['signature_def'].Pack(found)
        return response


class Session:
    """A SavedModel as servers run it: a session of the C API, which feeds arrays of any shape."""

    def __init__(self, folder):
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._session = tf.compat.v1.Session()
            self._definitions = tf.compat.v1.saved_model.load(self._session, ['serve'], folder).signature_def

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._session.close()

    def run(self, signature, inputs):
        """{input: array} -> [output array]."""
        definition = self._definitions[signature]
        feeds = {self._output(spec): np.asarray(inputs[name], tf.as_dtype(spec.dtype).as_numpy_dtype)
                 for name, spec in definition.inputs.items()}
        return pywrap_tf_session.TF_SessionRun_wrapper(
            self._session._session, None, feeds, [self._output(spec) for spec in definition.outputs.values()], [], None)

    def _output(self, spec):
        return self._graph.get_tensor_by_name(spec.name)._as_tf_output()


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model, name):
        self.model, self.name = model, name

    def GetModelMetadata(self, request, context):
        if request.model_spec.name != self.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f'Servable not found for request: Latest({request.model_spec.name})')
        return self.model.metadata()

    def Predict(self, request, context):
        try:
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            outputs = self.model.run(request.model_spec.signature_name, inputs)
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


@contextlib.contextmanager
def grpc_server(model, name='progan'):
    """Serves a Model over gRPC -> 'localhost:PORT'."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_PredictionService(model, name), server)
    port = server.add_insecure_port('localhost:0')
    server.start()
    try:
        yield f'localhost:{port}'
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def rest_server(model, name='progan'):
    """Serves a Model over REST in the columnar format -> 'http://localhost:PORT'."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != f'/v1/models/{name}/metadata':
                return self.answer(404, json.dumps(
                    {'error': f'Servable not found for request: Latest({self.path.split("/")[3]})'}))
            return self.answer(200, json_format.MessageToJson(model.metadata(), preserving_proto_field_name=True))

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
            if self.path != f'/v1/models/{name}:predict':
                return self.answer(404, '{"error": "no such model"}')
            outputs = model.run(body['signature_name'], {key: np.array(value) for key, value in body['inputs'].items()})
            plain = {key: [{'b64': base64.b64encode(item).decode()} for item in value] if key.endswith('_bytes')
                     else [item.decode() if isinstance(item, bytes) else item for item in value.tolist()]
                     for key, value in outputs.items()}
            return self.answer(200, json.dumps({'outputs': plain if len(plain) > 1 else [*plain.values()][0]}))

        def answer(self, status, text):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('localhost', 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield f'http://localhost:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()
