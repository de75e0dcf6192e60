import io

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from data.images import decode, fit_square, to_planes


@pytest.fixture
def pixels():
    return np.random.RandomState(0).randint(256, size=[6, 4, 3]).astype(np.uint8)


def stored(image, kind='PNG', **options):
    """The image written to a file and read back."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return decode(io.BytesIO(buffer.getvalue()))


@pytest.mark.parametrize('mode', ['L', 'RGB'])
def test_plain_images_stay_as_they_are(pixels, mode):
    image = Image.fromarray(pixels).convert(mode)
    assert stored(image).mode == mode
    assert_array_equal(np.asarray(stored(image)), np.asarray(image))


def test_transparent_parts_become_white(pixels):
    alpha = np.zeros([6, 4], np.uint8)
    alpha[:3], alpha[3] = 255, 128
    found = np.asarray(stored(Image.fromarray(np.dstack([pixels, alpha]))), np.float64)
    share = alpha[..., np.newaxis] / 255
    assert_allclose(found, pixels * share + 255 * (1 - share), atol=1)


def test_gray_with_transparency_stays_gray(pixels):
    found = stored(Image.fromarray(np.dstack([pixels[:, :, 0], np.full([6, 4], 255, np.uint8)])))
    assert found.mode == 'L'
    assert_array_equal(np.asarray(found), pixels[:, :, 0])


def test_a_transparent_shade_of_gray_becomes_white():
    found = stored(Image.fromarray(np.array([[10, 20, 30]], np.uint8)), transparency=20)
    assert_array_equal(np.asarray(found), [[10, 255, 30]])


def test_floating_point_pixels_are_refused():
    with pytest.raises(ValueError, match='cannot be read as an image .its pixels are floating-point numbers'):
        stored(Image.fromarray(np.ones([4, 4], np.float32)), 'TIFF')


def test_palettes_become_colours(pixels):
    palette = Image.fromarray(pixels).quantize(5)
    assert_array_equal(np.asarray(stored(palette)), np.asarray(palette.convert('RGB')))


def test_a_transparent_palette_entry_becomes_white(pixels):
    palette = Image.fromarray(pixels).quantize(5)
    found = np.asarray(stored(palette, transparency=2))
    expected = np.where((np.asarray(palette) == 2)[..., np.newaxis], 255, np.asarray(palette.convert('RGB')))
    assert_array_equal(found, expected)


def test_16_bit_gray_is_scaled_not_clipped():
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    found = stored(Image.fromarray(values))
    assert found.mode == 'L'
    assert_array_equal(np.asarray(found), [[0, 1, 128, 255]])


def test_black_and_white_becomes_gray():
    image = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert('1')
    assert_array_equal(np.asarray(stored(image)), [[0, 255], [255, 0]])


def test_cmyk_becomes_rgb(pixels):
    assert stored(Image.fromarray(pixels).convert('CMYK'), 'TIFF').mode == 'RGB'


@pytest.mark.parametrize('orientation, turn', [(1, lambda x: x), (3, lambda x: x[::-1, ::-1]), (2, lambda x: x[:, ::-1]),
                                               (6, lambda x: np.rot90(x, -1)), (8, np.rot90)])
def test_the_exif_tag_turns_the_picture_upright(pixels, orientation, turn):
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    assert_array_equal(np.asarray(stored(image, exif=exif)), turn(pixels))


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'WEBP', 'TIFF', 'GIF'])
def test_damaged_files_are_value_errors(pixels, kind):
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((64, 64)).save(buffer, kind)
    data, random = buffer.getvalue(), np.random.RandomState(0)
    for _ in range(40):
        damaged = bytearray(data[:random.randint(len(data))])
        if damaged:
            damaged[random.randint(len(damaged))] ^= 1 << random.randint(8)
        try:
            assert decode(io.BytesIO(damaged)).mode in ('L', 'RGB')  # The damage may lie where nobody looks.
        except ValueError as error:
            assert str(error).startswith(('is not an image', 'cannot be read as an image'))


def test_cropping_keeps_the_centre():
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 6))
    assert_array_equal(np.asarray(fit_square(image, 2, 'crop')), [[2, 3], [8, 9]])


def test_padding_keeps_all_and_adds_black():
    image = Image.new('L', (8, 4), 255)
    found = np.asarray(fit_square(image, 8, 'pad'))
    assert_array_equal(found, np.repeat([0, 255, 0], [2, 4, 2])[:, np.newaxis].repeat(8, axis=1))


def test_stretching_fills_the_square():
    assert np.asarray(fit_square(Image.new('L', (8, 4), 255), 16, 'stretch')).min() == 255


def test_a_picture_that_is_not_square_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match='is 8x4, not square; choose --fit=crop, --fit=pad or --fit=stretch'):
        fit_square(Image.new('L', (8, 4)), 8, 'error')


def test_squares_are_resized_with_lanczos(pixels):
    image = Image.fromarray(pixels).resize((32, 32))
    for fit in ('error', 'crop', 'pad', 'stretch'):
        expected = np.asarray(image.resize((8, 8), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
        assert_array_equal(to_planes(fit_square(image, 8, fit)), expected)
