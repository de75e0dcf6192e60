"""CelebA-HQ's geometry and pixels against the reference's: tests/goldens/celebahq, made with Pillow 13."""
import io
import json

import numpy as np
import PIL
import PIL.Image
import pytest
import scipy.ndimage
from numpy.testing import assert_array_equal
from places import GOLDENS

from data import celebahq, deltas, faces

CELEBAHQ = GOLDENS / 'celebahq'
PER_IMAGE = json.loads((CELEBAHQ / 'per_image.json').read_text())
FACES = faces.open_faces(CELEBAHQ / 'celeba', expected_images=0)
DELTAS = deltas.read_deltas(CELEBAHQ / 'deltas', FACES.names)
same_pillow = pytest.mark.skipif(PIL.__version__.split('.')[0] != '13', reason='md5s of Pillow 13')


def jpeg_of(delta):
    return (CELEBAHQ / 'celeba' / 'img_celeba' / delta.orig_file).read_bytes()


@pytest.fixture(scope='module')
def aligned():
    return [celebahq.align(jpeg_of(delta), FACES.landmarks[delta.orig_idx]) for delta in DELTAS]


@pytest.mark.parametrize('delta', DELTAS, ids=lambda delta: delta.orig_file)
def test_geometry_equals_the_golden_at_every_step(delta):
    golden = PER_IMAGE[str(delta.idx)]
    quad, zoom = celebahq.face_quad(FACES.landmarks[delta.orig_idx])
    view = celebahq.View(celebahq.decode(jpeg_of(delta)), quad, zoom)
    assert (list(view.image.size), view.quad.tolist(), view.zoom) == (
        golden['orig_size'], golden['quad_initial'], golden['zoom_initial'])
    view = celebahq.crop(celebahq.shrink(view))
    left, top, right, bottom = golden['crop']
    assert view.image.size == (right - left, bottom - top)
    assert (view.border, view.quad.tolist()) == (golden['border'], golden['quad_after_crop'])
    view = celebahq.pad(celebahq.supersample(view))
    assert (list(view.image.size), view.quad.tolist(), view.zoom) == (
        golden['size_before_transform'], golden['quad_final'], golden['zoom_final'])


@same_pillow
def test_aligned_images_have_the_recorded_md5(aligned):
    assert [deltas.md5(image) for image in aligned] == [delta.proc_md5 for delta in DELTAS]


@same_pillow
def test_published_images_have_the_recorded_md5(aligned):
    for delta, image in zip(DELTAS, aligned, strict=True):
        published, exact = deltas.publish(image, jpeg_of(delta), delta)
        assert exact and deltas.md5(published) == delta.final_md5


def test_fft_blur_equals_the_gaussian_filter_of_scipy_to_the_bit():
    random = np.random.default_rng(1)
    for height, width, sigma in (300, 211, 20.3), (40, 500, 42.4), (7, 5, 22.0):
        plane = np.float32(random.integers(0, 256, (height, width)))
        assert_array_equal(celebahq.gaussian_blur(plane, sigma), scipy.ndimage.gaussian_filter(plane, sigma))


def upright(x, y, e):
    """Landmarks of an upright face: e from eye to eye, the middle of the eyes at (x, y)."""
    shape = [(-1 / 2, 0), (1 / 2, 0), (0, 1 / 2), (-1 / 3, 1), (1 / 3, 1)]
    return np.float32(np.array(shape) * e + (x, y))


def jpeg(width, height, mode='RGB'):
    random = np.random.default_rng(0)
    image = PIL.Image.fromarray(random.integers(0, 256, (4, 5, 3), np.uint8))
    file = io.BytesIO()
    image.resize((width, height)).convert(mode).save(file, 'JPEG')
    return file.getvalue()


@pytest.mark.parametrize('angle', [0.0, 0.7, -1.4, 3.0])
def test_quad_turns_with_the_face(angle):
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = np.array([100.5, 80.5])  # Pixel coordinates gain half a pixel.
    landmarks = upright(100, 80, 40)
    quad, zoom = celebahq.face_quad(landmarks)
    turned, turned_zoom = celebahq.face_quad(np.float32((landmarks + 0.5 - centre) @ rotation + centre - 0.5))
    np.testing.assert_allclose(turned, (quad - centre) @ rotation + centre, atol=1e-3)
    assert turned_zoom == pytest.approx(zoom, rel=1e-5)


def test_gray_and_cmyk_jpegs_are_converted_to_rgb():
    for mode in 'L', 'CMYK':
        assert celebahq.decode(jpeg(60, 50, mode)).mode == 'RGB'


def test_a_corner_of_a_picture_one_pixel_wide_still_gives_an_image():
    assert celebahq.align(jpeg(1, 30), upright(1, 5, 8)).shape == (3, 1024, 1024)


@pytest.mark.parametrize('landmarks, message', [
    (np.float32([(50, 40), (50, 40), (50, 50), (40, 60), (60, 60)]), 'both eyes are at'),
    (upright(500, 40, 30), 'outside its 120x100 pixels'),
    (upright(-50, 40, 30), 'outside its 120x100 pixels'),
    (upright(50, 40, 0.25), 'less than 2 pixels'),
    (np.float32([(45, 40), (55, 40), (50, 40), (40.5, 40.5), (60.5, 40.5)]) * [1, np.nan], 'not all finite'),
    (np.float32([(45, 40), (55, 40), (50, 40), (50, 30), (50, 30)]), 'less than 2 pixels'),  # e = rot90(m)
])
def test_landmarks_that_cannot_be_are_refused(landmarks, message):
    with pytest.raises(ValueError, match=message):
        celebahq.align(jpeg(120, 100), np.float32(landmarks))


def test_truncated_and_foreign_files_are_refused():
    for data in jpeg(120, 100)[:-200], b'no image', b'':
        with pytest.raises(ValueError, match='cannot be decoded'):
            celebahq.align(data, upright(60, 50, 30))


def test_a_file_of_too_many_pixels_is_refused_unread():
    buffer = io.BytesIO()
    PIL.Image.new('1', (20000, 10000)).save(buffer, 'PNG')
    with pytest.raises(ValueError, match='cannot be decoded .20000x10000 pixels, 178956970 are allowed.;.'):
        celebahq.decode(buffer.getvalue())
