"""What is done to w: groups of layers, straight lines, smooth ways, files."""
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from serving.latents import parse_numbers
from serving.styles import check_has_noise, check_has_styles, fitting_w, interpolated, layers_of, looped, save_w, shifted


@pytest.mark.parametrize('num_layers, firsts', [
    (18, (4, 8)), (14, (4, 8)), (12, (4, 8)), (10, (3, 6)), (8, (2, 5)), (6, (2, 4)), (4, (1, 2))])
def test_groups_are_the_papers_where_there_are_layers_enough_and_thirds_elsewhere(num_layers, firsts):
    middle, fine = firsts
    expected = [range(middle), range(middle, fine), range(fine, num_layers)]
    assert [layers_of(group, num_layers) for group in ('coarse', 'middle', 'fine')] == expected


@pytest.mark.parametrize('text, sentence', [
    ('rough', "'rough' is no group of layers; write coarse, middle, fine, or layers as 4-7."), ('4-', "'4-' is no group"),
    ('', "'' is no group"), ('6-9', "'6-9' is out of range; this network has the layers 0 to 7."), ('5-4', 'out of range')])
def test_other_layers_are_refused(text, sentence):
    assert layers_of('5', 8) == range(5, 6) and layers_of('4-7', 8) == range(4, 8)
    with pytest.raises(ValueError, match=sentence):
        layers_of(text, 8)


def test_interpolation_is_straight_and_meets_every_w():
    w = np.random.RandomState(0).randn(3, 2, 5).astype(np.float32)
    steps = interpolated(w, 4)
    assert_allclose(steps[::4], w, atol=1e-6)
    assert_allclose(steps[6], (w[1] + w[2]) / 2, atol=1e-6)
    assert_array_equal(interpolated(w[:1], 4), w[:1])


def test_loops_meet_every_key_are_smooth_and_close():
    keys = np.random.RandomState(0).randn(5, 2, 3, 4)
    way = looped(keys, 200)
    assert way.dtype == np.float32
    assert_allclose(way[::40], keys, atol=1e-6)
    step = np.diff(np.concatenate([way, way[:2]]), axis=0)
    assert np.abs(np.diff(step, axis=0)).max() < 0.1 * np.abs(step).max()  # It turns, and closes, without a corner.
    assert_array_equal(looped(keys[:1], 3), keys[[0, 0, 0]])
    assert_array_equal(shifted(np.arange(6), 3), [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 0, 1], [4, 5, 0, 1, 2, 3]])


def network(**facts):
    return SimpleNamespace(**{'has_w': True, 'kind': 'progan', 'dlatent_size': 8, 'layers_at': lambda level: 6,
                              'noise_sizes': [4]} | facts)


def test_w_of_files_is_the_same_again_or_refused(tmp_path):
    w = np.random.RandomState(0).randn(2, 6, 8).astype(np.float32)
    save_w(str(tmp_path / 'new' / 'w.npy'), w)
    assert_array_equal(fitting_w(network(), np.load(tmp_path / 'new' / 'w.npy'), 'w.npy'), w)
    assert_array_equal(fitting_w(network(), w[:, 0], 'w.npy'), np.repeat(w[:, :1], 6, axis=1))
    for other in (w[:, :5], w[:, :, :7], w[:, 0, :7], w[0, 0], w[:0], np.float32(1)):
        with pytest.raises(ValueError, match=r'^w.npy holds w of the shape .*; this network needs \[N, 6, 8\], or \[N, 8\]'):
            fitting_w(network(), other, 'w.npy')
    with pytest.raises(ValueError, match='NaN or infinity; this network needs finite numbers.'):
        fitting_w(network(), w * np.nan, 'w.npy')


@pytest.mark.parametrize('check, facts, sentence', [
    (check_has_styles, {'has_w': False}, 'networks of kind progan have none; use a network with styles.'),
    (check_has_styles, {'layers_at': lambda level: 1}, r'without styles \(network.use_styles\)'),
    (check_has_noise, {'noise_sizes': []}, r'without noise \(network.use_noise\)')])
def test_networks_that_lack_what_a_figure_shows_are_refused(check, facts, sentence):
    check(network())
    with pytest.raises(ValueError, match=sentence):
        check(network(**facts))


def test_lists_of_numbers_have_signs_and_fractions():
    assert parse_numbers('1, 0.5,-1') == [1.0, 0.5, -1.0]
    for text in ('', '1,', 'a', 'nan'):
        with pytest.raises(ValueError, match='is not a list of numbers; write for example 1,0.5,-1.'):
            parse_numbers(text)
