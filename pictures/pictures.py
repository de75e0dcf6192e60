"""Images -> pictures: grids of images, and files that show them."""
import collections
import concurrent.futures
import itertools
import os

import numpy as np
import PIL.Image
import PIL.ImageDraw

from files import replacing

ENDINGS = ('png', 'jpg', 'webp')
SCREENS = {'1080p': (1920, 1080), '4k': (3840, 2160), '8k': (7680, 4320)}
_SMALLEST, _LARGEST = {'1080p': (3, 2), '4k': (7, 4), '8k': (7, 4)}, 32  # Grids.
_CAPTION_HEIGHT = 12  # Pixels.


def screen_grid(name, resolution):
    """(columns, rows) of a grid of images with this resolution for one of SCREENS."""
    return tuple(int(np.clip(pixels // resolution, low, _LARGEST))
                 for pixels, low in zip(SCREENS[name], _SMALLEST[name], strict=True))


def grid_pixels(name, resolution):
    """The pixels of such a grid with captions: a few large images are larger than the screen."""
    columns, rows = screen_grid(name, resolution)
    return columns * resolution * rows * (resolution + _CAPTION_HEIGHT)


def tile(images, size, captions=None):
    """[N, H, W, C] -> one picture [rows * H, columns * W, C], row by row; empty places stay black.

    `captions`, a text for each image, stand above them, once for neighbours of the same text.
    """
    columns, rows = size
    n, h, w, c = images.shape
    canvas = np.zeros([columns * rows, h, w, c], images.dtype)
    canvas[:n] = images[:columns * rows]
    picture = canvas.reshape(rows, columns, h, w, c).transpose(0, 2, 1, 3, 4).reshape(rows, h, columns * w, c)
    if captions:
        strips = np.stack([_strip(captions[i:i + columns], w, columns) for i in range(0, columns * rows, columns)])
        picture = np.concatenate([np.repeat(strips[..., np.newaxis], c, axis=3), picture], axis=1)
    return picture.reshape(-1, columns * w, c)


def _strip(captions, width, columns):
    """The captions of a row of images, as much of each as has room: uint8 [_CAPTION_HEIGHT, columns * width]."""
    strip, x = PIL.Image.new('L', (columns * width, _CAPTION_HEIGHT)), 0
    for caption, run in itertools.groupby(captions):
        part = PIL.Image.new('L', (len([*run]) * width, _CAPTION_HEIGHT))
        PIL.ImageDraw.Draw(part).text((1, 0), caption, fill=255)
        strip.paste(part, (x, 0))
        x += part.width
    return np.asarray(strip)


def pil_image(picture):
    """uint8 [H, W, 1 or 3] -> PIL image."""
    return PIL.Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def ending_of(path):
    """The ending of a path as in ENDINGS, '' if there is none."""
    return os.path.splitext(path)[1].lower().removeprefix('.').replace('jpeg', 'jpg')


def picture_path(path, kind=None):
    """(kind, path) of a picture: of `kind`, or of the path's ending, or PNG; a path without ending gets one."""
    ending = ending_of(path)
    if ending and ending != (kind or ending) or ending not in ('', *ENDINGS):
        raise ValueError(f'{path} ends in .{ending}; use {f".{kind}" if kind else ", ".join(f".{end}" for end in ENDINGS)}, '
                         f'or no ending.')
    kind = kind or ending or 'png'
    return kind, path if ending else f'{path}.{kind}'


def save_png(picture, path):
    """Writes uint8 [H, W, 1 or 3] as a PNG, which appears complete or not at all."""
    save_picture(picture, path, 'png')


def save_picture(picture, path, format):
    """Writes uint8 [H, W, 1 or 3] as 'png', 'jpg' or 'webp', which appears complete or not at all; makes its folder."""
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    options = {'png': {}, 'jpg': {'quality': 95, 'subsampling': 0}, 'webp': {'quality': 95}}[format]
    with replacing(path) as partial:
        pil_image(picture).save(partial, 'jpeg' if format == 'jpg' else format, **options)


def save_all(pictures, paths, kind):
    """Encodes and writes pictures on all cores while the next ones are made."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        writing = collections.deque()
        for picture, path in zip(pictures, paths, strict=True):
            writing.append(pool.submit(save_picture, picture, path, kind))
            if len(writing) > 2 * os.cpu_count():  # Pictures wait in memory.
                writing.popleft().result()
        for job in writing:
            job.result()


def save_npz(path, images):
    """Writes the images as `images` of an .npz file, which appears complete or not at all."""
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with replacing(path) as partial, open(partial, 'wb') as file:
        np.savez_compressed(file, images=images)
