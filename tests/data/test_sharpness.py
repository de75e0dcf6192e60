"""The frequency criterion on two real photographs and on drawn faces, sharp and degraded."""
import io

import numpy as np
import PIL.Image
import PIL.ImageFilter
import pytest
from sklearn.datasets import load_sample_images

from data import toyfaces
from data.sharpness import sharpness


def sources():
    china, flower = (PIL.Image.fromarray(photo[:426, 100:526]) for photo in load_sample_images().images)
    yield from (('china', china), ('flower', flower))
    for index, size in (3, 400), (7, 900):
        yield f'face{index}', toyfaces.draw(index)[0].crop((0, 0, size, size))


def resized(image, size):
    return image.resize((size, size), PIL.Image.Resampling.LANCZOS)


def recoded(image, quality):
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=quality)
    return PIL.Image.open(file)


def halftoned(image, period):
    """Black dots on white, in a screen turned by 45 degrees."""
    y, x = np.mgrid[:image.height, :image.width] * (2 * np.pi / period / np.sqrt(2))
    threshold = 127.5 + 63.75 * (np.cos(x + y) + np.cos(x - y))
    return PIL.Image.fromarray(np.uint8(np.asarray(image) > threshold[:, :, np.newaxis]) * 255)


DEGRADATIONS = {
    'blurred by 1': lambda image: image.filter(PIL.ImageFilter.GaussianBlur(1)),
    'blurred by 3': lambda image: image.filter(PIL.ImageFilter.GaussianBlur(3)),
    'of half the resolution': lambda image: resized(image.reduce(2), image.width),
    'coded into blocks': lambda image: recoded(image, quality=5),
    'of large pixels': lambda image: image.reduce(4).resize(image.size, PIL.Image.Resampling.NEAREST),
    'half-toned, fine': lambda image: halftoned(image, 4),
    'half-toned, coarse': lambda image: halftoned(image, 8),
    'half-toned, faintly': lambda image: PIL.Image.blend(image, halftoned(image, 6), 0.3),
}


def grade(image):
    """As in CelebA-HQ, where most photographs are enlarged to 1024."""
    return sharpness(np.asarray(resized(image, 1024)).transpose(2, 0, 1))


@pytest.mark.parametrize('name, image', sources(), ids=lambda value: value if isinstance(value, str) else '')
def test_sharp_ranks_over_blurred_blocky_and_halftoned(name, image):
    sharp = grade(image)
    assert [what for what, degrade in DEGRADATIONS.items() if grade(degrade(image)) >= sharp] == []


def test_grade_falls_steadily_with_blur():
    image = PIL.Image.fromarray(load_sample_images().images[1][:426, 100:526])
    grades = [grade(image.filter(PIL.ImageFilter.GaussianBlur(radius))) for radius in (0, 0.5, 1, 2, 4, 8)]
    assert grades == sorted(grades, reverse=True)


def test_grade_does_not_depend_on_contrast_or_orientation():
    image = load_sample_images().images[1][:426, 100:526].transpose(2, 0, 1)
    assert sharpness(np.uint8(image // 2)) == pytest.approx(sharpness(image), rel=0.03)
    assert sharpness(image.transpose(0, 2, 1)) == pytest.approx(sharpness(image), rel=0.01)


def test_an_image_without_content_grades_lowest():
    assert sharpness(np.full([3, 64, 64], 77, np.uint8)) == 0
