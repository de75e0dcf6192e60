"""Cartoon faces as coloured polygons, in face coordinates: the head's radius is 1, its centre (0, 0), y points down."""
import colorsys
import math
from dataclasses import dataclass

import numpy as np

_EYES = ((-0.36, -0.15), (0.36, -0.15))
_NOSE, _MOUTH = (0.0, 0.2), 0.5
# How far before the centre of the head its parts lie: by so much more they move when it turns.
_HAIR, _SKIN, _HAT, _FEATURES, _GLASSES, _NOSE_TIP = -0.2, 0.1, 0.1, 0.7, 0.75, 1.0


@dataclass(frozen=True)
class Face:
    """What a face looks like. Angles in radians, lengths in radii of the head, colours RGB from 0 to 255."""
    yaw: float
    pitch: float
    width: float          # Of the head.
    length: float         # From its centre to the chin.
    hair_style: str       # One of _HAIR_STYLES.
    fringe: float         # How far the hair reaches down the forehead; 0: not at all.
    hat: str              # One of _HATS.
    glasses: str          # One of _GLASSES_STYLES.
    smile: float          # How much higher the corners of the mouth are than its middle.
    mouth_open: float
    brows: float          # How high they are raised.
    beard: bool
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    clothes: np.ndarray
    hat_colour: np.ndarray
    frame: np.ndarray     # Of the glasses.


_HAIR_STYLES, _HATS, _GLASSES_STYLES = ('short', 'long', 'curly', 'none'), ('none', 'cap', 'tall'), ('none', 'clear', 'dark')


def random_face(random):
    """A face by a NumPy generator."""
    return Face(
        yaw=random.uniform(-0.5, 0.5), pitch=random.uniform(-0.25, 0.25),
        width=random.uniform(0.72, 0.88), length=random.uniform(0.9, 1.1),
        hair_style=random.choice(_HAIR_STYLES, p=(0.35, 0.35, 0.2, 0.1)),
        fringe=random.choice([0, random.uniform(0.1, 0.4)]),
        hat=random.choice(_HATS, p=(0.65, 0.2, 0.15)), glasses=random.choice(_GLASSES_STYLES, p=(0.65, 0.2, 0.15)),
        smile=random.uniform(-0.1, 0.2), mouth_open=max(random.uniform(-0.08, 0.14), 0), brows=random.uniform(-0.03, 0.08),
        beard=random.random() < 0.15,
        skin=np.array([235, 185, 150]) * random.uniform(0.4, 1.05) + random.normal(0, 5, 3),
        hair=_colour(random, (0, 0.15), (0.2, 0.9), (0.1, 0.95)), iris=_colour(random, (0, 1), (0.3, 0.8), (0.2, 0.6)),
        lips=_colour(random, (-0.06, 0.04), (0.4, 0.8), (0.4, 0.85)), clothes=random_colour(random),
        hat_colour=random_colour(random), frame=_colour(random, (0, 1), (0, 1), (0, 0.5)))


def random_colour(random):
    """Any colour but a dull one."""
    return _colour(random, (0, 1), (0.3, 1), (0.25, 1))


def _colour(random, hue, saturation, value):
    return 255 * np.array(colorsys.hsv_to_rgb(random.uniform(*hue) % 1, random.uniform(*saturation), random.uniform(*value)))


def landmarks(face):
    """Left eye, right eye, nose, left and right corner of the mouth. float [5, 2]"""
    mouth = _turned(face, [(x, _MOUTH - face.smile / 2) for x in (-0.3, 0.3)], _FEATURES)
    return np.concatenate([_turned(face, _EYES, _FEATURES), _turned(face, [_NOSE], _NOSE_TIP), mouth])


def back(face):
    """What is behind the face: hair, neck, shoulders. Yields (points [n, 2], colour), to be drawn in this order."""
    if face.hair_style == 'long':
        yield _turned(face, [(-1, -0.3), (1, -0.3), (1.1, 1.4), (-1.1, 1.4)], _HAIR), face.hair
    yield np.array([(-0.35, 0.5), (0.35, 0.5), (0.4, 1.6), (-0.4, 1.6)]), face.skin * 0.8
    yield ellipse(0, 2.1, 1.5, 0.8), face.clothes
    if face.hair_style == 'curly':
        for direction in np.linspace(math.pi - 0.5, 2 * math.pi + 0.5, 9):
            yield _turned(face, ellipse(math.cos(direction), math.sin(direction) - 0.15, 0.35, 0.35), _HAIR), face.hair
    if face.hair_style != 'none':
        yield _turned(face, ellipse(0, -0.15, 1.0, 1.15), _HAIR), face.hair


