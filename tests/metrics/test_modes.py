"""Modes of images whose channels are digits: laws of the measure, the classifier that reads them, and the command."""
import dataclasses
import gzip
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import config as configs
from data.build import build
from data.sources import digitsrgb, from_arrays
from data.tfrecords import Dataset
from metrics.digits import DigitClassifier, make_network, mnist_scans, small_scans, train
from metrics.evaluation import Evaluator
from metrics.image_sets import Pictures
from metrics.judges import open_judges
from metrics.modes import Modes, divergence_from_uniform
from metrics.run_evaluation import RunEvaluation, during_training
from metrics.table import check_network, parse_specs
from networks.progan import Generator


@pytest.fixture(scope='module')
def ten():
    """One scan of each digit: uint8 [10, 16, 16]."""
    scans = small_scans()
    return scans.images[[int(np.argmax(scans.classes == digit)) for digit in range(10)]]


@pytest.fixture(scope='module')
def of_ten(ten):
    """Those ten scans, to learn by heart in a few steps."""
    return dataclasses.replace(small_scans(), images=ten, classes=np.arange(10), test_images=ten, test_classes=np.arange(10),
                               num_shown=1920)


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('cache')


@pytest.fixture(scope='module')
def classifier(of_ten, cache):
    found = DigitClassifier(of_ten, str(cache))
    assert found.wrong == 0
    return found


