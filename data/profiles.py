"""Colour profiles: pixels as an embedded ICC profile means them -> sRGB."""
import functools
import io

import numpy as np
from PIL import Image, ImageCms

_MODES = {'RGB ': 'RGB', 'GRAY': 'L', 'CMYK': 'CMYK'}  # Of a profile's colour space.
_NEAR = 2  # Levels between a profile and sRGB below which it is sRGB as another program wrote it.


def to_srgb(image, profile):
    """Converts a Pillow image of mode L, RGB or CMYK by the bytes of its ICC profile. -> mode L or RGB.

    A profile that is damaged or belongs to other kinds of pixels changes nothing, as in browsers; nor does sRGB itself.
    """
    mode, transform = _transform(profile)
    if mode is None or mode != image.mode and (image.mode, mode) != ('L', 'RGB'):
        return image
    gray = image.mode == 'L'
    if transform:
        image = ImageCms.applyTransform(image.convert(mode), transform)
    return image.convert('L') if gray else image


@functools.lru_cache(maxsize=64)
def _transform(profile):
    """The mode of the pixels that a profile belongs to, None where it cannot be used; the way to sRGB if it differs."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(profile.profile.xcolor_space)
        if mode is None:
            return None, None
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile('sRGB'), mode, 'RGB')
    except (ImageCms.PyCMSError, OSError):
        return None, None
    if mode == 'CMYK':
        return mode, transform
    steps = np.arange(0, 256, 17, dtype=np.uint8)
    colours = np.stack(np.meshgrid(*[steps] * (3 if mode == 'RGB' else 1), indexing='ij'), axis=-1).reshape(1, -1, len(mode))
    colours = Image.fromarray(colours.squeeze(axis=2) if mode == 'L' else colours)
    moved = np.asarray(ImageCms.applyTransform(colours, transform), int) - np.asarray(colours.convert('RGB'))
    return mode, transform if np.abs(moved).max() > _NEAR else None
