"""Projection: its formulas against NumPy, its search alone, in company and taken up again, and the command."""
import math

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from reference_pickles import tiny, tiny_stylegan, tiny_stylegan2

import project
from official.load import load_official
from serving import projection
from serving.projection import PixelDistance, Projection, WSpace, ZSpace, noise_regularizer, normalized, space_of


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """{kind: path} of official files of small networks."""
    folder = tmp_path_factory.mktemp('networks')
    contents = {'stylegan': tiny_stylegan()[0], 'stylegan2': tiny_stylegan2()[0],
                'progan': tiny(resolution=16, label_size=2)[0]}
    for name, content in contents.items():
        (folder / f'{name}.pkl').write_bytes(content)
    return {name: folder / f'{name}.pkl' for name in contents}


@pytest.fixture(scope='module', params=['stylegan', 'stylegan2'])
def Gs(request, files):
    return load_official(files[request.param], ['Gs']).Gs


def noise_regularizer_by_loops(x):
    total = 0.0
    while True:
        r = len(x)
        total += sum(x[i, j] * x[i, j - 1] for i in range(r) for j in range(r)) ** 2 / r ** 4
        total += sum(x[i, j] * x[i - 1, j] for i in range(r) for j in range(r)) ** 2 / r ** 4
        if r <= 8:
            return total
        x = x.reshape(r // 2, 2, r // 2, 2).mean(axis=(1, 3))


def test_the_regularizer_of_noise_is_that_of_a_loop():
    maps = [np.random.RandomState(size).randn(2, size, size, 1).astype(np.float32) + 0.3 for size in (4, 8, 32)]
    expected = [sum(noise_regularizer_by_loops(x[i, :, :, 0].astype(float)) for x in maps) for i in range(2)]
    assert_allclose(noise_regularizer(map(tf.constant, maps)), expected, rtol=1e-4)


def test_noise_is_normalized_map_by_map():
    maps = normalized(tf.constant(np.random.RandomState(0).randn(3, 8, 8, 1) * 5 + 2, tf.float32)).numpy()
    assert_allclose(maps.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    assert_allclose(maps.std(axis=(1, 2, 3)), 1, rtol=1e-5)


def test_the_schedule_is_that_of_the_paper():
    rate, strength = projection.learning_rate, projection.strength
    assert [rate(t) for t in (0, 0.025, 0.05, 0.5, 0.75)] == pytest.approx([0, 0.05, 0.1, 0.1, 0.1])
    assert rate(0.875) == pytest.approx(0.05) and rate(0.999) == pytest.approx(0.1 * (0.5 - 0.5 * math.cos(math.pi * 0.004)))
    assert [strength(t) for t in (0, 0.375, 0.75, 0.9)] == pytest.approx([0.05, 0.0125, 0, 0])


def test_a_search_starts_at_the_mean_of_w(Gs):
    space, latents = WSpace(Gs), np.random.RandomState(123).randn(10000, Gs.latent_size).astype(np.float32)
    w = Gs.map(latents).numpy()[:, 0]
    assert_allclose(space.mean, w.mean(axis=0), atol=1e-5)
    assert_allclose(space.deviation, np.sqrt(np.square(w - w.mean(axis=0)).sum() / 10000), rtol=1e-4)
    assert space.noise_sizes == [4, 4, 8, 8][:Gs.num_layers] if Gs.kind == 'stylegan' else [4, 8, 8, 16, 16]


class Identity:
    """A space whose image is the point itself."""
    noise_sizes, deviation = [], 2.0

    def start(self, distance, target, count):
        return np.zeros([count, 4], np.float32)

    def images(self, points, noise):
        return tf.reshape(points, [-1, 2, 2, 1])


def test_its_steps_are_those_of_adam_at_the_moved_points():
    target, steps = np.array([[10, 90], [180, 250]], np.uint8)[None, :, :, None], 40
    found = Projection(Identity(), PixelDistance(), target, [[3, 0]], steps)
    point, mean, square = np.zeros(4), np.zeros(4), np.zeros(4)
    for step in range(steps):
        found.advance()
        t = step / steps
        moved = point + 2.0 * projection.strength(t) * np.random.RandomState([3, 0, step]).randn(4)
        gradient = 2 / 4 * (moved * 127.5 + 127.5 - target.ravel()) / 255 * 127.5 / 255
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient ** 2
        rate = projection.learning_rate(t) * math.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        point = point - rate * mean / (np.sqrt(square) + 1e-8)
        assert_allclose(found.points[0], point, rtol=1e-3, atol=1e-4)
    assert np.abs(point).max() > 0.5


class Seen(PixelDistance):
    """Notes the shapes of what it is to compare."""

    def __init__(self):
        self.shapes = set()

    def describe(self, images):
        self.shapes.add(tuple(images.shape[1:]))
        return super().describe(images)


class Enlarged(Identity):
    def images(self, points, noise):
        return tf.repeat(tf.repeat(super().images(points, noise), 256, axis=1), 256, axis=2)


def test_what_is_compared_is_box_filtered_to_256_pixels():
    distance, targets = Seen(), np.zeros([1, 512, 512, 1], np.uint8)
    targets[:, :256] = 200
    found = Projection(Enlarged(), distance, targets, [[0]], 10)
    found.advance()
    assert distance.shapes == {(256, 256, 1)}
    expected = np.mean(np.square((127.5 + 127.5 * found.points - [[200, 200, 0, 0]]) / 255))
    assert_allclose(found.distances(), expected, rtol=1e-5)


def test_files_of_one_name_get_folders_of_their_own():
    assert project.names_of(['a.png', 'b/a-3.png', 'c/a.jpg', 'd/a.png', 'a-2.png']) == ['a', 'a-3', 'a-2', 'a-4', 'a-2-2']


def targets(Gs, count):
    return np.random.RandomState(1).randint(256, size=[count, Gs.resolution, Gs.resolution, 3]).astype(np.uint8)


def test_each_image_is_searched_for_as_if_alone(Gs):
    space, images = space_of(Gs), targets(Gs, 3)
    together = Projection(space, PixelDistance(), images, [[0, i] for i in range(3)], 30)
    alone = Projection(space, PixelDistance(), images[1:2], [[0, 1]], 30)
    first = alone.distances()
    for _ in range(10):
        found = together.advance()[1], *alone.advance()
    assert_allclose(found[0], found[1], rtol=1e-3)
    assert_allclose(together.noise[0][1], alone.noise[0][0], atol=1e-2)
    assert alone.distances() < first


def test_a_search_that_is_taken_up_goes_on_bit_for_bit(Gs):
    def fresh():
        return Projection(WSpace(Gs), PixelDistance(), targets(Gs, 2), [[0, 0], [0, 1]], 12)

    whole, half, resumed = fresh(), fresh(), fresh()
    for search, steps in (whole, 12), (half, 7):
        for _ in range(steps):
            search.advance()
    resumed.restore(half.state())
    assert resumed.step == 7
    for _ in range(5):
        resumed.advance()
    for key, array in whole.state().items():
        assert_array_equal(resumed.state()[key], array, err_msg=key)


def test_without_w_the_search_is_in_z_from_the_nearest_of_many(files):
    Gs = load_official(files['progan'], ['Gs']).Gs
    space = space_of(Gs, np.array([0.0, 1.0]))
    assert isinstance(space, ZSpace)
    random = np.random.RandomState(123)
    latents = random.randn(1000, Gs.latent_size).astype(np.float32)
    labels = np.tile(np.float32([0, 1]), [1000, 1])
    images = Gs.generate(latents, labels).numpy()
    target = np.clip(np.rint(images[[77]] * 127.5 + 127.5), 0, 255).astype(np.uint8)
    found = Projection(space, PixelDistance(), target, [[0]], 10)
    assert_allclose(found.points[0], latents[77])


def test_the_command_projects_resumes_and_says_how_near(files, run_command, tmp_path):
    def project(out, *more, **kwargs):
        return run_command('project.py', f'--network={files["stylegan2"]}', f'--out={tmp_path / out}', '--distance=pixels',
                           '--steps=20', '--num_snapshots=2', *more, **kwargs)

    done = project('whole', '--seeds=0-1', '--minibatch=1')
    assert done.returncode == 0, done.stderr
    assert '\n2 images: on average ' in done.stdout
    for name in 'seed0000', 'seed0001':
        assert {path.name for path in (tmp_path / 'whole' / name).iterdir()} == {
            'target.png', 'projection.png', 'projection.mp4', 'step0010.png', 'step0020.png', 'w.npy', 'noise.npz',
            'projection.json'}
        assert f'{name}: pixels 0.' in done.stdout
    w = np.load(tmp_path / 'whole' / 'seed0001' / 'w.npy')
    assert w.shape == (1, 6, 5) and (w == w[:, :1]).all()
    assert {path.name for path in (tmp_path / 'whole').iterdir()} == {'seed0000', 'seed0001', 'lock'}

    # As if it had been stopped in the second image: the first is there, and a state of the second.
    assert project('whole', '--seeds=0-1').returncode == 1  # Files that exist.
    for path in (tmp_path / 'whole' / 'seed0001').iterdir():
        path.unlink()
    done = project('whole', '--seeds=0-1', '--resume', '--minibatch=1')
    assert done.returncode == 0 and 'seed0000' not in done.stdout and '1 of 2 images are projected already' in done.stderr
    assert_array_equal(np.load(tmp_path / 'whole' / 'seed0001' / 'w.npy'), w)
    done = project('whole', '--seeds=0-1', '--resume', '--seed=3')
    assert done.returncode == 1 and 'seed0000 holds what was found for another image' in done.stderr


@pytest.mark.parametrize('arguments, sentence', [
    ('', 'What should be projected? Name image files, or a --dataset, or --seeds; one of them.'),
    ('--seeds=0 a.png', 'What should be projected?'),
    ('none.png', "'none.png' does not exist; give image files."),
    ('.', 'is a folder; give image files.'),
    ('--seeds=1,1', 'seed0001 was asked for twice'),
    ('wide.png', 'wide is RGB, 16x8; this network makes RGB images of 16x16: give it that size'),
    ('gray.png', 'gray is gray, 16x16; this network makes RGB images of 16x16'),
    ('text.png', "text.png' is not an image"),
    ('--seeds=0 --num_images=3', 'has no meaning without --dataset'),
    ('--seeds=0 --lpips=none.pkl', 'has no meaning without --distance=lpips'),
    ('--dataset=none', 'There is no none; give --dataset what exists.'),
    ('--seeds=0 --class=1', 'was trained without labels')])
def test_what_cannot_be_projected_is_refused_in_a_sentence(files, run_command, tmp_path, arguments, sentence):
    for name, mode, size in ('wide', 'RGB', (16, 8)), ('gray', 'L', (16, 16)):
        PIL.Image.new(mode, size).save(tmp_path / f'{name}.png')
    (tmp_path / 'text.png').write_text('text')
    there = {path.name for path in tmp_path.iterdir()}
    given = [str(tmp_path / part) if (tmp_path / part).exists() and part else part for part in arguments.split()]
    done = run_command('project.py', f'--network={files["stylegan2"]}', f'--out={tmp_path / "out"}', '--distance=pixels',
                       *given)
    assert done.returncode == 1 and sentence in done.stderr and 'Traceback' not in done.stderr, done.stderr
    assert {path.name for path in tmp_path.iterdir()} - {'out'} == there
