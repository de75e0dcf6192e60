"""Linear separability: the reference's entropies, laws of points whose planes are known, real classifiers' files."""
import runtime  # isort: skip  # noqa: F401 - before TensorFlow
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose
from places import GOLDENS
from reference_pickles import pickled, stylegan_state, tensorflow_state

from metrics.classifiers import Classifiers
from metrics.judges import open_judges
from metrics.linear_separability import LinearSeparability, attribute_entropy, conditional_entropy, separability
from metrics.table import parse_specs
from networks import progan, stylegan


def test_entropies_are_the_references():
    golden = np.load(GOLDENS / 'stylegan' / 'metrics.npz')
    assert_allclose(conditional_entropy(golden['conditional_entropy/p']), golden['conditional_entropy/out'], atol=1e-6)


def test_points_that_a_plane_parts_have_no_entropy():
    points = np.random.RandomState(0).randn(400, 3)
    assert attribute_entropy(points, 10 * points[:, 1]) < 0.05
    assert separability(points, points[:, :2]) < 1.1


def test_what_has_nothing_to_do_with_the_points_costs_a_bit_each():
    random = np.random.RandomState(0)
    points, logits = random.randn(4000, 2), random.randn(4000, 3)
    assert 0.98 < attribute_entropy(points, logits[:, 0]) <= 1
    assert_allclose(separability(points, logits), 8, rtol=0.1)


def test_only_the_half_that_the_classifier_is_surest_of_counts():
    points = np.random.RandomState(0).randn(400, 2)
    sure = np.arange(400) % 2 == 0
    noise = np.random.RandomState(1).choice([-1.0, 1.0], 400)
    logits = np.where(sure, 100 * np.sign(points[:, 0]), noise)
    assert attribute_entropy(points, logits) < 0.2
    assert attribute_entropy(points, np.where(sure, noise * 100, np.sign(points[:, 0]))) > 0.9


def test_one_target_alone_cannot_be_parted_and_counts_as_perfect():
    assert attribute_entropy(np.random.RandomState(0).randn(20, 2), np.ones(20)) == 0.0


@pytest.fixture(scope='module')
def classifiers():
    """StyleGAN's and ProGAN's discriminators, which may both be classifiers."""
    small = {'resolution': 16, 'fmap_base': 16, 'fmap_max': 4}
    first, second = (kind.Discriminator(**small, seed=seed) for kind, seed in ((stylegan, 0), (progan, 1)))
    for network in first, second:
        for name, variable in network.named_variables().items():
            if name.endswith('bias'):
                variable.assign(0.1 * np.random.RandomState(0).randn(*variable.shape))
    return first, second, small


@pytest.fixture
def folder(classifiers, tmp_path):
    first, second, small = classifiers
    (tmp_path / 'celebahq-classifier-00-male.pkl').write_bytes(pickled(stylegan_state(first), 'dnnlib.tflib.network', 4))
    state = tensorflow_state(second, small | {'num_channels': 3, 'label_size': 0})
    (tmp_path / 'celebahq-classifier-01-smiling.pkl').write_bytes(pickled(state, 'tfutil', 2))
    (tmp_path / 'README').write_text('no classifier')
    return tmp_path


def test_the_score_is_that_of_the_networks_own_points_and_pictures(classifiers, folder):
    Gs = stylegan.Generator(resolution=32, fmap_base=16, fmap_max=4, latent_size=6, dlatent_size=5, mapping_fmaps=5, seed=2)
    metric = LinearSeparability(Classifiers(str(folder), 2))
    found = metric.measure_network(Gs, np.zeros([40, 0], np.float32), 8, 7, ['CPU:0', 'CPU:1'])
    assert metric.measure_network(Gs, np.zeros([40, 0], np.float32), 8, 7, None) == found

    z = np.random.RandomState(7).randn(40, 6).astype(np.float32)
    images = Gs.generate(z, None, 0.0, truncation=1.0, noise='random').numpy()
    images = images.reshape(40, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    images = np.clip(np.floor(images * 127.5 + 128), 0, 255).astype(np.float32) / 127.5 - 1
    logits = np.stack([np.concatenate([network(tf.constant(images[i:i + 8]))[0] for i in range(0, 40, 8)])
                       for network in classifiers[:2]], axis=1)  # Minibatch stddev looks at eight at a time.
    assert_allclose(found, [separability(z, logits), separability(Gs.map(z)[:, -1].numpy(), logits)], rtol=1e-3)


def test_folders_and_files_that_are_no_classifiers_are_refused(classifiers, folder):
    with pytest.raises(FileNotFoundError, match='There is no folder .*absent.; give that of the 40 classifiers'):
        Classifiers(str(folder / 'absent'))
    with pytest.raises(ValueError, match='holds 2 pickles of classifiers; linear separability is a sum over 40'):
        open_judges(parse_specs('ls'), {'classifiers': str(folder)}, str(folder))
    path = folder / 'celebahq-classifier-01-smiling.pkl'
    others = {'a discriminator with labels': {'resolution': 16, 'label_size': 2},
              'looks at 3 channels of 8 pixels.* at 3 of 16': {'resolution': 8}}
    for sentence, shape in others.items():
        network = stylegan.Discriminator(**shape, fmap_base=16, fmap_max=4, seed=0)
        path.write_bytes(pickled(stylegan_state(network), 'dnnlib.tflib.network', 4))
        with pytest.raises(ValueError, match=sentence):
            Classifiers(str(folder), 2)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match='smiling.pkl is truncated or damaged'):
        Classifiers(str(folder), 2)
    path.write_bytes((GOLDENS / 'stylegan' / 'v1a.pkl').read_bytes())
    with pytest.raises(ValueError, match='smiling.pkl holds 3 items; expected is one network'):
        Classifiers(str(folder), 2)


def test_pictures_smaller_than_the_classifiers_look_at_are_refused(folder):
    Gs = stylegan.Generator(resolution=8, fmap_base=16, fmap_max=4, latent_size=4, dlatent_size=4, seed=2)
    with pytest.raises(ValueError, match='the classifiers look at images of 16x16, the network makes 8x8; leave ls out'):
        LinearSeparability(Classifiers(str(folder), 2)).measure_network(Gs, np.zeros([4, 0], np.float32), 4, 0, None)
