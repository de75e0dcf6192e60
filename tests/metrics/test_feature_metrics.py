"""FID, IS, KID, precision and recall on given activations: independent formulas, closed-form cases, laws."""
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from places import GOLDENS

from metrics import frechet_inception_distance as fid
from metrics import precision_recall_vgg16 as half
from metrics.frechet_inception_distance import FID
from metrics.inception_score import InceptionScore, inception_score
from metrics.kernel_inception_distance import KID, kernel_inception_distance, squared_mmd
from metrics.precision_recall import PrecisionRecall, precision_recall, squared_radii

seeds = st.integers(0, 2 ** 32 - 2)


def features(seed, count=200, size=16, mean=0.0, spread=1.0):
    random = np.random.RandomState(seed)
    mixing = np.random.RandomState(7).normal(size=[size, size])
    return (mean + spread * random.gamma(1, 1, [count, size]) @ mixing).astype(np.float32)


def distance(a, b):
    return fid.frechet_distance(*fid.statistics(a), *fid.statistics(b))


# FID

def test_statistics_equal_numpy():
    x = features(0, count=5000)  # More than one block of rows.
    mu, sigma = fid.statistics(x)
    assert_allclose(mu, x.astype(np.float64).mean(axis=0), rtol=1e-10)
    assert_allclose(sigma, np.cov(x, rowvar=False), rtol=1e-10, atol=1e-12)


def test_distance_equals_the_matrix_square_root():
    a, b = features(0), features(1, mean=0.5, spread=1.3)
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    sigma_a, sigma_b = np.cov(a64, rowvar=False), np.cov(b64, rowvar=False)
    root = scipy.linalg.sqrtm(sigma_a @ sigma_b).real
    expected = np.sum((a64.mean(0) - b64.mean(0)) ** 2) + np.trace(sigma_a + sigma_b - 2 * root)
    assert_allclose(distance(a, b), expected, rtol=1e-6)


def test_distance_of_independent_coordinates_is_the_closed_form():
    random = np.random.RandomState(0)
    mu, std = random.normal(size=[2, 30]), random.uniform(0, 2, [2, 30])
    expected = np.sum((mu[0] - mu[1]) ** 2) + np.sum((std[0] - std[1]) ** 2)
    found = fid.frechet_distance(mu[0], np.diag(std[0] ** 2), mu[1], np.diag(std[1] ** 2))
    assert_allclose(found, expected, rtol=1e-12)


def test_distance_of_fewer_images_than_features_is_exact():
    """Rank-one covariances: the trace of the root is |u . v|."""
    u, v = np.random.RandomState(0).normal(size=[2, 50])
    found = fid.frechet_distance(np.zeros(50), np.outer(u, u), np.zeros(50), np.outer(v, v))
    assert_allclose(found, u @ u + v @ v - 2 * abs(u @ v), rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seeds, seeds, st.floats(0.2, 3), st.floats(-2, 2), st.sampled_from([5, 40]))
def test_fid_is_zero_for_identical_sets_symmetric_and_not_negative(s, t, spread, mean, count):
    a, b = features(s, count), features(t, count, mean=mean, spread=spread)
    assert_allclose(distance(a, a), 0, atol=1e-9 * np.trace(fid.statistics(a)[1]))
    assert distance(a, b) >= 0
    assert_allclose(distance(a, b), distance(b, a), rtol=1e-8)


@settings(max_examples=25, deadline=None)
@given(seeds, st.permutations(range(40)))
def test_order_of_features_does_not_matter(seed, order):
    a, b = features(seed, 40), features(seed + 1, 40, mean=1)
    shuffled = b[np.array(order)]
    assert_allclose(distance(a, shuffled), distance(a, b), rtol=1e-6)
    assert_allclose(squared_mmd(a, shuffled), squared_mmd(a, b), rtol=1e-6)
    assert precision_recall(a, shuffled) == precision_recall(a, b)


def test_fid_and_kid_grow_with_noise_and_with_mode_dropping():
    a, b = features(0, 400), features(1, 400)
    noise = np.random.RandomState(2).normal(size=b.shape).astype(np.float32)
    noisy = [b + s * noise for s in (0, 1, 2, 4)]
    dropped = [b[np.arange(400) % n] for n in (400, 50, 12, 3)]
    for sets in noisy, dropped:
        assert np.all(np.diff([distance(a, x) for x in sets]) > 0)
        assert np.all(np.diff([squared_mmd(a, x) for x in sets]) > 0)


