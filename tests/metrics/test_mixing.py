"""Colours and geometry of pictures, compared."""
import numpy as np
import pytest

from metrics.mixing import colours, correlation, geometry


@pytest.fixture(scope='module')
def shapes():
    """Forty shapes, each in two pairs of colours: uint8 [40, 32, 32, 3] twice."""
    random = np.random.RandomState(0)
    masks = random.rand(40, 4, 4).repeat(8, 1).repeat(8, 2)[..., None] > 0.5
    light, dark = random.randint(0, 256, [2, 2, 40, 1, 1, 3])
    return [np.where(masks, a, b).astype(np.uint8) for a, b in zip(light, dark, strict=True)]


def test_a_picture_agrees_with_itself_and_not_with_others(shapes):
    one, _ = shapes
    for what in colours, geometry:
        assert correlation(what(one), what(one)) == pytest.approx(1)
        assert abs(correlation(what(one), what(np.roll(one, 1, axis=0)))) < 0.2


def test_the_same_shapes_in_other_colours_agree_in_geometry_alone(shapes):
    one, other = shapes
    assert correlation(geometry(one), geometry(other)) > 0.6
    assert abs(correlation(colours(one), colours(other))) < 0.2


def test_the_same_colours_of_other_shapes_agree_in_colours_alone():
    """Each picture of one hue throughout; the pattern is in its brightness."""
    random = np.random.RandomState(0)
    hue = np.array([1, 0.5, 0.2])[random.rand(40, 3).argsort()][:, None, None]
    brightness = random.randint(100, 250, [2, 40, 8, 8, 1]).repeat(4, 2).repeat(4, 3)
    one, other = np.uint8(brightness * hue)
    assert correlation(colours(one), colours(other)) > 0.8
    assert abs(correlation(geometry(one), geometry(other))) < 0.2


def test_gray_has_no_colours_and_contrast_no_say_in_geometry(shapes):
    one, _ = shapes
    gray = one[..., :1].repeat(3, axis=3)
    assert np.abs(colours(gray)).max() < 1e-9
    np.testing.assert_allclose(geometry(gray // 2 * 2), geometry(255 - gray // 2 * 2), atol=1e-9)
