import io
import struct
import zlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageCms

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
    with pytest.raises(ValueError, match='has pixels that are floating-point numbers'):
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


def test_16_bit_files_of_other_kinds_are_scaled_alike():
    header = b'P5 4 1 65535 '
    found = decode(io.BytesIO(header + np.array([0, 257, 32768, 65535], '>u2').tobytes()))
    assert_array_equal(np.asarray(found), [[0, 1, 128, 255]])


def test_tiff_files_say_what_is_black_and_how_many_bits_there_are():
    def tiff(data, bits, black):
        tags = [(256, 4), (257, 1), (258, bits), (259, 1), (262, black), (273, 8), (277, 1), (278, 1), (279, len(data))]
        return b'II*\0' + struct.pack('<I', 8 + len(data)) + data + struct.pack('<H', len(tags)) + b''.join(
            struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags) + bytes(4)

    sixteen = np.array([0, 257, 32768, 65535], '<u2').tobytes()
    assert_array_equal(np.asarray(decode(io.BytesIO(tiff(sixteen, 16, 1)))), [[0, 1, 128, 255]])
    assert_array_equal(np.asarray(decode(io.BytesIO(tiff(sixteen, 16, 0)))), [[255, 254, 127, 0]])
    twelve = bytes.fromhex('000 010 808 fff'.replace(' ', ''))
    assert_array_equal(np.asarray(decode(io.BytesIO(tiff(twelve, 12, 1)))), [[0, 1, 128, 255]])


def test_16_bit_gray_with_transparency_stays_gray():
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    row = b'\0' + np.array([[257, 65535], [65535, 0]], '>u2').tobytes()
    found = decode(io.BytesIO(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 2, 1, 16, 4, 0, 0, 0))
                              + chunk(b'IDAT', zlib.compress(row)) + chunk(b'IEND', b'')))
    assert_array_equal(np.asarray(found), [[1, 255]])


def test_a_transparent_shade_of_any_depth_becomes_white():
    found = stored(Image.fromarray(np.array([[0, 257, 32768, 65535]], np.uint16)), transparency=32768)
    assert_array_equal(np.asarray(found), [[0, 1, 255, 255]])
    black_and_white = Image.fromarray(np.array([[0, 255]], np.uint8)).convert('1')
    assert_array_equal(np.asarray(stored(black_and_white, transparency=0)), [[255, 255]])
    assert_array_equal(np.asarray(stored(black_and_white, transparency=1)), [[0, 255]])
    assert_array_equal(np.asarray(stored(Image.new('RGB', (1, 1), (1, 2, 3)), transparency=(1, 2, 3))), [[[255, 255, 255]]])
    assert_array_equal(np.asarray(stored(Image.new('RGB', (1, 1), (1, 2, 3)), transparency=(1, 2, 4))), [[[1, 2, 3]]])


@pytest.mark.parametrize('depth, key', [(2, 1), (4, 5)])
def test_the_transparent_shade_of_few_bits_is_not_scaled_in_the_file(depth, key):
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    row = {2: 0b00011011, 4: 0x5f}[depth]  # 2 bits: 0, 1, 2, 3; 4 bits: 5, 15.
    width, expected = (4, [0, 255, 170, 255]) if depth == 2 else (2, [255, 255])
    png = (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, 1, depth, 0, 0, 0, 0))
           + chunk(b'tRNS', struct.pack('>H', key)) + chunk(b'IDAT', zlib.compress(bytes([0, row]))) + chunk(b'IEND', b''))
    assert_array_equal(np.asarray(decode(io.BytesIO(png))), [expected])


def test_pixels_of_32_bits_are_refused():
    with pytest.raises(ValueError, match='has pixels that are integers of 32 bits, .*; save it with 8 or 16 bits.'):
        stored(Image.fromarray(np.full([4, 4], 128, np.int32)), 'TIFF')


def test_the_first_picture_of_several_is_taken():
    red, green = Image.new('RGB', (4, 4), (255, 0, 0)), Image.new('RGB', (4, 4), (0, 255, 0))
    for kind in 'GIF', 'WEBP', 'PNG', 'TIFF':
        assert stored(red, kind, save_all=True, append_images=[green], lossless=True).getpixel((0, 0)) == (255, 0, 0)


