"""Image files to pixels: any mode and size that Pillow reads -> uint8 [C, R, R]."""
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError


def decode(file):
    """Reads an image file (a path or a file object) as a Pillow image of mode L or RGB, upright by its EXIF tag.

    Transparent parts become white; 16-bit gray is scaled to 8 bits. Raises a ValueError that says what is wrong.
    """
    try:
        with Image.open(file) as image:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _to_8_bits(image)
    except UnidentifiedImageError:
        raise ValueError('is not an image, or of a kind that Pillow does not know') from None
    except Exception as error:  # Pillow raises many kinds for damaged files, SyntaxError too.
        raise ValueError(f'cannot be read as an image ({error})') from error


def _to_8_bits(image):
    if image.mode in ('L', 'RGB', 'P') and 'transparency' in image.info:
        image = image.convert('LA' if image.mode == 'L' else 'RGBA')
    if image.mode in ('L', 'RGB'):
        return image
    if image.mode.startswith('I'):  # Gray of 16 bits; Pillow's own conversion clips instead of scaling.
        return Image.fromarray(np.rint(np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
    if image.mode in ('LA', 'La', 'RGBA', 'RGBa', 'PA'):
        return _on_white(image).convert('L' if image.mode in ('LA', 'La') else 'RGB')
    if image.mode == 'F':
        raise ValueError('its pixels are floating-point numbers, whose black and white are not known')
    return image.convert('L' if image.mode == '1' else 'RGB')


def _on_white(image):
    image = image.convert('RGBA')
    return Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)


def fit_square(image, resolution, fit):
    """Makes a Pillow image a square of `resolution`, by Lanczos filtering where its size changes.

    `fit` says what to do where it is not square: 'crop' to the centre, 'pad' with black, 'stretch', or 'error'.
    """
    width, height = image.size
    if width != height and fit == 'error':
        raise ValueError(f'is {width}x{height}, not square; choose --fit=crop, --fit=pad or --fit=stretch')
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
