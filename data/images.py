"""Image files to pixels: any mode and size that Pillow reads -> uint8 [C, R, R]."""
import numpy as np
from absl import logging
from PIL import Image, ImageOps, UnidentifiedImageError

from data.profiles import to_srgb

MAX_PIXELS = 2 * Image.MAX_IMAGE_PIXELS  # Where Pillow begins to refuse.
Image.MAX_IMAGE_PIXELS = None  # decode has a limit of its own, which can be moved.

# No others: EPS would start Ghostscript, WMF draws on Windows, IPTC holds files of any kind, some decode nothing.
FORMATS = ('AVIF', 'BLP', 'BMP', 'CUR', 'DCX', 'DDS', 'DIB', 'FLI', 'FTEX', 'GBR', 'GIF', 'HEIF',
           'ICNS', 'ICO', 'IM', 'JPEG', 'JPEG2000', 'MPO', 'MSP', 'PCX', 'PIXAR', 'PNG', 'PPM', 'PSD',
           'QOI', 'SGI', 'SPIDER', 'SUN', 'TGA', 'TIFF', 'WEBP', 'XBM', 'XPM')

_KEY_SCALES = {'1': 255, 'L;2': 85, 'L;4': 17, 'RGB;16B': 1 / 257}  # What Pillow scales pixels by, but not their key.


def decode(file, max_pixels=None):
    """Reads an image file (a path or a file object) as a Pillow image of mode L or RGB in sRGB, upright by its EXIF tag.

    Transparent parts become white; 16-bit gray is scaled to 8 bits; the first picture of several is taken. Raises a
    ValueError that says what is wrong, for example more pixels than `max_pixels`, by default MAX_PIXELS.
    """
    try:
        Image.init()
        image = Image.open(file, formats=[kind for kind in FORMATS if kind in Image.OPEN])
    except UnidentifiedImageError:
        raise ValueError('is not an image, or of a kind that Pillow does not know.') from None
    except Exception as error:  # Pillow raises many kinds for damaged files, SyntaxError too.
        raise ValueError(f'cannot be read as an image ({error}).') from error
    with image:
        pixels, limit = image.width * image.height, max_pixels or MAX_PIXELS
        if pixels > limit:
            raise ValueError(f'has {pixels} pixels, {limit} are allowed; if that is right, give --max_pixels={pixels}.')
        if image.mode == 'F' or image.mode == 'I' and image.format != 'PPM':  # Which Pillow scales to 16 bits.
            kind = 'floating-point numbers' if image.mode == 'F' else 'integers of 32 bits'
            raise ValueError(f'has pixels that are {kind}, whose black and white are not known; save it with 8 or 16 bits.')
        try:
            tile = str(image.tile[0].args) if image.tile else None  # Known until it is loaded.
            black, white = _range_of_gray(image)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            if tile == 'LA;16B':  # Which Pillow makes RGBA.
                image = image.convert('LA')
            return _to_8_bits(image, _KEY_SCALES.get(tile, 1), black, white)
        except Exception as error:
            raise ValueError(f'cannot be read as an image ({error}).') from error


def _range_of_gray(image):
    """The values of black and white in an image of 16-bit gray: TIFF files may hold 12 bits, and 0 for white."""
    tags = getattr(image, 'tag_v2', {})
    most = 4095 if tags.get(258) == (12,) else 65535
    return (most, 0) if tags.get(262) == 0 else (0, most)


def _to_8_bits(image, key_scale, black, white):
    """Any mode -> L or RGB."""
    profile, alpha = image.info.get('icc_profile'), None
    if image.mode == 'P':
        image = image.convert('RGBA' if image.has_transparency_data else 'RGB')
    if image.mode in ('La', 'RGBa', 'PA'):
        image = image.convert('LA' if image.mode == 'La' else 'RGBA')
    if image.mode in ('LA', 'RGBA'):
        alpha = image.getchannel('A')
        image = image.convert('RGB' if image.mode == 'RGBA' else 'L')
    elif 'transparency' in image.info:  # One colour, in PNG files.
        pixels = np.asarray(image.convert('L') if image.mode == '1' else image)
        seen = pixels != np.rint(np.multiply(image.info['transparency'], key_scale))
        alpha = Image.fromarray(np.uint8(255) * (seen.any(axis=-1) if seen.ndim == 3 else seen))
    if image.mode.startswith('I'):
        gray = (np.asarray(image) - float(black)) / (white - black) * 255
        image = Image.fromarray(np.rint(gray).clip(0, 255).astype(np.uint8))
    if image.mode == '1':
        image = image.convert('L')
    if profile:
        image = to_srgb(image, profile)
    if image.mode not in ('L', 'RGB'):
        image = image.convert('RGB')
    return Image.composite(image, Image.new(image.mode, image.size, 'white'), alpha) if alpha else image


def warn_if_dark(path, brightest):
    """Says what may be wrong where the `brightest` pixel of a set is below an eighth of the range."""
    if brightest < 32:
        logging.warning("no pixel of '%s' is brighter than %d of 255; if the pictures hold 12 bits in 16, scale them first",
                        path, brightest)


def fit_square(image, resolution, fit):
    """Makes a Pillow image a square of `resolution`, by Lanczos filtering where its size changes.

    `fit` says what to do where it is not square: 'crop' to the centre, 'pad' with black, 'stretch', or 'error'.
    """
    width, height = image.size
    if width != height and fit == 'error':
        raise ValueError(f'is {width}x{height}, not square; choose --fit=crop, --fit=pad or --fit=stretch.')
    size = (resolution, resolution)
    if fit == 'crop':
        image = crop_square(image)
    if fit == 'pad':
        return ImageOps.pad(image, size, Image.Resampling.LANCZOS)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def crop_square(image):
    """The centred square of a Pillow image."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def to_planes(image):
    """Pixels of a Pillow image of mode L or RGB: uint8 [C, H, W]."""
    pixels = np.asarray(image)
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
