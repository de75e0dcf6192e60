import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from places import GOLDENS

from data.tfrecords import Dataset
from networks.progan import Generator
from pictures.pictures import grid_pixels, save_png, screen_grid, tile
from serving.generate import to_uint8
from training.grid import Grid, grid_reals


@pytest.mark.parametrize('name, resolution, size', [
    ('1080p', 1024, (3, 2)), ('1080p', 256, (7, 4)), ('1080p', 128, (15, 8)), ('1080p', 32, (32, 32)),
    ('4k', 1024, (7, 4)), ('4k', 256, (15, 8)), ('4k', 64, (32, 32)),
    ('8k', 1024, (7, 4)), ('8k', 512, (15, 8)), ('8k', 128, (32, 32))])
def test_grids_fill_the_screen_within_limits(name, resolution, size):
    assert screen_grid(name, resolution) == size


@pytest.mark.parametrize('resolution', [16, 256])
def test_pixels_of_a_grid_are_those_of_its_picture_with_captions(resolution):
    columns, rows = screen_grid('1080p', resolution)
    images = np.zeros([columns * rows, resolution, resolution, 1], np.uint8)
    assert grid_pixels('1080p', resolution) == tile(images, (columns, rows), ['a'] * len(images)).size


def test_network_output_is_rounded_half_to_even_and_clipped():
    values = np.array([-2, -1, 0, 1, 2, 1 / 255, -1 / 255], np.float32)
    assert_array_equal(to_uint8(values), [0, 0, 128, 255, 255, 128, 127])
    assert_array_equal(to_uint8((np.array([0.5, 1.5, 2.5], np.float32) - 127.5) / 127.5), [0, 2, 2])


def test_stylegans_pictures_round_halves_up_as_its_reference_does():
    golden = np.load(GOLDENS / 'stylegan' / 'metrics.npz')
    assert_array_equal(to_uint8(golden['uint8/x'], half_up=True), golden['uint8/out'])
    assert np.any(to_uint8(golden['uint8/x']) != golden['uint8/out'])


def test_tiles_go_row_by_row():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones([1, 2, 2, 1], np.uint8)
    picture = tile(images, (3, 2))
    assert_array_equal(picture[::2, ::2, 0], [[0, 1, 2], [3, 4, 0]])


def test_captions_stand_above_their_images_once_for_neighbours():
    images = np.zeros([5, 40, 40, 3], np.uint8)
    images[:4] = 50
    picture = tile(images, (3, 2), ['cat', 'cat', 'dog', 'dog', 'cow'])
    assert picture.shape == (2 * 52, 120, 3)
    rows = picture.reshape(2, 52, 120, 3)
    assert_array_equal(rows[:, 12:].reshape(80, 120, 3), tile(images, (3, 2)))
    inked = rows[:, :12].any(axis=(1, 3)).reshape(2, 3, 40).any(axis=2)  # [row, column]
    assert_array_equal(inked, [[True, False, True], [True, True, False]])
    assert_array_equal(rows[0, :12, 80:], rows[1, :12, :40])  # "dog".
    assert tile(images[..., :1], (3, 2), ['cat'] * 5).shape == (104, 120, 1)


def test_the_grids_of_a_data_set_with_names_have_captions(data_dir):
    dataset = Dataset(data_dir / 'blobs')
    dataset.class_names = ['red', 'green', 'blue', 'white']
    grid = Grid(Generator(16, label_size=4, fmap_base=64, fmap_max=8, seed=0), dataset, '1080p', 'row_per_class', 1)
    assert grid.captions[:64] == ['red'] * 32 + ['green'] * 32
    assert grid.reals.shape == grid.fakes(2).shape == (32 * 28, 512, 3)
    assert_array_equal(grid.reals[:12], grid.fakes(0)[:12])


def test_row_per_class_shows_one_class_in_each_row(data_dir):
    dataset = Dataset(data_dir / 'blobs')
    images, labels = grid_reals(dataset, (5, 6), 'row_per_class', np.random.RandomState(0))
    classes = labels.argmax(axis=1).reshape(6, 5)
    assert_array_equal(classes, np.repeat([[0], [1], [2], [3], [0], [1]], 5, axis=1))
    assert images.shape == (30, 3, 16, 16)


def test_a_grid_is_the_same_for_the_same_seed_and_fades_with_lod(data_dir):
    dataset = Dataset(data_dir / 'blobs')
    Gs = Generator(16, label_size=4, fmap_base=64, fmap_max=8, seed=0)
    grids = [Grid(Gs, dataset, '1080p', 'random', seed) for seed in (1, 1, 2)]
    pictures = [grid.fakes(0.5) for grid in grids]
    assert_array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    assert pictures[0].shape == grids[0].reals.shape == (512, 512, 3)
    first = to_uint8(Gs.generate(grids[0].latents[:1], grids[0].labels[:1], lod=0.5))[0]
    assert np.max(np.abs(pictures[0][:16, :16].astype(int) - first)) <= 1


@pytest.mark.parametrize('channels, mode', [(1, 'L'), (3, 'RGB')])
def test_pictures_are_saved_as_they_are(tmp_path, channels, mode):
    picture = np.random.RandomState(0).randint(256, size=[4, 6, channels]).astype(np.uint8)
    save_png(picture, tmp_path / 'picture.png')
    with Image.open(tmp_path / 'picture.png') as saved:
        assert saved.mode == mode and np.array_equal(np.asarray(saved).reshape(picture.shape), picture)
    assert [path.name for path in tmp_path.iterdir()] == ['picture.png']
