"""LPIPS and VGG16 against an evaluation in NumPy, whatever file the weights come from, and files that are not theirs."""
import os

import runtime  # isort: skip  # noqa: F401 - before TensorFlow
import numpy as np
import pytest
import small_vgg16
import tensorflow as tf
from numpy.testing import assert_allclose
from places import GOLDENS
from small_vgg16 import official, random_weights, torchvision
from torch_files import legacy, zipped

from metrics import judges, lpips, vgg16
from metrics.lpips import LPIPS, load_lpips
from metrics.table import parse_specs
from metrics.vgg16 import VGG16, convolutions_of, dense_of
from networks.growth import at_most
from official.weights import read_weights


@pytest.fixture(scope='module')
def weights():
    return random_weights()


@pytest.fixture(scope='module')
def network(weights):
    return LPIPS(VGG16(weights[0]), weights[1])


@pytest.fixture(scope='module')
def images():
    random = np.random.RandomState(0)
    return random.uniform(0, 255, [2, 2, 32, 32, 3]).astype(np.float32)


def test_features_and_distances_equal_those_of_numpy(network, weights, images):
    a, b = images
    for found, expected in zip(network.vgg16.features(a), small_vgg16.features(a, weights[0]), strict=True):
        assert_allclose(found, expected, atol=1e-4 * expected.max())
    assert_allclose(network(a, b), small_vgg16.distance(a, b, *weights), rtol=1e-4)


def test_an_image_is_at_distance_zero_of_itself_and_both_ways_are_equal(network, images):
    a, b = images
    assert np.all(network(a, a).numpy() == 0)
    assert_allclose(network(a, b), network(b, a), rtol=1e-6)
    assert np.all(network(a, b).numpy() > network(a, a + 0.1 * (b - a)).numpy())


def test_described_images_give_the_same_distances_one_against_many_too(network, images):
    a, b = images
    target = network.describe(a[:1])
    expected = [network(a[:1], image[None]).numpy()[0] for image in b]
    assert_allclose(network.between(network.describe(b), target), expected, rtol=1e-5)


def test_uint8_and_gray_images_are_taken(network, images):
    a, b = np.rint(images)
    assert_allclose(network(a.astype(np.uint8), b.astype(np.uint8)), network(a, b), rtol=1e-6)
    gray = a[..., :1]
    assert_allclose(network(gray, gray[::-1]), network(*(np.repeat(x, 3, -1) for x in (gray, gray[::-1]))), rtol=1e-6)


def test_the_gradient_leads_to_the_target_in_a_graph_too(network, images):
    target = network.describe(images[1])

    @tf.function
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            distance = tf.reduce_sum(network.between(network.describe(x), target))
        return distance, tape.gradient(distance, x)

    x = tf.constant(images[0])
    distance, gradient = slope(x)
    direction = gradient / tf.norm(gradient)
    step = 1.0
    change = (slope(x + step * direction)[0] - slope(x - step * direction)[0]) / (2 * step)
    assert_allclose(change, tf.norm(gradient), rtol=0.05)
    assert slope(x - 20 * direction)[0] < distance


def test_where_nothing_is_active_the_gradient_is_zero():
    x = -tf.ones([1, 2, 2, 4])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = lpips.unit(tf.nn.relu(x))
    assert np.all(tape.gradient(y, x).numpy() == 0) and np.all(y.numpy() == 0)


def test_larger_images_are_box_filtered_and_smaller_ones_stay():
    image = np.random.RandomState(0).randint(256, size=[1, 64, 64, 3]).astype(np.uint8)
    expected = image.reshape(1, 16, 4, 16, 4, 3).astype(np.float32).mean(axis=(2, 4))
    assert_allclose(at_most(image, 16), expected, rtol=1e-6)
    assert_allclose(at_most(image, 256), image)


def test_images_that_the_fifth_block_does_not_see_are_refused(network):
    with pytest.raises(ValueError, match=r'images of 8x8; VGG16 needs 16x16 or more\.$'):
        network(tf.zeros([1, 8, 8, 3]), tf.zeros([1, 8, 8, 3]))


# Files

