"""Drawn faces as a data set, aligned as CelebA-HQ's are: thousands of small pictures in seconds, without a download."""
import functools

import numpy as np
import PIL.Image
import PIL.ImageDraw

from data import celebahq, drawing
from data.images import to_planes
from data.sources import Source

_FINER = 4  # Pictures are drawn so much larger, for smooth edges.
_PIXELS = 1000  # Of the radius of a head, where the quad is placed.


def drawn_faces(*, num_images=10000, resolution=32, seed=0):
    """Cartoon faces that differ in pose, shape, hair, hat, glasses, mouth and every colour; needs no download."""
    if not 1 <= num_images <= 10 ** 7:
        raise ValueError(f'--num_images={num_images} is not possible; expected 1 to 10000000.')
    if not 4 <= resolution <= 1024 or resolution & (resolution - 1):
        raise ValueError(f'--resolution={resolution} is not possible; expected a power of two from 4 to 1024.')
    if seed < 0:
        raise ValueError(f'--seed={seed} is not possible; expected 0 or more.')
    return Source(resolution, 3, range(num_images), functools.partial(draw, resolution=resolution, seed=seed), heavy=True)


def draw(index, resolution, seed=0):
    """Draws face number `index`: uint8 [3, resolution, resolution]."""
    random = np.random.default_rng([seed, index])
    face, size = drawing.random_face(random), resolution * _FINER
    corners = drawing.random_colour(random) + random.normal(0, 25, [2, 2, 3])
    image = PIL.Image.fromarray(np.uint8(corners.clip(0, 255))).resize((size, size), PIL.Image.Resampling.BICUBIC)
    pen, (axes, origin) = PIL.ImageDraw.Draw(image), (size * part for part in alignment(face))
    for shapes in drawing.back(face), drawing.front(face):
        for points, colour in shapes:
            pen.polygon((points @ axes + origin).ravel().tolist(), drawing.rgb(colour))
    return to_planes(image.reduce(_FINER))


def alignment(face):
    """Where the quad of celebahq.py puts a face: points @ axes [2, 2] + origin [2] are in [0, 1] within the picture."""
    quad, _ = celebahq.face_quad(np.float32(drawing.landmarks(face) * _PIXELS))
    quad = np.float64(quad - np.float32(0.5)) / _PIXELS  # It takes landmarks for the numbers of pixels.
    axes = np.linalg.inv([quad[3] - quad[0], quad[1] - quad[0]])
    return axes, -quad[0] @ axes
