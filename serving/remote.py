"""Pictures of a served model over REST or gRPC; what answers is checked before it is believed."""
import base64
import contextlib
import http.client
import importlib.util
import io
import json
import re
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import PIL.Image

SIGNATURE, NAMES = 'generate_png', 'class_names'
MOST_BYTES = 2 ** 25  # Of metadata, and of each picture: one of 2048x2048 has 13 MB as PNG at most, 17 in base64.
MOST_PIXELS = 2 ** 24
MOST_NUMBERS = 2 ** 16  # In a latent or a label.
_SERVING = ('expected is TensorFlow Serving with a model that export.py wrote, at http://HOST:8501 over REST, at HOST:8500 '
            'over gRPC')


def connect(server, model, minibatch):
    """The service at HOST:PORT (gRPC) or http://HOST:PORT (REST), for up to `minibatch` pictures per request."""
    rest = '://' in server
    try:
        url = urllib.parse.urlsplit(server if rest else f'grpc://{server}')
        known = bool(url.hostname) and (url.scheme in ('http', 'https') if rest else bool(url.port) and not url.path)
        known = known and url.port != 0 and re.fullmatch(r'[!-~]+', server) and not {*server} & {*'?#'}
    except ValueError:
        known = False
    if not known:
        raise ValueError(f'--server={server} is no address; write HOST:PORT for gRPC, e.g. localhost:8500, or '
                         f'http://HOST:PORT for REST, e.g. http://localhost:8501.')
    return (Rest if rest else Grpc)(server, model, (minibatch + 1) * MOST_BYTES)


def _without_tensorflow():
    """Lets the protos within TensorFlow be imported without TensorFlow itself, which takes seconds."""
    if 'tensorflow' not in sys.modules:
        sys.modules['tensorflow'] = importlib.util.module_from_spec(importlib.util.find_spec('tensorflow'))


class _OutOfTime(BaseException):  # No Exception: what waits must not take it for a fault of its own.
    pass


@contextlib.contextmanager
def deadline(seconds, server):
    """TimeoutError where what is within takes longer, whatever it waits for."""
    def stop(number, frame):
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _OutOfTime:
        raise TimeoutError(f'{server} has not sent all pictures within {seconds:g} s; give it longer with --timeout, ask '
                           f'for fewer, or look at the log of the server.') from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Service:
    """What both interfaces share: `inputs` and `pictures` ask, and say what is wrong with the answer.

    `most_bytes` limits an answer. ConnectionError says what answered, what was expected and what to do.
    """

    def __init__(self, server, model, most_bytes):
        self.server, self.model, self.most_bytes, self._known = server, model, most_bytes, None

    def inputs(self, signature=SIGNATURE):
        """{input name: width} of a signature that makes PNG files; the width of one number per picture is 0."""
        signatures = self._described()
        if signature not in signatures:
            reason = 'it knows no truncation: its network has no average of w, or it was exported before there was one; '
            raise self._problem(f'serves a {self.model} with the signatures {_words(", ".join(sorted(signatures)))}; '
                                f'expected is {signature} of a model that export.py wrote; '
                                f'{reason if SIGNATURE in signatures else ""}name another with --model')
        widths = signatures[signature]
        sound = all(1 <= width <= MOST_NUMBERS for name, width in widths.items() if name != 'truncation')
        if 'latents' not in widths or not sound:
            raise self._problem(f'serves a {self.model} whose {signature} takes {_words(str(widths))}; expected are latents '
                                f'[N, 1 to {MOST_NUMBERS}]; name another model with --model')
        return widths

    def class_names(self, count, minibatch):
        """The names of `count` classes, asked for by `minibatch`; None where they have none."""
        if NAMES not in self._described():
            return None
        names = []
        for start in range(0, count, minibatch):
            numbers = np.arange(start, min(start + minibatch, count))
            some = self._predict(NAMES, {'classes': numbers}, 'names')
            if len(some) != len(numbers) or not all(isinstance(name, str) and name.isprintable() for name in some):
                raise self._strange(str(some), f'the names of {len(numbers)} classes')
            names += some
        return names

    def pictures(self, inputs, signature=SIGNATURE):
        """The PNG files of one request, {input name: float32 [N, width] or [N]}."""
        found, expected = self._predict(signature, inputs, 'image_bytes'), len(next(iter(inputs.values())))
        if len(found) != expected:
            raise self._problem(f'sent {len(found)} pictures where {expected} were asked for; {_SERVING}')
        for data in found:
            try:
                _check_png(data)
            except Exception as error:  # Pillow raises anything about a damaged file.
                raise self._problem(f'sent a picture that is no whole PNG file ({_words(str(error))}); '
                                    f'{_SERVING}') from error
        return found

    def _described(self):
        """{signature: {input name: width}}, asked for once."""
        if self._known is None:
            self._known = self._signatures()
        return self._known

    def _problem(self, sentence):
        return ConnectionError(f'{self.server} {sentence}.')

    def _strange(self, answer, expected):
        return self._problem(f'answers {_words(answer)} where {expected} was expected; {_SERVING}')

    def _no_model(self, code, words):
        return self._problem(f'answers {code} ({words}); --model={self.model} is to be its name on the server')


def _words(text):
    """Some text of a stranger in one line, without what steers a terminal."""
    words = ''.join(c if c.isprintable() else ' ' for c in text[:1000]).split()
    shown = ' '.join(words).rstrip('.')
    return shown if len(shown) <= 160 else f'{shown[:160]} ...'