@pytest.fixture(scope='module')
def files(tmp_path_factory, weights):
    """The same weights as people have them."""
    folder = tmp_path_factory.mktemp('vgg16')
    pairs, linear = weights
    contents = {'vgg16-legacy.pth': legacy(torchvision(pairs)), 'vgg16-zip.pth': zipped(torchvision(pairs)),
                'vgg.pth': legacy(small_vgg16.lpips(linear)), 'vgg16_zhang_perceptual.pkl': official(pairs, linear)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize('chosen', [('vgg.pth', 'vgg16-legacy.pth'), ('vgg.pth', 'vgg16-zip.pth'),
                                    ('vgg16_zhang_perceptual.pkl',)])
def test_all_layouts_give_the_same_network(files, network, images, chosen):
    own, *of_vgg16 = (str(files / name) for name in chosen)
    found = load_lpips(own, lambda: of_vgg16[0])
    np.testing.assert_array_equal(found(*images), network(*images))
    assert len(found.sha256) == 64


def test_fully_connected_layers_are_found_and_run_in_the_order_of_torch(weights, images, monkeypatch):
    monkeypatch.setattr(vgg16, '_SIZE', 32)  # So small, 4096 features of 25088 would be 500 MB of weights.
    monkeypatch.setattr(vgg16, '_WIDTH', 24)
    random = np.random.RandomState(3)
    dense = [(random.randn(n, 24).astype(np.float32) / np.sqrt(n), random.randn(24).astype(np.float32)) for n in (512, 24)]
    x = small_vgg16.pooled(small_vgg16.features(images[0], weights[0])[-1]).transpose(0, 3, 1, 2).reshape(2, -1)
    for kernel, bias in dense:
        x = np.maximum(x @ kernel + bias, 0)
    outputs = np.zeros([24, 10], np.float32), np.zeros(10, np.float32)  # Of ImageNet's classes.
    for found in (torchvision(weights[0], [*dense, outputs]), dict(
            item for i, pair in enumerate([*dense, outputs]) for item in zip((f'fc{i}/w', f'fc{i}/b'), pair, strict=True))):
        network = VGG16(weights[0], dense_of(found, 'vgg16.pkl'))
        assert_allclose(network.second_dense(images[0]), x, atol=1e-4 * x.max())
    with pytest.raises(ValueError, match="vgg16.pkl does not hold VGG16's fully connected layers, 512 to 24 to 24; give"):
        dense_of(torchvision(weights[0]), 'vgg16.pkl')


def test_channels_first_fully_connected_inputs(weights, monkeypatch):
    monkeypatch.setattr(vgg16, '_SIZE', 64)
    image = np.random.RandomState(1).uniform(0, 255, [1, 64, 64, 3]).astype(np.float32)
    x = small_vgg16.pooled(small_vgg16.features(image, weights[0])[-1])  # [1, 2, 2, 512]
    first = np.zeros([2048, 3], np.float32)
    first[[0, 1, 4], [0, 1, 2]] = 1  # Two columns of channel 0, then channel 1.
    network = VGG16(weights[0], [(first, np.zeros(3, np.float32))])
    assert_allclose(network.second_dense(image)[0], [x[0, 0, 0, 0], x[0, 0, 1, 0], x[0, 0, 0, 1]], atol=1e-4 * x.max())


@pytest.mark.parametrize('change, sentence', [
    (lambda w: w.pop('features.28.weight'), 'holds 12 3x3 convolutions; VGG16 has 13'),
    (lambda w: w.pop('features.28.bias'), "holds no bias of 512 numbers for 'features.28.weight'"),
    (lambda w: w.update({'features.5.weight': np.zeros([64, 64, 3, 3], np.float32)}),
     r"holds 'features.5.weight' of shape \[64, 64, 3, 3\]; VGG16 has a 3x3 convolution of 64 channels to 128 there"),
    (lambda w: w.update({'features.0.bias': np.full(64, np.nan, np.float32)}), 'holds weights that are not finite'),
])
def test_files_of_another_layout_are_refused(weights, change, sentence):
    changed = torchvision(weights[0])
    change(changed)
    with pytest.raises(ValueError, match=f'^FILE {sentence}'):
        convolutions_of(changed, 'FILE')


def test_a_file_without_the_weights_of_lpips_is_refused(files, weights, tmp_path):
    of_alexnet = [np.ones(n, np.float32) for n in (64, 192, 384, 256, 256)]
    (tmp_path / 'alex.pth').write_bytes(legacy(small_vgg16.lpips(of_alexnet)))
    for path in str(files / 'vgg16-zip.pth'), str(tmp_path / 'alex.pth'):
        with pytest.raises(ValueError, match='does not hold the five weights of LPIPS on VGG16, 64, 128, 256, 512, 512'):
            load_lpips(path, lambda: str(files / 'vgg16-zip.pth'))
    with pytest.raises(ValueError, match='holds 3 items; expected is one network'):
        read_weights(str(GOLDENS / 'stylegan' / 'v1a.pkl'))


# Where they come from

def test_what_a_metric_needs_is_opened_once_and_nothing_else(files, network, images, tmp_path):
    specs = parse_specs('msssim,ppl2_wend,ppl_zend')
    given = {'lpips': str(files / 'vgg.pth'), 'vgg16': str(files / 'vgg16-zip.pth')}
    found, opened = judges.open_judges(specs, given, str(tmp_path))
    assert found == specs and list(opened) == ['lpips'] and os.listdir(tmp_path) == []
    np.testing.assert_array_equal(opened['lpips'](*images), network(*images))


def test_without_a_file_and_a_network_the_other_metrics_run(tmp_path, monkeypatch):
    monkeypatch.setenv('https_proxy', 'http://127.0.0.1:9')  # Nobody listens there: no download.
    specs = parse_specs('msssim,ppl_zend')
    found, opened = judges.open_judges(specs, {}, str(tmp_path), go_on=True)
    assert [str(spec) for spec in found] == ['msssim-20k'] and opened == {}
    for name, option in ('ppl_zend', 'lpips'), ('pr50k3', 'vgg16'):
        with pytest.raises(OSError, match=rf'cannot download .*; give a copy of .*--{option}=FILE.*train.{option}=FILE\.$'):
            judges.open_judges(parse_specs(name), {}, str(tmp_path), go_on=True)
    with pytest.raises(ValueError, match='ls needs classifiers.*--classifiers'):
        judges.open_judges(parse_specs('msssim,ls'), {}, str(tmp_path), go_on=True)
    assert os.listdir(tmp_path) == []


def test_a_download_is_what_it_should_be(files, tmp_path, monkeypatch):
    monkeypatch.setattr(lpips, 'URL', (files / 'vgg.pth').as_uri())
    given = {'vgg16': str(files / 'vgg16-zip.pth')}
    judges.open_judges(parse_specs('ppl_zend'), given, str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ['lpips-vgg.pth', 'lpips-vgg.pth.sha256']
    monkeypatch.setattr(vgg16, 'URL', (files / 'vgg16-legacy.pth').as_uri())
    with pytest.raises(OSError, match='cannot download VGG16 .*has SHA-256'):  # It is named after its checksum.
        judges.open_judges(parse_specs('ppl_zend'), {}, str(tmp_path))
