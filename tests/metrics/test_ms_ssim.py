"""MS-SSIM against the reference's numbers, a filter in float64, and its laws."""
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from places import GOLDENS
from scipy import ndimage

from metrics import ms_ssim
from metrics.ms_ssim import MSSSIM

METRICS = GOLDENS / 'metrics'
TOLERANCE = 2e-5  # The reference's own error: Fourier transforms in single precision.


@pytest.fixture(scope='module')
def golden():
    with open(os.path.join(METRICS, 'metrics.json')) as file:
        return json.load(file)


@pytest.fixture(scope='module')
def pairs():
    with np.load(os.path.join(METRICS, 'msssim_256.npz')) as file:
        return file['images'][0::2], file['images'][1::2]


def around_zero(images):
    return images.astype(np.float32) - 127.5


def measure(*minibatches):
    metric = MSSSIM()
    metric.begin('fakes')
    for images in minibatches:
        metric.feed(images)
    return metric.end()[0]


def test_pairs_equal_the_reference(golden, pairs):
    assert_allclose(ms_ssim.ms_ssim(*pairs), golden['msssim_256_per_pair'], atol=TOLERANCE)


def test_finest_scale_equals_the_reference(golden, pairs):
    ssim, cs = ms_ssim.ssim(*map(around_zero, pairs))
    assert_allclose(ssim, golden['ssim_256_level0'], atol=TOLERANCE)
    assert_allclose(cs, golden['cs_256_level0'], atol=TOLERANCE)


@pytest.mark.parametrize('kind', ['reals', 'fakes'])
def test_minibatches_of_64x64_equal_the_reference(golden, kind):
    with np.load(os.path.join(METRICS, 'swd.npz')) as file:
        images = file[kind].reshape(4, 64, 3, 64, 64)
    assert_allclose(measure(*images), golden[f'msssim_64_{kind}'], atol=TOLERANCE)
    assert_allclose([measure(x) for x in images], golden[f'msssim_64_{kind}_per_minibatch'], atol=TOLERANCE)


def test_every_scale_down_to_a_window_of_four_pixels_equals_the_reference(golden):
    with np.load(os.path.join(METRICS, 'swd.npz')) as file:
        a, b = around_zero(file['reals'][0:8:2]), around_zero(file['reals'][1:8:2])
    for scale in golden['msssim_64_levels_first4pairs']:
        ssim, cs = ms_ssim.ssim(a, b)
        assert a.shape[2] == scale['size']
        assert_allclose(ssim, scale['ssim'], atol=TOLERANCE)
        assert_allclose(cs, scale['cs'], atol=TOLERANCE)
        a, b = ms_ssim.halve(a), ms_ssim.halve(b)


def test_float32_is_as_good_as_float64(pairs):
    """SSIM as its formula reads, in float64: what is left of the tolerance above is the reference's share."""
    a, b = (x.astype(np.float64) for x in pairs)
    window = np.outer(*[ms_ssim.gaussian_window(256, 256)] * 2)[None, None]

    def mean(x):
        return ndimage.correlate(x, window)[:, :, 5:-5, 5:-5]

    ma, mb = mean(a[:2]), mean(b[:2])
    saa, sbb, sab = mean(a[:2] ** 2) - ma ** 2, mean(b[:2] ** 2) - mb ** 2, mean(a[:2] * b[:2]) - ma * mb
    c1, c2 = 2.55 ** 2, 7.65 ** 2
    cs = (2 * sab + c2) / (saa + sbb + c2)
    ssim = (2 * ma * mb + c1) / (ma ** 2 + mb ** 2 + c1) * cs
    found = ms_ssim.ssim(around_zero(pairs[0][:2]), around_zero(pairs[1][:2]))
    assert_allclose(found, [ssim.mean((1, 2, 3)), cs.mean((1, 2, 3))], atol=1e-6)


def images(seed, count, resolution=32):
    return np.random.RandomState(seed).randint(0, 256, [count, 3, resolution, resolution]).astype(np.uint8)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2 ** 32 - 2), st.sampled_from([16, 32, 64]))
def test_identical_images_score_one(seed, resolution):
    a = images(seed, 3, resolution)
    assert_allclose(ms_ssim.ms_ssim(a, a), 1, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2 ** 32 - 2), st.floats(0, 1))
def test_similarity_is_symmetric_and_at_most_one(seed, mix):
    a, b = images(seed, 2), images(seed + 1, 2)
    b = np.rint(mix * a + (1 - mix) * b).astype(np.uint8)
    value = ms_ssim.ms_ssim(a, b)
    assert np.all(value >= 0) and np.all(value <= 1)
    np.testing.assert_array_equal(value, ms_ssim.ms_ssim(b, a))


def test_noise_lowers_similarity_step_by_step(pairs):
    image = pairs[0][:4]
    noise = np.random.RandomState(0).normal(size=image.shape)
    values = [ms_ssim.ms_ssim(image, np.clip(np.rint(image + s * noise), 0, 255).astype(np.uint8))
              for s in (0, 8, 16, 32, 64)]
    assert np.all(np.diff(values, axis=0) < 0)


def test_order_of_images_matters_because_neighbours_are_paired():
    a = np.repeat(images(0, 8), 2, axis=0)
    assert_allclose(measure(a), 1, atol=1e-6)
    assert measure(np.roll(a, 1, axis=0)) < 0.5


def test_dropped_modes_raise_the_score():
    x, random = images(0, 128), np.random.RandomState(1)
    scores = [measure(x[random.randint(modes, size=128)]) for modes in (128, 8, 3, 1)]
    assert np.all(np.diff(scores) > 0)


def test_minibatches_do_not_matter_odd_ones_included():
    x = images(0, 16)
    assert_allclose(measure(x[:5], x[5:6], x[6:13], x[13:]), measure(x), rtol=1e-12)


def test_images_below_16x16_and_single_images_are_refused():
    with pytest.raises(ValueError, match='at least 16x16 pixels, found 8x8'):
        measure(images(0, 2, 8))
    with pytest.raises(ValueError, match='at least two images'):
        measure(images(0, 1))
