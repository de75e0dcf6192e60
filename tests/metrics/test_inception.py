"""From a graph file to features and logits, on a small frozen graph with the real one's names and old ops."""
import io
import os
import pathlib
import tarfile

import runtime  # isort: skip  # noqa: F401 - before TensorFlow
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose
from small_inception import small_graph

from metrics import inception
from metrics.inception import Inception


def write_tgz(path, member=inception.MEMBER, content=None):
    content = small_graph().SerializeToString() if content is None else content
    with tarfile.open(path, 'w:gz') as archive:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture(scope='module')
def graph_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('inception') / 'classify_image_graph_def.pb'
    path.write_bytes(small_graph().SerializeToString())
    return str(path)


@pytest.fixture(scope='module')
def images():
    return np.random.RandomState(0).randint(0, 256, [5, 3, 12, 20]).astype(np.uint8)


@pytest.fixture(scope='module')
def expected(images):
    """The untouched graph in a session, image by image, as in 2015."""
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(small_graph(), name='')
    with tf.compat.v1.Session(graph=graph) as session:
        names = 'pool_3', 'softmax/logits/MatMul', 'softmax/logits', 'softmax/biases'
        fetches = [f'{name}:0' for name in names]
        inputs = images.transpose(0, 2, 3, 1)[:, None].astype(np.float32)
        rows = [session.run(fetches, {'ExpandDims:0': image}) for image in inputs]
    features, logits, biased, bias = (np.array(x).reshape(5, -1) for x in zip(*rows, strict=True))
    return {'features': features, 'logits': logits, 'biased': biased, 'bias': bias[0]}


def test_features_and_logits_equal_the_graph_in_a_session(graph_file, images, expected):
    network = Inception(graph_file)
    features = network(images)
    assert_allclose(features, expected['features'], atol=1e-5)
    assert_allclose(network.logits(features), expected['logits'], atol=1e-5)


def test_logits_leave_the_bias_out(graph_file, images, expected):
    logits = Inception(graph_file).logits(expected['features'])
    assert_allclose(logits + expected['bias'], expected['biased'], rtol=1e-5, atol=1e-4)
    assert np.abs(logits - expected['biased']).min() > 1


def test_archive_gives_the_same_as_the_graph_within(graph_file, images, tmp_path):
    archive = write_tgz(tmp_path / 'inception-2015-12-05.tgz', member=f'./{inception.MEMBER}')
    np.testing.assert_array_equal(Inception(archive)(images), Inception(graph_file)(images))


def test_minibatches_and_devices_do_not_matter(graph_file, images):
    whole = Inception(graph_file)(images)
    shared = Inception(graph_file, devices=['CPU:0', 'CPU:1', 'CPU:2'])
    assert_allclose(np.concatenate([shared(images[:2]), shared(images[2:])]), whole, atol=1e-6)


def test_download_happens_once_and_is_checked_ever_after(tmp_path):
    published = write_tgz(tmp_path / 'inception-2015-12-05.tgz')
    cache = tmp_path / 'cache'
    path = inception.obtain(str(cache), published.as_uri())
    assert sorted(os.listdir(cache)) == ['inception-2015-12-05.tgz', 'inception-2015-12-05.tgz.sha256']
    digest = inception.sha256(published)
    assert pathlib.Path(path + '.sha256').read_text() == f'{digest}  inception-2015-12-05.tgz\n'

    published.unlink()
    assert inception.obtain(str(cache), published.as_uri()) == path

    with open(path, 'ab') as file:
        file.write(b'more')
    with pytest.raises(ValueError, match=f'expected {digest}; replace it'):
        inception.obtain(str(cache), published.as_uri())


def test_failed_download_leaves_nothing_and_names_the_way_out(tmp_path):
    damaged = tmp_path / 'inception-2015-12-05.tgz'
    damaged.write_bytes(write_tgz(tmp_path / 'whole.tgz').read_bytes()[:-100])
    for url in damaged.as_uri(), (tmp_path / 'absent.tgz').as_uri():
        with pytest.raises(OSError, match='--inception=FILE'):
            inception.obtain(str(tmp_path / 'cache'), url)
        assert os.listdir(tmp_path / 'cache') == []


def test_files_that_are_not_the_graph_are_refused_by_name(tmp_path):
    (tmp_path / 'text.pb').write_text('neither a graph nor an archive')
    (tmp_path / 'other.pb').write_bytes(tf.Graph().as_graph_def().SerializeToString())
    write_tgz(tmp_path / 'other.tgz', member='README')
    write_tgz(tmp_path / 'bomb.tgz', content=bytes(2 ** 29))
    reasons = {'text.pb': 'damaged', 'other.pb': "no node 'ExpandDims'", 'other.tgz': 'holds no',
               'bomb.tgz': 'unpacks to more than'}
    for name, reason in reasons.items():
        with pytest.raises(ValueError, match=f'{name}.*{reason}'):
            Inception(tmp_path / name)
    with pytest.raises(FileNotFoundError, match='absent.pb'):
        Inception(tmp_path / 'absent.pb')