def test_statistics_are_saved_and_loaded_as_mu_and_sigma(tmp_path):
    mu, sigma = fid.statistics(features(0))
    fid.save_statistics(tmp_path / 'stats.npz', mu, sigma)
    assert sorted(np.load(tmp_path / 'stats.npz')) == ['mu', 'sigma']
    for found, expected in zip(fid.load_statistics(tmp_path / 'stats.npz'), (mu, sigma), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_file_without_statistics_is_refused_by_name(tmp_path):
    np.savez(tmp_path / 'other.npz', mu=np.zeros(3))
    (tmp_path / 'text.npz').write_text('no archive')
    np.savez(tmp_path / 'shapes.npz', mu=np.zeros(3), sigma=np.zeros([2, 2]))
    np.savez(tmp_path / 'words.npz', mu=np.array(['a']), sigma=np.array([['b']]))
    np.savez(tmp_path / 'images.npz', np.zeros([4, 16, 16, 3], np.uint8))
    np.savez(tmp_path / 'whole.npz', mu=np.zeros(3), sigma=np.eye(3))
    (tmp_path / 'short.npz').write_bytes((tmp_path / 'whole.npz').read_bytes()[:-30])
    np.savez(tmp_path / 'nan.npz', mu=np.full(3, np.nan), sigma=np.eye(3))
    np.savez(tmp_path / 'lopsided.npz', mu=np.zeros(3), sigma=np.triu(np.ones([3, 3])))
    np.savez(tmp_path / 'negative.npz', mu=np.zeros(3), sigma=-np.eye(3))
    for name in 'other', 'text', 'shapes', 'words', 'images', 'short', 'nan', 'lopsided', 'negative':
        with pytest.raises(ValueError, match=f'{name}.npz'):
            fid.load_statistics(tmp_path / f'{name}.npz')


def test_statistics_of_other_tools_may_hold_more_and_must_be_of_the_same_features(tmp_path):
    np.savez(tmp_path / 'adm.npz', mu=np.zeros(5), sigma=np.eye(5), mu_s=np.zeros(3), sigma_s=np.eye(3))
    assert fid.load_statistics(tmp_path / 'adm.npz')[1].shape == (5, 5)
    with pytest.raises(ValueError, match='FID compares features of one length, found 5 and 3'):
        fid.frechet_distance(*fid.load_statistics(tmp_path / 'adm.npz'), np.zeros(3), np.eye(3))


def test_given_statistics_stand_for_the_reals():
    metric = FID(fid.statistics(features(0)))
    metric.begin('fakes')
    metric.feed(features(1)[:150])
    metric.feed(features(1)[150:])
    assert_allclose(metric.end(), [distance(features(0), features(1))], rtol=1e-9)


# IS

def test_score_of_sure_and_even_predictions_is_the_number_of_classes():
    logits = 1000 * np.eye(7)[np.arange(700) % 7]
    assert_allclose(inception_score(logits), (7, 0), atol=1e-9)


def test_score_of_a_classifier_that_cannot_tell_is_one():
    logits = np.tile(np.random.RandomState(0).normal(size=20), [100, 1])
    assert_allclose(inception_score(logits), (1, 0), atol=1e-12)


def test_score_equals_entropies():
    """mean KL(p(y|x) || p(y)) = H(y) - H(y|x)."""
    logits = np.random.RandomState(0).normal(0, 2, [1003, 12])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = []
    for i in range(10):
        part = p[i * 1003 // 10:(i + 1) * 1003 // 10]
        marginal = part.mean(0)
        scores.append(np.exp(-np.sum(marginal * np.log(marginal)) + np.mean(np.sum(part * np.log(part), 1))))
    assert_allclose(inception_score(logits), (np.mean(scores), np.std(scores)), rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0, 100), st.floats(-1000, 1000))
def test_score_lies_between_one_and_the_classes_and_knows_no_common_offset(seed, sharpness, offset):
    logits = sharpness * np.random.RandomState(seed).normal(size=[50, 9])
    mean, std = inception_score(logits)
    assert 1 - 1e-9 <= mean <= 9 + 1e-9
    assert_allclose(inception_score(logits + offset), (mean, std), rtol=1e-6, atol=1e-9)


def test_score_depends_on_the_order_of_images_through_its_splits():
    logits = 1000 * np.eye(10)[np.arange(1000) // 100]
    assert_allclose(inception_score(logits)[0], 1)
    assert_allclose(inception_score(logits[np.arange(1000) % 10 * 100 + np.arange(1000) // 10])[0], 10)


def test_score_falls_as_classes_are_dropped():
    values = [inception_score(20 * np.eye(8)[np.arange(800) % n])[0] for n in (8, 6, 4, 2)]
    assert np.all(np.diff(values) < 0)


# KID

def test_mmd_equals_the_sum_over_pairs():
    a, b = features(0, 9, 4).astype(np.float64), features(1, 7, 4).astype(np.float64)

    def mean(x, y, skip):
        return np.mean([(np.dot(p, q) / 4 + 1) ** 3
                        for i, p in enumerate(x) for j, q in enumerate(y) if not (skip and i == j)])

    expected = mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)
    assert_allclose(squared_mmd(a, b), expected, rtol=1e-10)


def test_mmd_of_two_points_is_the_closed_form():
    """All of a at u, all of b at v: k(u, u) + k(v, v) - 2 k(u, v)."""
    a, b = np.tile([2.0, 0.0], [5, 1]), np.tile([0.0, 4.0], [6, 1])
    assert_allclose(squared_mmd(a, b), (4 / 2 + 1) ** 3 + (16 / 2 + 1) ** 3 - 2)


def test_kid_is_the_mean_over_blocks_and_unbiased():
    sets = [(features(2 * s, 300), features(2 * s + 1, 300)) for s in range(30)]
    values = [kernel_inception_distance(a, b, 50)[0] for a, b in sets]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(30)
    a, b = features(0, 120), features(1, 110)
    blocks = [squared_mmd(a[:50], b[:50]), squared_mmd(a[50:100], b[50:100])]
    assert_allclose(kernel_inception_distance(a, b, 50), (np.mean(blocks), np.std(blocks)))


# Precision and recall

def test_radius_is_the_distance_to_the_third_other_point():
    x = np.array([[0.0], [1.0], [3.0], [7.0], [7.0]])
    assert_allclose(squared_radii(x), [49, 36, 16, 36, 36])


def test_precision_and_recall_of_points_on_a_line_are_the_closed_form():
    reals = np.arange(0, 10, dtype=np.float32)[:, None]  # Radii 3 at the ends: cover -3 .. 12.
    fakes = np.array([-4, -3, 5, 5.5, 12, 13], np.float32)[:, None]
    precision, recall = precision_recall(reals, fakes)
    assert precision == 4 / 6                                  # -4 and 13 lie outside.
    assert recall == 1


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(4, 60))
def test_identical_sets_have_precision_and_recall_one(seed, count):
    x = features(seed, count)
    assert precision_recall(x, x) == (1, 1)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.5, 2), st.floats(-1, 1))
def test_swapping_the_sets_swaps_precision_and_recall(seed, spread, mean):
    a, b = features(seed, 60), features(seed + 1, 50, spread=spread, mean=mean)
    assert precision_recall(a, b) == precision_recall(b, a)[::-1]


def test_mode_dropping_lowers_recall_and_noise_lowers_precision():
    a, b = features(0, 300, 4), features(1, 300, 4)
    recalls = [precision_recall(a, b[np.argsort(b[:, 0])[:n]])[1] for n in (300, 150, 50)]
    noise = np.random.RandomState(2).normal(size=b.shape).astype(np.float32)
    precisions = [precision_recall(a, b + s * noise)[0] for s in (0, 2, 4, 8)]
    assert np.all(np.diff(recalls) < 0) and np.all(np.diff(precisions) < 0)


def test_disjoint_sets_have_none():
    assert precision_recall(features(0), features(1) + 1000) == (0, 0)


# All of them as metrics

@pytest.mark.parametrize('metric', [FID(), KID(), PrecisionRecall(), InceptionScore()])
def test_reals_are_measured_against_themselves_then_fakes_against_the_reals(metric):
    a, b = features(0), features(1, mean=1)
    expected = {
        'FID': [[0], [distance(a, b)]],
        'KIDx1e3_mean': [[0, 0], [1e3 * x for x in kernel_inception_distance(a, b)]],
        'Precision': [[1, 1], precision_recall(a, b)],
        'IS_mean': [inception_score(a), inception_score(b)],
    }[metric.columns[0]]
    for kind, x, values in zip(('reals', 'fakes'), (a, b), expected, strict=True):
        metric.begin(kind)
        metric.feed(x[:64])
        metric.feed(x[64:])
        assert_allclose(metric.end(), values, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('metric', [FID(), KID(), PrecisionRecall(), InceptionScore()])
def test_too_few_images_are_refused(metric):
    metric.begin('reals')
    metric.feed(features(0, 1))
    with pytest.raises(ValueError, match='found 1'):
        metric.end()
        metric.begin('fakes')
        metric.feed(features(0, 1))
        metric.end()


# Precision and recall in float16

def test_radii_and_neighbours_in_float16_are_the_references():
    golden = np.load(GOLDENS / 'stylegan' / 'metrics.npz')
    reals, fakes = (golden[f'pr/{kind}'].astype(np.float16) for kind in ('real', 'fake'))
    radii = half.squared_radii(reals)
    expected = golden['pr/real_radii'][:, 0]
    # A sum in another order may round to the neighbour.
    assert np.all(np.abs(radii.view(np.int16).astype(int) - expected.view(np.int16)) <= 1)
    assert np.mean(radii == expected) > 0.98
    precise, recalled = half.inside(fakes, reals, radii), half.inside(reals, fakes, half.squared_radii(fakes))
    for found, which in (precise, 'precision'), (recalled, 'recall'):
        assert np.sum(found != golden[f'pr/{which}_per_sample'][:, 0].astype(bool)) <= 1
        assert_allclose(found.mean(), golden[f'pr/{which}'][0], atol=0.006)


def test_distances_beyond_float16_are_nobodys_neighbours():
    far = np.full([5, 4096], 5, np.float16)
    assert not half.inside(far, far, half.squared_radii(far)).any()


def test_too_few_images_for_radii_in_float16_are_told():
    with pytest.raises(ValueError, match='more than 3 images of each set, found 3'):
        half.squared_radii(np.zeros([3, 8], np.float16))