def triples(ten, numbers):
    """Images of numbers, 0 to 999: uint8 [N, 3, 16, 16]."""
    return ten[np.array([(number // 100, number // 10 % 10, number % 10) for number in numbers])]


def measured(classifier, images):
    """{column: value} of images as a set of fakes, by hundreds."""
    spec, = parse_specs(f'modes-{len(images)}')
    evaluator = Evaluator([spec], 16, judges={'digits': classifier})
    return evaluator.measure('fakes', (images[i:i + 100] for i in range(0, len(images), 100)))[spec]


# The measure

def test_all_numbers_equally_often_are_1000_modes_without_divergence(classifier, ten):
    found = measured(classifier, triples(ten, range(1000)))
    assert found['modes'] == 1000 and abs(found['KL']) < 1e-12


def test_one_number_is_one_mode_with_the_greatest_divergence(classifier, ten):
    assert measured(classifier, triples(ten, [407] * 30)) == {'modes': 1, 'KL': pytest.approx(math.log(1000))}


def test_some_numbers_are_counted_whatever_their_order(classifier, ten):
    numbers = [7] * 60 + [70] * 30 + [700] * 30
    p = np.array([0.5, 0.25, 0.25])
    found = measured(classifier, triples(ten, np.random.RandomState(0).permutation(numbers)))
    assert found == {'modes': 3, 'KL': pytest.approx(np.sum(p * np.log(p / 0.001)))}


def test_the_divergence_is_that_of_its_formula():
    counts = np.random.RandomState(0).poisson(2, 1000)
    expected = sum(n / counts.sum() * math.log(n / counts.sum() / (1 / 1000)) for n in counts if n)
    assert_allclose(divergence_from_uniform(counts), expected, rtol=1e-12)
    assert (counts == 0).any() and expected > 0


def test_25600_images_are_measured_unless_another_number_is_given():
    assert [str(spec) for spec in parse_specs('modes,modes-1k')] == ['modes-25600', 'modes-1k']


def test_gray_images_and_networks_are_refused(classifier, tmp_path):
    specs = parse_specs('modes-8')
    sentence = 'reads a digit in each of three channels, but the images are gray'
    with pytest.raises(ValueError, match=sentence):
        check_network(specs, Generator(resolution=16, num_channels=1, fmap_base=16, fmap_max=4))
    build(str(tmp_path / 'gray'), from_arrays(np.zeros([8, 1, 16, 16], np.uint8)), '')
    evaluation = RunEvaluation(str(tmp_path), specs, 16, judges={'digits': classifier})
    with pytest.raises(ValueError, match=sentence):
        evaluation.images_of(Dataset(tmp_path / 'gray'))
    (tmp_path / 'pictures').mkdir()
    for name, colours in ('gray', 'L'), ('rgb', 'RGB'):
        Image.new(colours, (16, 16)).save(tmp_path / 'pictures' / f'{name}.png')
        pictures = Pictures(str(tmp_path / 'pictures'))
        (tmp_path / 'pictures' / f'{name}.png').unlink()
        assert pictures.num_channels == len(colours)


def test_images_of_another_size_are_refused(classifier):
    with pytest.raises(ValueError, match='reads digits of 16x16 here, the images are 32x32; give .*--mnist.*train.mnist'):
        Modes(32, classifier)


# The classifier

@pytest.mark.parametrize('resolution', [16, 32])
def test_the_layers_are_the_papers_at_both_sizes(resolution):
    network = make_network(resolution)
    shapes = [tuple(weight.shape) for weight in network.weights if len(weight.shape) > 1]
    pairs = [(1, 32), (32, 32), (32, 55), (55, 55), (55, 96), (96, 96)]
    assert shapes == [*((3, 3, *pair) for pair in pairs), (384, 10)]
    sizes = [layer.output.shape[1] for layer in network.layers if len(layer.output.shape) == 4 and 'conv' in layer.name]
    assert sizes == {32: [32, 32, 16, 16, 6, 4], 16: [16, 16, 8, 8, 4, 4]}[resolution]
    convolution = network.layers[0]
    x = np.random.RandomState(0).randn(2, resolution, resolution, 1).astype(np.float32)
    linear = convolution(x)
    assert_allclose(network.layers[1](linear), np.where(linear > 0, linear, 0.1 * linear), rtol=1e-6)


def test_trainings_on_the_same_scans_agree(of_ten):
    short = dataclasses.replace(of_ten, num_shown=64)
    networks = [make_network(16) for _ in range(2)]
    for network in networks:
        train(network, short)
    first, again, untrained = ([weight.numpy() for weight in network.weights] for network in (*networks, make_network(16)))
    for a, b in zip(first, again, strict=True):
        assert_allclose(a, b, atol=1e-4)
    assert np.abs(first[0] - untrained[0]).max() > 5e-4


def test_it_is_trained_once_for_its_scans(classifier, of_ten, ten, cache, monkeypatch):
    path, = (cache / 'digits').iterdir()
    monkeypatch.setattr('metrics.digits.train', None)
    images = triples(ten, [123, 987])
    again = DigitClassifier(of_ten, str(cache))
    assert_array_equal(again(images), [[1, 2, 3], [9, 8, 7]])
    assert path.name == f'{again.sha256[:32]}.npz'
    other = dataclasses.replace(of_ten, images=of_ten.images ^ 1)
    assert other.sha256 != of_ten.sha256 != dataclasses.replace(of_ten, shift=2).sha256
    with pytest.raises(TypeError):
        DigitClassifier(other, str(cache))(images)


@pytest.mark.parametrize('damage', [
    lambda data: data[:-30], lambda data: data[:5000] + b'x' * 9 + data[5009:], lambda data: b''])
def test_a_damaged_one_is_trained_anew(classifier, of_ten, cache, tmp_path, monkeypatch, caplog, damage):
    path, = (cache / 'digits').iterdir()
    copy, trained = tmp_path / 'digits' / path.name, []
    copy.parent.mkdir()
    copy.write_bytes(damage(path.read_bytes()))
    monkeypatch.setattr('metrics.digits.train', lambda network, scans: trained.append(scans))
    assert DigitClassifier(of_ten, str(tmp_path)).wrong > 0
    assert f'{copy} is damaged' in caplog.text and trained == [of_ten] and len(copy.read_bytes()) == len(path.read_bytes())


def test_one_that_cannot_be_kept_reads_all_the_same_and_says_how_well(of_ten, ten, tmp_path, caplog):
    caplog.set_level('INFO', logger='absl')
    (tmp_path / 'file').touch()
    found = DigitClassifier(dataclasses.replace(of_ten, num_shown=64), str(tmp_path / 'file'))
    assert found(triples(ten, [1])).shape == (1, 3)
    assert 'the classifier of digits is not kept' in caplog.text
    told = f'gets {100 * found.wrong:.2f}% of'
    assert f'The classifier of digits {told} 10 test images of scikit-learn' in caplog.text
    assert f'the classifier of digits {told} scikit-learn\'s digits wrong, where 2.0% are expected' in caplog.text


def test_devices_share_the_work_and_agree(classifier, of_ten, ten, cache):
    several = DigitClassifier(of_ten, str(cache), tf.config.list_logical_devices('CPU')[:3])
    assert_array_equal(several(triples(ten, range(100, 140))), classifier(triples(ten, range(100, 140))))


def test_scikit_learns_digits_are_split_without_overlap():
    scans = small_scans()
    seen = {image.tobytes() for image in scans.images}
    assert len(scans.images) == len(scans.classes) == 1348 and len(scans.test_images) == len(scans.test_classes) == 449
    assert sum(image.tobytes() in seen for image in scans.test_images) == 0
    assert np.bincount(scans.test_classes).min() > 30


def test_mnist_is_read_from_its_four_files(tmp_path):
    random = np.random.RandomState(0)
    for part, n in ('train', 6), ('t10k', 4):
        for name, array in (('images-idx3', random.randint(256, size=[n, 28, 28])), ('labels-idx1', np.arange(n))):
            header = b'\0\0\x08' + bytes([array.ndim]) + np.array(array.shape, '>i4').tobytes()
            with gzip.open(tmp_path / f'{part}-{name}-ubyte.gz', 'wb') as file:
                file.write(header + array.astype(np.uint8).tobytes())
    scans = mnist_scans(str(tmp_path), 6, 4)
    assert scans.images.shape == (6, 32, 32) and sorted(scans.classes) == [*range(6)]
    assert scans.test_images.shape == (4, 32, 32) and scans.most_wrong == 0.004
    assert Modes(32, DigitClassifier(scans, 'nowhere'))
    with pytest.raises(ValueError, match='holds 6 images; expected 60000'):
        open_judges(parse_specs('modes'), {'mnist': str(tmp_path)}, 'nowhere', go_on=True)
    (tmp_path / 't10k-images-idx3-ubyte.gz').unlink()
    with pytest.raises(FileNotFoundError, match='lacks t10k-images-idx3-ubyte.gz'):
        mnist_scans(str(tmp_path), 6, 4)


# The commands

@pytest.fixture(scope='module')
def kept(cache, of_ten, classifier):
    """A cache that holds a classifier of scikit-learn's digits, if a bad one."""
    path, = (cache / 'digits').iterdir()
    (cache / 'digits' / f'{small_scans().sha256[:32]}.npz').write_bytes(path.read_bytes())
    return cache


def test_a_data_set_is_measured_by_the_command_with_the_classifier_that_is_kept(kept, run_command, tmp_path):
    build(str(tmp_path / 'digitsrgb'), digitsrgb(num_images=60), '')
    done = run_command('evaluate.py', f'--fake={tmp_path / "digitsrgb"}', '--metrics=modes', f'--cache={kept}',
                       f'--output_dir={tmp_path}')
    assert done.returncode == 0, done.stderr
    header, row = (line.split() for line in done.stdout.splitlines()[:2])
    assert header[2:] == ['modes', 'KL'] and row[0] == 'digitsrgb'
    record, = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    judge = DigitClassifier(small_scans(), str(kept))
    numbers = judge(Dataset(tmp_path / 'digitsrgb').read(0, np.arange(60))) @ (100, 10, 1)
    assert record['metric'] == 'modes-60' and record['digits_sha256'] == judge.sha256[:16]
    assert record['values']['modes'] == len(set(numbers)) > 20
    assert 'training a classifier' not in done.stderr
    assert 'test images of scikit-learn' in done.stderr and 'where 2.0% are expected' in done.stderr


@pytest.mark.parametrize('arguments, sentence', [
    (['--metrics=swd', '--mnist=tests'], '--mnist has no meaning without modes in --metrics'),
    (['--metrics=modes', '--mnist=absent'], 'There is no absent; give --mnist what exists'),
])
def test_mistakes_end_in_one_sentence(run_command, arguments, sentence):
    done = run_command('evaluate.py', *arguments)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith(f'evaluate.py: {sentence}')


def test_training_reads_digits_too(kept, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    (tmp_path / 'progan').symlink_to(kept)
    build(str(tmp_path / 'digitsrgb'), digitsrgb(num_images=20), '')
    Gs = Generator(resolution=16, num_channels=3, fmap_base=16, fmap_max=4, latent_size=4, seed=0)
    options = configs.TrainConfig(metrics='modes-20')
    evaluation = during_training(str(tmp_path), Dataset(tmp_path / 'digitsrgb'), False, options)
    found = evaluation.measure_network('network', 1000, Gs)
    assert 1 <= found['modes'] <= 20 and found['KL'] >= math.log(1000 / 20) - 1e-9
    reals = evaluation.records.find('Reals', None, evaluation.specs[0])['values']
    assert reals['modes'] > found['modes'] or reals['KL'] < found['KL']
    assert len(list((kept / 'digits').iterdir())) == 2