def profile(*primaries, gamma=2.199, space=b'RGB '):
    """The bytes of an ICC profile of version 2: primaries (XYZ of each, adapted to D50) and one gamma."""
    def xyz(values):
        return b'XYZ \0\0\0\0' + b''.join(struct.pack('>i', round(value * 65536)) for value in values)

    curve = b'curv\0\0\0\0' + struct.pack('>IH', 1, round(gamma * 256)) + b'\0\0'
    tags = {b'desc': b'desc\0\0\0\0' + struct.pack('>I', 5) + b'wide\0' + b'\0' * 78, b'cprt': b'text\0\0\0\0none\0\0\0\0',
            b'wtpt': xyz((.9642, 1, .8249))}
    tags |= {b'kTRC': curve} if not primaries else {}
    for name, values in zip(b'rgb', primaries, strict=False):
        tags |= {bytes([name]) + b'XYZ': xyz(values), bytes([name]) + b'TRC': curve}
    start, table, body = 132 + 12 * len(tags), b'', b''
    for name, data in tags.items():
        data += b'\0' * (-len(data) % 4)
        table += name + struct.pack('>II', start + len(body), len(data))
        body += data
    head = struct.pack('>I4xI', start + len(body), 0x02100000) + b'mntr' + space + b'XYZ '.ljust(16, b'\0') + b'acsp'
    head = head.ljust(68, b'\0') + xyz((.9642, 1, .8249))[8:]
    return head.ljust(128, b'\0') + struct.pack('>I', len(tags)) + table + body


ADOBE = profile((.60974, .31111, .01947), (.20528, .62567, .06087), (.14919, .06322, .74457))
DISPLAY_P3 = profile((.51512, .2412, -.00105), (.29198, .69225, .04189), (.1571, .06657, .78407), gamma=2.2)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'WEBP'])
def test_colours_are_converted_to_srgb(kind):
    green = Image.new('RGB', (4, 4), (60, 200, 60))
    assert stored(green, kind, icc_profile=ADOBE, lossless=True).getpixel((0, 0)) == (0, 201, 37)
    # By the formula: linear P3 -> linear sRGB, clipped, and sRGB's curve.
    to_srgb = np.array([[1.2249, -.2247, 0], [-.0420, 1.0419, 0], [-.0197, -.0786, 1.0979]])
    linear = to_srgb @ (np.array([200, 120, 60]) / 255) ** 2.2
    expected = 255 * np.where(linear <= .0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - .055)
    found = stored(Image.new('RGB', (4, 4), (200, 120, 60)), kind, icc_profile=DISPLAY_P3, lossless=True).getpixel((0, 0))
    assert_allclose(found, expected, atol=1.5)


def test_transparent_pictures_are_converted_before_they_lie_on_white():
    image = Image.new('RGBA', (2, 1), (60, 200, 60, 255))
    image.putpixel((1, 0), (60, 200, 60, 0))
    assert_array_equal(np.asarray(stored(image, icc_profile=ADOBE)), [[(0, 201, 37), (255, 255, 255)]])
    palette = Image.new('RGB', (2, 1), (60, 200, 60)).quantize(2)
    assert stored(palette, icc_profile=ADOBE).getpixel((0, 0)) == (0, 201, 37)


def test_gray_is_converted_by_profiles_of_gray_and_of_colours():
    steps = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    expected = (np.arange(256) / 255) ** 1.8
    expected = 255 * np.where(expected <= .0031308, 12.92 * expected, 1.055 * expected ** (1 / 2.4) - .055)
    colours = profile((.4361, .2225, .0139), (.3851, .7169, .0971), (.1431, .0606, .7139), gamma=1.8)
    for icc in profile(gamma=1.8, space=b'GRAY'), colours:
        found = stored(steps, icc_profile=icc)
        assert found.mode == 'L'
        assert_allclose(np.asarray(found)[0], expected, atol=1.5)


@pytest.mark.parametrize('icc', [SRGB, b'no profile', ADOBE[:200], profile(space=b'GRAY')])
def test_srgb_itself_and_what_is_no_profile_of_the_pixels_change_nothing(pixels, icc):
    assert_array_equal(np.asarray(stored(Image.fromarray(pixels), icc_profile=icc)), pixels)


def test_cmyk_becomes_rgb():
    found = stored(Image.new('CMYK', (16, 16), (0, 255, 255, 0)), 'JPEG', quality=95)
    assert found.mode == 'RGB'
    assert_allclose(found.getpixel((0, 0)), (255, 0, 0), atol=2)


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
