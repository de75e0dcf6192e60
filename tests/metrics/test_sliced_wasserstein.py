"""SWD against the reference's numbers, scipy's filters, and the laws of a distance."""
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from places import GOLDENS
from scipy import ndimage

from metrics import sliced_wasserstein as swd

METRICS = GOLDENS / 'metrics'


@pytest.fixture(scope='module')
def golden():
    with np.load(os.path.join(METRICS, 'swd.npz')) as file:
        return dict(file)


def measure(reals, fakes, seed=123, minibatch=64, **options):
    metric = swd.SlicedWasserstein(reals.shape[2], np.random.RandomState(seed), **options)
    rows = []
    for kind, images in ('reals', reals), ('fakes', fakes):
        metric.begin(kind)
        for i in range(0, len(images), minibatch):
            metric.feed(images[i:i + minibatch])
        rows.append(metric.end())
    return rows


def shapes(num_images, seed, resolution=32):
    """Images of soft-edged discs with a random place, size and colour: local structure at several scales."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:resolution, :resolution]
    center = random.uniform(0.25, 0.75, [2, num_images, 1, 1]) * resolution
    radius = random.uniform(0.15, 0.4, [num_images, 1, 1]) * resolution
    disc = np.clip(radius - np.hypot(x - center[0], y - center[1]), 0, 1)
    color = random.uniform(0, 255, [2, num_images, 3, 1, 1])
    return np.rint(color[0] + (color[1] - color[0]) * disc[:, None]).astype(np.uint8)


def test_values_equal_the_reference_with_its_random_calls(golden):
    with open(os.path.join(METRICS, 'metrics.json')) as file:
        names = json.load(file)['swd_names']
    assert swd.SlicedWasserstein(64, np.random.RandomState(0)).columns == names
    reals, fakes = measure(golden['reals'], golden['fakes'])
    assert_allclose(reals, golden['swd_reals'], atol=0)
    assert_allclose(fakes, golden['swd_fakes'], rtol=1e-4)


def test_pyramid_equals_the_reference(golden):
    images = golden['reals'][:4]
    for level, pyramid in enumerate(swd.laplacian_pyramid(images, 3)):
        assert_allclose(pyramid, golden[f'pyr_first4/level{level}'], atol=1e-4)
    assert_allclose(swd.pyr_down(images.astype(np.float32)), golden['pyr_down_first4'], atol=1e-4)
    assert_allclose(swd.pyr_up(images[:, :, ::2, ::2].astype(np.float32)), golden['pyr_up_first4'], atol=1e-4)


def test_normalized_descriptors_equal_the_reference(golden):
    """Projected on the axes, the descriptors themselves come out; here those of the first minibatch."""
    metric = swd.SlicedWasserstein(64, np.random.RandomState(123))
    metric.begin('reals')
    metric.feed(golden['reals'][:64])
    for level, descriptors in enumerate(metric._sets['reals']):
        projections = descriptors.project(np.eye(147, dtype=np.float32), np.empty([147, 64 * 128], np.float32))
        expected = golden[f'desc_mb0_finalized_every64th/level{level}']
        assert_allclose(projections.T[::64], expected, atol=2e-4)


@pytest.mark.parametrize('shape', [(32, 32), (16, 64), (8, 4)])
def test_pyramid_filters_equal_the_two_dimensional_filter(shape):
    images = np.random.RandomState(0).randint(0, 256, [2, 3, *shape]).astype(np.float32)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, None] / 256
    down = ndimage.convolve(images, kernel, mode='mirror')[:, :, ::2, ::2]
    assert_allclose(swd.pyr_down(images), down, atol=1e-4)
    spread = np.zeros([2, 3, shape[0] * 2, shape[1] * 2], np.float32)
    spread[:, :, ::2, ::2] = images
    assert_allclose(swd.pyr_up(images), ndimage.convolve(spread, kernel * 4, mode='mirror'), atol=1e-4)


def test_pyramid_of_whole_numbers_is_inverted_exactly():
    images = shapes(4, seed=0, resolution=128)
    np.testing.assert_array_equal(swd.reconstruct(swd.laplacian_pyramid(images, 4)), images)


def test_patch_is_indexed_channel_x_y():
    images = np.arange(2 * 3 * 16 * 16, dtype=np.float32).reshape(2, 3, 16, 16)
    x, y = swd.draw_centers(np.random.RandomState(0), 2, 16)
    patches = swd.gather(images, x, y)
    for image, index in (0, 0), (1, 77):
        left, top = x[image, index] - 3, y[image, index] - 3
        for c, dx, dy in (0, 0, 0), (2, 6, 1), (1, 3, 3):
            assert patches[image * 128 + index, c, dx, dy] == images[image, c, top + dy, left + dx]


def test_distance_equals_the_definition():
    """One direction at a time, with normalized descriptors written out."""
    random = np.random.RandomState(0)
    a, b = (random.gamma(2, scale, [500, 3, 7, 7]).astype(np.float32) for scale in (1, 3))
    b[:, 0] **= 2
    sets = []
    for patches in a, b:
        sets.append(swd.Descriptors())
        sets[-1].append(patches)
    value = swd.distance(*sets, np.random.RandomState(5))
    mean_std = [(x.mean((0, 2, 3), keepdims=True), x.std((0, 2, 3), keepdims=True)) for x in (a, b)]
    a, b = (((x - mean) / std).reshape(500, -1) for x, (mean, std) in zip((a, b), mean_std, strict=True))
    random = np.random.RandomState(5)
    expected = []
    for _ in range(4):
        directions = random.randn(147, 128)
        for direction in directions.T / np.linalg.norm(directions, axis=0)[:, None]:
            expected.append(np.mean(np.abs(np.sort(a @ direction) - np.sort(b @ direction))))
    assert_allclose(value, np.mean(expected), rtol=1e-5)


def test_descriptors_in_a_scratch_folder_give_the_same_values(golden, tmp_path):
    options = {'reals': golden['reals'][:64], 'fakes': golden['fakes'][:64]}
    assert measure(**options, scratch=tmp_path) == measure(**options)
    assert not os.listdir(tmp_path)


def descriptors(patches):
    collected = swd.Descriptors()
    collected.append(np.asarray(patches, np.float32))
    return collected


sets_of_patches = st.builds(
    lambda seed, scale, power: scale * np.random.RandomState(seed).gamma(2, 1, [64, 3, 7, 7]) ** power,
    st.integers(0, 2 ** 32 - 1), st.floats(0.1, 10), st.sampled_from([0.5, 1, 2]))


@settings(max_examples=20, deadline=None)
@given(sets_of_patches)
def test_identical_sets_are_at_distance_zero(patches):
    a = descriptors(patches)
    assert swd.distance(a, a, np.random.RandomState(0)) == 0


@settings(max_examples=20, deadline=None)
@given(sets_of_patches, sets_of_patches)
def test_distance_is_symmetric_and_not_negative(p, q):
    a, b = descriptors(p), descriptors(q)
    there = swd.distance(a, b, np.random.RandomState(0))
    assert there >= 0
    assert_allclose(there, swd.distance(b, a, np.random.RandomState(0)), rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(sets_of_patches, sets_of_patches, st.permutations(range(64)))
def test_order_of_descriptors_does_not_matter(p, q, order):
    a, b, shuffled = descriptors(p), descriptors(q), descriptors(q[np.array(order)])
    value = swd.distance(a, b, np.random.RandomState(0))
    assert_allclose(swd.distance(a, shuffled, np.random.RandomState(0)), value, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(sets_of_patches, sets_of_patches, st.floats(0.2, 5), st.floats(-50, 50))
def test_brightness_and_contrast_of_a_whole_set_do_not_matter(p, q, contrast, brightness):
    """Each set is normalized by its own mean and stddev."""
    a, b, changed = descriptors(p), descriptors(q), descriptors(q * contrast + brightness)
    value = swd.distance(a, b, np.random.RandomState(0))
    assert_allclose(swd.distance(a, changed, np.random.RandomState(0)), value, atol=1e-3)


def test_same_distribution_is_nearer_than_another():
    same = measure(shapes(64, 0), shapes(64, 1))[1][-1]
    noise = np.random.RandomState(2).randint(0, 256, [64, 3, 32, 32]).astype(np.uint8)
    assert 0 < same < measure(shapes(64, 0), noise)[1][-1] / 3


def grow(name, images, amount):
    random = np.random.RandomState(9)
    if name == 'blur':
        changed = ndimage.gaussian_filter(images.astype(float), [0, 0, amount, amount])
    elif name == 'noise':
        changed = images + random.normal(0, 12 * amount, images.shape)
    else:  # Only one colour and one disc in 2 ** amount are left.
        changed = images[np.arange(len(images)) % (len(images) >> int(2 * amount))]
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


@pytest.mark.parametrize('damage', ['blur', 'noise', 'mode dropping'])
def test_distance_grows_with(damage):
    reals, others = shapes(64, 0), shapes(64, 1)
    values = [measure(reals, grow(damage, others, amount))[1][-1] for amount in (1, 2, 3)]
    undamaged = measure(reals, others)[1][-1]
    assert np.all(np.diff([undamaged, *values]) > 0)


def test_unequal_counts_are_refused():
    with pytest.raises(ValueError, match='64 reals and 32 fakes'):
        measure(shapes(64, 0), shapes(32, 1))


@pytest.mark.parametrize('resolution', [8, 48])
def test_images_below_16x16_or_of_no_power_of_two_are_refused(resolution):
    with pytest.raises(ValueError, match=f'from 16x16 pixels on, found {resolution}x{resolution}'):
        swd.SlicedWasserstein(resolution, np.random.RandomState(0))
