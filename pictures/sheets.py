"""Sheets: images side by side for people, enlarged, with gaps, captions and headings."""
import functools

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

SMALL = 128            # Pixels below which people want to see images larger and apart.
_PAPER, _INK = 40, 255


def default_scale(side, least=64):
    """How many times to enlarge images of `side` pixels: to `least` and more."""
    return -(-least // side)


def default_gap(side):
    """Pixels between images of `side` pixels: none between those that the reference, too, puts side by side."""
    return 4 if side < SMALL else 0


def enlarge(images, scale):
    """Repeats pixels. [N, H, W, C] -> [N, scale * H, scale * W, C]"""
    return images.repeat(scale, axis=1).repeat(scale, axis=2) if scale > 1 else images


def sheet(images, columns, captions=None, headings=None, scale=1, gap=0):
    """Images in rows of `columns`. uint8 [N, h, w, C] -> uint8 [H, W, C]

    `captions` are N texts above the images, `headings` {column: text}, each as wide as the columns up to the next one; what
    has no room is cut short. There is a gap around the sheet too.
    """
    images = enlarge(images, scale)
    n, h, w, channels = images.shape
    columns, rows = min(columns, n), -(-n // columns)
    width = columns * (w + gap) + gap
    left = [gap + column * (w + gap) for column in range(columns)]
    size = int(np.clip(w // 6, 10, 24))
    space = np.full([gap, width, channels], _PAPER, np.uint8)
    parts = [space]
    if headings:
        ends = [*list(headings)[1:], columns]
        places = {(left[start], end * (w + gap) - left[start]): text
                  for (start, text), end in zip(headings.items(), ends, strict=True)}
        parts += [strip(places, width, size, channels), space]
    for row in range(rows):
        some = slice(row * columns, (row + 1) * columns)
        if captions:
            places = {(x, w): text for x, text in zip(left, captions[some], strict=False)}
            parts.append(strip(places, width, size, channels))
        line = np.full([h, width, channels], _PAPER, np.uint8)
        for x, image in zip(left, images[some], strict=False):
            line[:, x:x + w] = image
        parts += [line, space]
    return np.concatenate(parts)


def strip(texts, width, size, channels):
    """A line of texts of `size` pixels, each in the middle of its room. {(x, room): text} -> uint8 [H, width, channels]"""
    picture = PIL.Image.new('L', (width, size + size // 2), _PAPER)
    draw, font = PIL.ImageDraw.Draw(picture), _font(size)
    for (x, room), text in texts.items():
        draw.text((x + room // 2, size), fitting(text, room, font), _INK, font, anchor='ms')
    return np.repeat(np.asarray(picture)[:, :, None], channels, axis=2)


def fitting(text, room, font):
    """As much of a text as has room, in pixels, with dots where it is cut short."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f'{text}..') > room:
        text = text[:-1]
    return f'{text}..' if text else ''


@functools.cache
def _font(size):
    return PIL.ImageFont.load_default(size)