def _check_png(data):
    """Raises what Pillow does, or ValueError, unless the bytes are a whole PNG file of a size that networks make."""
    for check in ('verify', 'load'):  # Only the first looks at checksums, only the second decodes.
        with PIL.Image.open(io.BytesIO(data), formats=['PNG']) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f'it has {picture.width}x{picture.height} pixels')
            getattr(picture, check)()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        """None: where else the server would like to send us is not what the user named."""


class Rest(_Service):
    """JSON in, JSON with base64 of whatever is called `*_bytes` out."""

    def __init__(self, server, model, most_bytes):
        super().__init__(server, model, most_bytes)
        self._url = f'{server.rstrip("/")}/v1/models/{urllib.parse.quote(model)}'
        self._opener = urllib.request.build_opener(_Stay)

    def _signatures(self):
        def width(spec):
            sizes = spec['tensor_shape'].get('dim', [])
            return int(sizes[1]['size']) if len(sizes) == 2 else 0

        def read(answer):
            found = answer['metadata']['signature_def']['signature_def']
            return {name: {key: width(spec) for key, spec in signature.get('inputs', {}).items()}
                    for name, signature in found.items()}
        return self._ask('/metadata', read, 'the metadata of a model')

    def _predict(self, signature, inputs, output):
        body = {'signature_name': signature, 'inputs': {name: value.tolist() for name, value in inputs.items()}}

        def read(answer):
            if not output.endswith('_bytes'):
                return [*answer['outputs']]
            return [base64.b64decode(item['b64'], validate=True) for item in answer['outputs']]
        return self._ask(':predict', read, 'a list of pictures in base64' if output.endswith('_bytes') else 'a list', body)

    def _ask(self, path, read, expected, body=None):
        """What `read` makes of the JSON that a path answers."""
        data = None if body is None else json.dumps(body).encode()
        try:
            with self._opener.open(self._url + path, data) as answer:
                text = answer.read(self.most_bytes + 1)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from error
        except (http.client.HTTPException, ConnectionError) as error:
            raise self._problem(f'does not speak HTTP ({_words(str(error))}); for the gRPC port write HOST:PORT without '
                                f'http://, for REST the other port, by default http://HOST:8501') from error
        except (OSError, UnicodeError) as error:  # The latter for no name of the network.
            raise self._problem(f'does not answer ({_words(str(getattr(error, "reason", error)))}); start it, '
                                'or correct --server') from error
        if len(text) > self.most_bytes:
            raise self._problem(f'sent more than {self.most_bytes} bytes; {_SERVING}')
        try:
            return read(json.loads(text))
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            shown = text[:1000].decode(errors='replace').strip()
            page = 'a page of HTML' if shown.startswith('<') else shown or 'nothing'
            raise self._strange(page, expected) from error

    def _refusal(self, error):
        """The ConnectionError for an answer whose status is not 200."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, RecursionError, KeyError, TypeError):
            words = _words(str(json.loads(error.read(MOST_BYTES))['error']))
            if error.code == 404:
                return self._no_model(404, words)
            return self._problem(f'answers {error.code} ({words}); {_SERVING}')
        return self._problem(f'answers {error.code} ({_words(str(error.reason))}); {_SERVING}')


class Grpc(_Service):
    """Tensors in, tensors out."""

    def __init__(self, server, model, most_bytes):
        import grpc
        _without_tensorflow()
        from tensorflow_serving.apis import prediction_service_pb2_grpc
        super().__init__(server, model, most_bytes)
        limits = [('grpc.max_receive_message_length', most_bytes), ('grpc.max_send_message_length', -1)]
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server, limits))
        self._error = grpc.RpcError

    def _signatures(self):
        from tensorflow_serving.apis import get_model_metadata_pb2
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=['signature_def'])
        request.model_spec.name = self.model
        answer, found = self._ask(self._stub.GetModelMetadata, request), get_model_metadata_pb2.SignatureDefMap()
        if not answer.metadata['signature_def'].Unpack(found):
            raise self._strange(str(answer), 'the metadata of a model')
        return {name: {key: dims[1].size if len(dims := spec.tensor_shape.dim) == 2 else 0
                       for key, spec in signature.inputs.items()} for name, signature in found.signature_def.items()}

    def _predict(self, signature, inputs, output):
        from tensorflow.core.framework import types_pb2
        from tensorflow_serving.apis import predict_pb2
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self.model, signature
        for name, value in inputs.items():
            tensor, whole = request.inputs[name], value.dtype.kind == 'i'
            tensor.dtype = types_pb2.DT_INT64 if whole else types_pb2.DT_FLOAT
            tensor.tensor_content = value.astype('<i8' if whole else '<f4').tobytes()
            for size in value.shape:
                tensor.tensor_shape.dim.add(size=size)
        found = list(self._ask(self._stub.Predict, request).outputs[output].string_val)
        return found if output.endswith('_bytes') else [text.decode(errors='replace') for text in found]

    def _ask(self, method, request):
        try:
            return method(request)
        except self._error as error:
            code, words = error.code().name, _words(error.details() or '')
            if code == 'NOT_FOUND':
                raise self._no_model(code, words) from error
            advice = _SERVING
            if code == 'UNAVAILABLE':
                advice = 'start the server, or correct --server; REST would be http://HOST:PORT, by default http://HOST:8501'
            raise self._problem(f'answers {code} ({words}); {advice}') from error
