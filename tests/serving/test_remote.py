"""What a client makes of servers that are not the one it expects; each is a small real one."""
import base64
import concurrent.futures
import contextlib
import http.server
import io
import json
import re
import socket
import threading

import grpc
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from ports import free_ports
from serving_server import grpc_server, rest_server
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.remote import Grpc, Rest, connect, deadline

ROWS = {'latents': np.zeros([2, 8], np.float32)}


def png(size=(4, 4)):
    file = io.BytesIO()
    PIL.Image.new('RGB', size, (1, 2, 3)).save(file, 'PNG')
    return file.getvalue()


PNG = png()


class Painter:
    """A model, for the servers of serving_server, that answers with the same files whatever it is asked."""

    def __init__(self, files=(PNG, PNG), signature='generate_png', width=8):
        self.files, self.signature, self.width = files, signature, width

    def run(self, signature, inputs):
        return {'image_bytes': np.array(self.files, object)}

    def metadata(self):
        found = get_model_metadata_pb2.SignatureDefMap()
        shape = found.signature_def[self.signature].inputs['latents'].tensor_shape
        for size in (-1, self.width):
            shape.dim.add(size=size)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata['signature_def'].Pack(found)
        return response


@contextlib.contextmanager
def http_server(status, body, **headers):
    """Any other web server -> its address."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(('localhost', 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f'http://localhost:{server.server_port}'
        server.shutdown()


@contextlib.contextmanager
def tcp_server(*pieces, pause=0.0, then_close=False):
    """Something that sends bytes whatever it hears, piece by piece, and then nothing -> 'localhost:PORT'."""
    done = threading.Event()

    def talk(connection):
        with connection, contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
                if done.wait(pause):
                    return
            then_close or done.wait()

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=[server.accept()[0]], daemon=True).start()

    with socket.create_server(('127.0.0.1', 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield f'localhost:{server.getsockname()[1]}'
        done.set()
        server.shutdown(socket.SHUT_RDWR)


def sentence_of(error):
    """The text of an error, which is one sentence in one line."""
    text = str(error.value)
    assert text.endswith('.') and text.isprintable() and len(text) < 700, text
    return text


def metadata(size='8', name='generate_png'):
    inputs = {'latents': {'tensor_shape': {'dim': [{'size': '-1'}, {'size': size}]}}}
    return json.dumps({'metadata': {'signature_def': {'signature_def': {name: {'inputs': inputs}}}}}).encode()


@pytest.mark.parametrize('status, body, found', [
    (200, b'{}', 'answers {} where the metadata of a model was expected; expected is TensorFlow Serving'),
    (200, b'{"metadata": []}', 'answers {"metadata": []} where the metadata'),
    (200, b' <!DOCTYPE html><html>Welcome</html>', 'answers a page of HTML where the metadata'),
    (200, b'', 'answers nothing where'), (200, b'\xff\x1b[2J\0', 'where the metadata'),
    (200, b'[' * 100_000, 'where the metadata'),
    (200, b'9' * 10_000, 'where the metadata'), (200, metadata('1e999'), 'where the metadata'),
    (200, metadata(float('inf')), 'where the metadata'),
    (200, metadata(name='classify'), 'serves a progan with the signatures classify; expected is generate_png'),
    (200, metadata('-1'), "takes {'latents': -1}; expected are latents"), (200, metadata('999999999'), 'takes {'),
    (200, b' ' * 200_000, 'sent more than 100000 bytes'),
    (404, b'<html>404</html>', 'answers 404 (Not Found); expected is TensorFlow Serving'),
    (404, b'{"error": "Servable not found"}',
     'answers 404 (Servable not found); --model=progan is to be its name on the server.'),
    (500, b'{"error": "out of\\nmemory."}', 'answers 500 (out of memory); expected'), (503, b'[' * 100_000, 'answers 503'),
    (301, b'', 'answers 301 (Moved Permanently)'),
])
def test_other_web_servers_are_told_apart(status, body, found):
    with http_server(status, body, Location='http://localhost:1/') as address, pytest.raises(ConnectionError) as error:
        Rest(address, 'progan', 100_000).inputs()
    assert sentence_of(error).startswith(f'{address} ') and found in str(error.value)


def encoded(*files):
    return json.dumps({'outputs': [{'b64': base64.b64encode(file).decode()} for file in files]}).encode()


@pytest.mark.parametrize('status, body, found', [
    (200, b'{}', 'answers {} where a list of pictures in base64 was expected'),
    (200, b'{"outputs": [[1, 2], [3, 4]]}', 'where a list of pictures'),
    (200, b'{"outputs": [{"b64": "%%"}]}', 'where a list of pictures'),
    (200, encoded(PNG), 'sent 1 pictures where 2 were asked for'),
    (400, b'{"error": "assertion failed: [latents]"}', 'answers 400 (assertion failed: [latents])'),
])
def test_other_answers_than_pictures_are_told(status, body, found):
    with http_server(status, body) as address, pytest.raises(ConnectionError) as error:
        Rest(address, 'progan', 100_000).pictures(ROWS)
    assert found in sentence_of(error)


@pytest.mark.parametrize('serve', [rest_server, grpc_server])
@pytest.mark.parametrize('bad, found', [
    (b'', 'no whole PNG'), (b'GIF89a', 'no whole PNG'), (PNG[:-20], 'no whole PNG'),
    (PNG[:60] + b'x' + PNG[61:], 'no whole PNG'), (png((4097, 4096)), '4097x4096 pixels')])
def test_only_whole_pngs_are_taken(serve, bad, found):
    with serve(Painter([PNG, bad])) as address, pytest.raises(ConnectionError) as error:
        connect(address, 'progan', 2).pictures(ROWS)
    assert found in sentence_of(error)


@pytest.mark.parametrize('serve', [rest_server, grpc_server])
def test_both_interfaces_give_widths_and_pictures_and_name_what_is_missing(serve):
    with serve(Painter()) as address:
        service = connect(address, 'progan', 2)
        assert service.inputs() == {'latents': 8} and service.pictures(ROWS) == [PNG, PNG]
        with pytest.raises(ConnectionError) as error:
            connect(address, 'stylegan', 2).inputs()
        assert 'Latest(stylegan)); --model=stylegan is to be its name on the server.' in sentence_of(error)
    with serve(Painter(signature='classify')) as address, pytest.raises(ConnectionError) as error:
        connect(address, 'progan', 2).inputs()
    assert 'with the signatures classify; expected is generate_png' in sentence_of(error)
    with serve(Painter([PNG])) as address, pytest.raises(ConnectionError) as error:
        connect(address, 'progan', 2).pictures(ROWS)
    assert 'sent 1 pictures where 2' in sentence_of(error)


@contextlib.contextmanager
def other_grpc_server():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port('localhost:0')
    server.start()
    yield f'localhost:{port}'
    server.stop(None).wait()


def no_server():
    return contextlib.nullcontext(f'localhost:{free_ports(1)[0]}')


@pytest.mark.parametrize('server, prefix, found', [
    (no_server, 'http://', 'does not answer (.*refused.*); start .*, or correct --server'),
    (no_server, '', 'UNAVAILABLE .*; start .*, or correct --server'),
    (lambda: contextlib.nullcontext('no.such.host.invalid:80'), 'http://', 'does not answer'),
    (other_grpc_server, 'http://', 'does not speak HTTP .*; for the gRPC port write HOST:PORT'),
    (other_grpc_server, '', 'answers UNIMPLEMENTED .*; expected is TensorFlow Serving'),
    (lambda: tcp_server(b'220 mail ready\r\n', then_close=True), 'http://', 'does not speak HTTP'),
    (lambda: tcp_server(then_close=True), 'http://', 'does not speak HTTP'),
    (lambda: tcp_server(then_close=True), '', 'UNAVAILABLE'),
    (lambda: tcp_server(b'HTTP/1.1 400 Bad\r\n\r\n', then_close=True), '', 'UNAVAILABLE .* REST would be http://'),
])
def test_other_servers_and_none_are_told_apart(server, prefix, found):
    with server() as address, pytest.raises(ConnectionError) as error, deadline(60, address):
        connect(prefix + address, 'progan', 2).inputs()
    assert re.search(found, sentence_of(error)), error.value


@pytest.mark.parametrize('prefix, pieces', [
    ('http://', []), ('', []),
    ('http://', [b'HTTP/1.1 200 OK\r\n'] + [b'X: y\r\n'] * 50), ('http://', [b'HTTP/1.1 200 OK\r\n\r\n'] + [b' '] * 1000)])
def test_servers_that_never_finish_end_at_the_deadline(prefix, pieces):
    with tcp_server(*pieces, pause=0.05) as address, pytest.raises(TimeoutError) as error, deadline(0.5, address):
        connect(prefix + address, 'progan', 2).inputs()
    assert sentence_of(error).startswith(f'{address} has not sent all pictures within 0.5 s; give it longer with --timeout')


@pytest.mark.parametrize('server', ['', 'localhost', 'localhost:', 'localhost:x', 'localhost:0', 'localhost:99999', ':8500',
                                    'http://', 'http://localhost:x', 'http://localhost:99999', 'ftp://localhost:21',
                                    'file:///etc/passwd', 'http://[::1', 'http://a b:1', 'http://höhe:1', 'localhost:1\n',
                                    'a:1?b', 'localhost:8500/v1', 'http://localhost:0'])
def test_what_is_no_address_is_refused(server):
    with pytest.raises(ValueError, match=r'is no address; write HOST:PORT for gRPC, .*, or http://HOST:PORT for REST'):
        connect(server, 'progan', 1)


@pytest.mark.parametrize('server, kind', [('localhost:8500', Grpc), ('[::1]:8500', Grpc), ('http://localhost:8501', Rest),
                                          ('https://models.example.com/serving', Rest)])
def test_addresses_of_both_interfaces_are_taken(server, kind):
    assert type(connect(server, 'progan', 1)) is kind


def test_metadata_of_another_kind_is_told_over_grpc():
    class Odd(Painter):
        def metadata(self):
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.metadata['signature_def'].Pack(tf.make_tensor_proto(1.0))
            return response

    with grpc_server(Odd()) as address, pytest.raises(ConnectionError) as error:
        connect(address, 'progan', 1).inputs()
    assert 'where the metadata of a model was expected' in sentence_of(error)


class Namer(Painter):
    """One that has names for classes, and may have a truncation."""
    def __init__(self, names, *others):
        super().__init__()
        self.names, self.others = names, others

    def run(self, signature, inputs):
        return {'names': np.array(self.names, object)}

    def metadata(self):
        response, found = super().metadata(), get_model_metadata_pb2.SignatureDefMap()
        response.metadata['signature_def'].Unpack(found)
        for name in ('class_names', *self.others):
            found.signature_def[name].inputs['classes'].tensor_shape.dim.add(size=-1)
        response.metadata['signature_def'].Pack(found)
        return response


@pytest.mark.parametrize('serve', [rest_server, grpc_server])
def test_names_of_classes_are_checked(serve):
    with serve(Namer([b'cat', 'caf\xe9'.encode()])) as address:
        assert connect(address, 'progan', 2).class_names(4, 2) == ['cat', 'caf\xe9'] * 2
    for names in [b'cat'], [b'cat', b'\x1b[2J']:
        with serve(Namer(names)) as address, pytest.raises(ConnectionError) as error:
            connect(address, 'progan', 2).class_names(2, 2)
        assert 'where the names of 2 classes was expected' in sentence_of(error)
    with serve(Painter()) as address:
        service = connect(address, 'progan', 2)
        assert service.class_names(2, 2) is None
        with pytest.raises(ConnectionError) as error:
            service.inputs('generate_png_truncated')
    assert 'expected is generate_png_truncated of a model that export.py wrote; it knows no truncation' in sentence_of(error)