def front(face):
    """The face and what is before it. Yields (points [n, 2], colour), to be drawn in this order."""
    yield _turned(face, ellipse(0, 0.05, face.width, face.length), _SKIN), face.skin
    if face.beard:
        yield _turned(face, _arc(0, 0.05, face.width, face.length, 0.15, math.pi - 0.15), _SKIN), face.hair
        yield _turned(face, ellipse(0, 0.15, 0.6, 0.35), _FEATURES), face.skin
    if face.fringe and face.hair_style != 'none':
        top = _arc(0, 0.05, face.width, face.length, math.pi + 0.5, 2 * math.pi - 0.5)
        yield _turned(face, np.concatenate([top, [(0, -0.75 + face.fringe)]]), _SKIN), face.hair
    for x, y in _EYES:
        yield from _eye(face, x, y)
    yield np.concatenate([_turned(face, [(0, -0.1)], _FEATURES), _turned(face, [(0.1, 0.2), (-0.1, 0.2)], _NOSE_TIP)]), (
        face.skin * 0.75)
    yield from _mouth(face)
    if face.glasses != 'none':
        yield from _glasses(face)
    if face.hat != 'none':
        yield from _hat(face)


def _eye(face, x, y):
    for width, height, colour in (0.17, 0.1, (250, 250, 250)), (0.08, 0.08, face.iris), (0.04, 0.04, (10, 10, 10)):
        yield _turned(face, ellipse(x, y, width, height), _FEATURES), colour
    y -= face.brows
    brow = [(x - 0.2, y - 0.18), (x, y - 0.26), (x + 0.2, y - 0.18), (x, y - 0.2)]
    yield _turned(face, brow, _FEATURES), face.hair * 0.7


def _mouth(face):
    x = np.linspace(-0.3, 0.3, 13)
    middle = _MOUTH + face.smile * (0.5 - (x / 0.3) ** 2)
    for thickness, colour in (0.05, face.lips), (0, (60, 10, 20)):
        half = (face.mouth_open + thickness) * (1 - (x / 0.31) ** 2)
        if half.max() > 0.01:
            edge = np.concatenate([np.stack([x, middle - half], axis=1), np.stack([x, middle + half], axis=1)[::-1]])
            yield _turned(face, edge, _FEATURES), colour


def _glasses(face):
    for x, y in _EYES:
        outer, inner = (_turned(face, ellipse(x, y, size, size), _GLASSES) for size in (0.3, 0.24))
        if face.glasses == 'dark':
            yield outer, face.frame
        else:  # A ring, open at one point.
            yield np.concatenate([outer, outer[:1], inner[:1], inner[::-1]]), face.frame
    yield _turned(face, [(-0.1, -0.2), (0.1, -0.2), (0.1, -0.12), (-0.1, -0.12)], _GLASSES), face.frame


def _hat(face):
    rim = -0.62
    if face.hat == 'cap':
        yield _turned(face, _arc(0, rim, 1.02, 0.75, math.pi, 2 * math.pi), _HAT), face.hat_colour
        yield _turned(face, ellipse(0, rim, 0.75, 0.12), _NOSE_TIP), face.hat_colour * 0.7
    else:
        yield _turned(face, ellipse(0, rim, 1.35, 0.16), _HAT), face.hat_colour * 0.7
        yield _turned(face, [(-0.8, rim), (0.8, rim), (0.75, -1.8), (-0.75, -1.8)], _HAT), face.hat_colour


def _turned(face, points, depth):
    """Where points of the head, `depth` before its centre, are when it turns. [n, 2] -> [n, 2]"""
    return np.asarray(points) * (math.cos(face.yaw), math.cos(face.pitch)) + (
        depth * math.sin(face.yaw), depth * math.sin(face.pitch))


def rgb(colour):
    """A colour as Pillow takes it."""
    return tuple(min(max(int(v), 0), 255) for v in colour)


def ellipse(x, y, width, height, directions=None):
    """Points of an ellipse about (x, y), all around or in some directions, from 0, right, over pi / 2, down. [n, 2]"""
    circle = _CIRCLE if directions is None else np.stack([np.cos(directions), np.sin(directions)], axis=1)
    return circle * (width, height) + (x, y)


def _arc(x, y, width, height, start, end):
    return ellipse(x, y, width, height, np.linspace(start, end, 32))


_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * math.pi, 64)), np.sin(np.linspace(0, 2 * math.pi, 64))], axis=1)
