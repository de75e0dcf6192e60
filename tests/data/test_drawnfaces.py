"""Drawn faces: aligned, varied, a function of seed and number."""
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data import celebahq, drawing
from data.drawnfaces import alignment, draw, drawn_faces


@pytest.fixture(scope='module')
def faces():
    return [drawing.random_face(np.random.default_rng(i)) for i in range(200)]


def test_aligning_a_drawn_picture_again_changes_nothing(faces):
    """The quad of CELEBA-HQ's method, placed by the landmarks in the picture, is the picture."""
    for face in faces[:20]:
        axes, origin = alignment(face)
        quad, zoom = celebahq.face_quad(np.float32((drawing.landmarks(face) @ axes + origin) * 256 - 0.5))
        assert_allclose(quad, [(0, 0), (0, 256), (256, 256), (256, 0)], atol=1e-2)
        assert zoom == pytest.approx(4, rel=1e-4)


def test_eyes_are_drawn_where_the_landmarks_are():
    """White around a dark pupil, in a face from the front without glasses."""
    index = next(i for i in range(200) if (face := drawing.random_face(np.random.default_rng([0, i]))).glasses == 'none'
                 and abs(face.yaw) < 0.1)
    image = draw(index, 256).max(axis=0)
    axes, origin = alignment(drawing.random_face(np.random.default_rng([0, index])))
    for point in drawing.landmarks(drawing.random_face(np.random.default_rng([0, index])))[:2]:
        x, y = np.int64((point @ axes + origin) * 256)
        assert image[y, x] < 60 and image[y, x - 12] > 200 and image[y, x + 12] > 200


def test_faces_differ_in_every_feature(faces):
    for name, choices in ('hair_style', 4), ('hat', 3), ('glasses', 3), ('beard', 2):
        assert len({getattr(face, name) for face in faces}) == choices
    for name in 'yaw', 'pitch', 'width', 'length', 'fringe', 'smile', 'mouth_open', 'brows':
        assert len({getattr(face, name) for face in faces}) > 50
    pictures = np.stack([draw(i, 8) for i in range(50)]) / 255
    assert pictures.std(axis=0).min() > 0.05


def test_a_face_depends_on_seed_and_number_only():
    source = drawn_faces(num_images=3, resolution=16, seed=1)
    assert (len(source.items), source.resolution, source.num_channels) == (3, 16, 3)
    assert_array_equal(source.load(2), draw(2, 16, seed=1))
    assert not np.array_equal(draw(2, 16, seed=1), draw(2, 16)) and not np.array_equal(draw(2, 16), draw(1, 16))


def test_resolutions_show_the_same_face():
    fine = draw(5, 64).reshape(3, 16, 4, 16, 4).mean(axis=(2, 4))
    assert np.abs(fine - draw(5, 16)).mean() < 4


@pytest.mark.parametrize('wrong, message', [({'num_images': 0}, 'expected 1 to'), ({'resolution': 24}, 'a power of two'),
                                            ({'resolution': 2048}, 'from 4 to 1024'), ({'seed': -1}, '0 or more')])
def test_wrong_numbers_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        drawn_faces(**wrong)
