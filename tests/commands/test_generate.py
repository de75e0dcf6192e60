import json
import os
import re
import subprocess
import sys
import unicodedata

import imageio_ffmpeg
import numpy as np
import PIL.Image
import pytest
import small_vgg16
from reference_pickles import tiny

import runs
from data.tfrecords import Dataset
from metrics.nearest import nearest
from networks.snapshot import save_snapshot
from official.load import load_official
from pictures import videos
from serving.generate import generate_images
from serving.latents import captions_of, labels_of, load_array, of_rows, of_seeds, parse_classes, parse_integers, walk


@pytest.fixture(scope='module')
def pkl(tmp_path_factory):
    """An official .pkl of 4 classes at 16x16, saved at lod 0.5."""
    path = tmp_path_factory.mktemp('generate') / 'official.pkl'
    path.write_bytes(tiny(resolution=16, label_size=4, lod=0.5)[0])
    return path


def test_lists_of_numbers():
    assert parse_integers('0-3,7') == [0, 1, 2, 3, 7]
    for text in ('', 'a', '3-', '-1', '5-2', '1;2', '99999999999'):
        with pytest.raises(ValueError, match='numbers|number'):
            parse_integers(text)


def test_rows_are_the_rows_of_one_large_draw():
    whole = np.random.RandomState(1000).randn(1000, 17).astype(np.float32)
    np.testing.assert_array_equal(of_rows(1000, [477, 56, 83], 17), whole[[477, 56, 83]])


def test_a_seed_means_one_latent_whatever_its_company():
    expected = np.random.RandomState(5).randn(1, 9).astype(np.float32)
    np.testing.assert_array_equal(of_seeds([3, 5], 9)[1:], expected)


def test_walks_are_smooth_closed_and_normalized():
    latents = walk(60, 3, 512, smoothing=5, seed=1)
    np.testing.assert_allclose(np.mean(np.square(latents), axis=-1), 1, rtol=1e-5)
    steps = np.linalg.norm(latents - np.roll(latents, 1, axis=0), axis=-1)  # The first step closes the circle.
    assert steps.max() < 0.3 * np.sqrt(512) and steps[0].max() < 2 * steps[1:].mean()
    far = np.linalg.norm(latents - np.roll(latents, 30, axis=0), axis=-1)
    assert far.mean() > 1.2 * np.sqrt(512)  # Almost orthogonal: the walk goes somewhere.


def test_classes_out_of_range_and_labels_without_use_are_explained():
    with pytest.raises(ValueError, match='Class 10 is out of range; .* 0 to 9'):
        labels_of([3, 10], 10)
    with pytest.raises(ValueError, match='trained without labels'):
        labels_of([0], 0)


@pytest.mark.parametrize('text, numbers', [
    ('cat', [1]), ('3, 0-1', [3, 0, 1]), ('dog,cat , 2', [2, 1, 2]), ('7', [3]), ('a, b', [0]),
    (unicodedata.normalize('NFD', 'caf\xe9'), [4])])
def test_classes_are_numbers_or_names(text, numbers):
    assert parse_classes(text, ['a, b', 'cat', 'dog', '7', 'caf\xe9']) == numbers


@pytest.mark.parametrize('text, names, sentence', [
    ('cet', ['zebra', 'cat', 'car'], "There is no class 'cet'; the nearest of 3 names: cat."),
    ('x', ['zebra', 'cat', 'dog', 'cow'], "There is no class 'x'; the nearest of 4 names: zebra, cat, dog."),
    ('cat', None, "'cat' is no number of a class, and this network has no names of classes; give numbers, "),
    ('-1', None, "'-1' is no number of a class, and this"), ('3-', ['cat'], "'3-' is not a list of numbers"),
])
def test_classes_that_are_not_there_are_named_with_the_nearest(text, names, sentence):
    with pytest.raises(ValueError, match=f'^{re.escape(sentence)}'):
        parse_classes(text, names)


def test_only_labels_of_one_class_have_captions():
    assert captions_of(np.eye(2)[[1, 0]], ['cat', 'dog']) == ['dog', 'cat']
    for labels, names in (np.eye(2), None), (np.full([2, 2], 0.5), ['cat', 'dog']), (np.ones([2, 2]), ['cat', 'dog']):
        assert captions_of(labels, names) is None


def test_latent_files_are_never_unpickled(tmp_path):
    path = str(tmp_path / 'latents.npy')
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match='not a .npy file of numbers'):
        load_array(path, 'latents')
    with pytest.raises(FileNotFoundError, match='no file'):
        load_array(path + 'x', 'latents')


def test_training_videos_linger_at_the_start_and_show_what_existed():
    moments = videos.training_moments(1000, 5, time_warp=1.5)
    np.testing.assert_allclose(moments, 1000 * np.array([0, 0.25, 0.5, 0.75, 1]) ** 1.5)
    np.testing.assert_array_equal(videos.latest_before(moments, [100, 200, 650, 1000]), [0, 0, 1, 1, 3])


@pytest.mark.parametrize('extension', ['.mp4', '.webp', '.gif'])
def test_videos_hold_every_frame(tmp_path, extension):
    path = str(tmp_path / f'video{extension}')
    frames = np.zeros([7, 32, 48, 1], np.uint8)
    for i in range(7):
        frames[i, :, 6 * i:] = 255
    videos.save_video(iter(frames), path, fps=10)
    if extension == '.mp4':
        reader = imageio_ffmpeg.read_frames(path)
        assert next(reader)['size'] == (48, 32)
        decoded = [np.frombuffer(frame, np.uint8).reshape(32, 48, 3)[:, :, :1] for frame in reader]
    else:
        with PIL.Image.open(path) as image:
            decoded = []
            for i in range(image.n_frames):
                image.seek(i)
                decoded.append(np.asarray(image.convert('RGB'))[:, :, :1])
    assert np.mean(np.abs(np.stack(decoded).astype(int) - frames)) < 10  # Encoders lose a little at edges.
    assert os.listdir(tmp_path) == [f'video{extension}']


def test_a_failing_video_leaves_nothing_behind(tmp_path):
    def frames():
        yield np.zeros([16, 16, 3], np.uint8)
        raise ValueError('broken')
    with pytest.raises(ValueError, match='broken'):
        videos.save_video(frames(), str(tmp_path / 'video.mp4'), fps=10)
    assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match=r'\.mp4, \.webp, \.gif'):
        videos.save_video([], 'video.avi', fps=10)


@pytest.mark.parametrize('extension', ['.webp', '.gif'])
def test_animations_take_their_time_also_where_frames_are_equal(tmp_path, extension):
    path = str(tmp_path / f'video{extension}')
    frames = np.zeros([60, 16, 16, 3], np.uint8)
    frames[::3] = 200
    videos.save_video(iter(frames), path, fps=30)
    with PIL.Image.open(path) as image:
        durations = []
        for i in range(image.n_frames):
            image.seek(i)
            image.load()
            durations.append(image.info['duration'])
    assert sum(durations) == 2000 and len(durations) == 40  # Equal frames are one.


def test_snapshots_are_timed_by_the_ticks_around_them(tmp_path):
    assert videos.training_times(tmp_path, [5]) is None
    (tmp_path / 'stats.jsonl').write_text('{"nimg": 4032, "total_sec": 60.0}\n{"nimg": 8064, "total_sec": 100.0}\n{"ni')
    np.testing.assert_allclose(videos.training_times(tmp_path, [0, 4032, 6048, 8064]), [0, 60, 80, 100])


def test_nearest_finds_a_copy_by_pixels_and_a_darker_copy_by_features(data_dir):
    dataset = Dataset(data_dir / 'blobs')
    copies = dataset.read(0, np.array([40, 3]))
    by_pixels, _ = nearest(copies, dataset, k=3, minibatch=10)
    np.testing.assert_array_equal(by_pixels[:, 0], [40, 3])
    _, by_features = nearest(copies // 4 + 60, dataset, k=3, minibatch=10)
    np.testing.assert_array_equal(by_features[:, 0], [40, 3])
    images = dataset.read(0, np.arange(64)).reshape(64, -1) / 255
    distances = np.square(images[[40, 3], None] - images).sum(-1)
    np.testing.assert_array_equal(by_pixels, np.argsort(distances, kind='stable')[:, :3])


# Runs several commands in one process: starting TensorFlow takes longer than any of them.
_COMMANDS = """
import json, sys, generate
from absl.testing import flagsaver
for arguments in json.loads(sys.argv[1]):
    with flagsaver.flagsaver():
        generate.main(generate.FLAGS(['generate.py', *arguments]))
"""


@pytest.fixture(scope='module')
def made(pkl, goldens, data_dir, tmp_path_factory):
    """A folder with the output of one run of every command."""
    folder = tmp_path_factory.mktemp('made')
    np.save(folder / 'latents.npy', np.load(goldens / 'pickles' / 'network_theano_wscale_run.npz')['latents'])
    runs.create(folder / 'results', 'test')
    run_dir = folder / 'results' / '000-test'
    runs.save_config(run_dir, '{}')
    snapshot = load_official(pkl)
    for nimg, path in ((1000, runs.snapshot_path(run_dir, 1000)), (4000, runs.final_path(run_dir))):
        save_snapshot(path, snapshot.G, snapshot.D, snapshot.Gs, nimg=nimg)
    (run_dir / 'stats.jsonl').write_text('{"nimg": 4000, "total_sec": 60.0}\n')
    network = f'--network={pkl}'
    (folder / 'vgg16.pkl').write_bytes(small_vgg16.official(small_vgg16.random_weights()[0]))
    commands = [
        ['images', f'--network={goldens / "pickles" / "network_theano_wscale.pkl"}',
         f'--latents={folder / "latents.npy"}', f'--out={folder / "golden.npz"}'],
        ['images', network, '--seeds=2,7', '--class=3', f'--out={folder / "a" / "b"}'],
        ['grid', network, '--seeds=0-4', f'--out={folder / "grid.jpg"}'],
        ['grid', network, '--seeds=0-4', '--scale=1', '--gap=0', '--nocaptions', f'--out={folder / "plain"}'],
        ['images', network, '--seeds=0-2', f'--nearest={data_dir / "blobs"}', f'--out={folder / "sheet.png"}'],
        ['images', network, '--seeds=0-1', f'--nearest={data_dir / "blobs"}', '--nearest_features=vgg',
         f'--vgg16={folder / "vgg16.pkl"}', f'--out={folder / "of_vgg16.png"}'],
        ['video', network, '--grid=2x1', '--duration=1', '--fps=5', '--smoothing=0.1', f'--out={folder / "walk.gif"}'],
        ['training_video', '--network=latest', f'--results_dir={folder / "results"}', '--duration=1', '--fps=8',
         '--grid=8x4', f'--out={folder / "training.gif"}']]
    done = subprocess.run([sys.executable, '-c', _COMMANDS, json.dumps(commands)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_images_of_an_official_network_equal_the_references(made, goldens):
    golden = np.load(goldens / 'pickles' / 'network_theano_wscale_run.npz')['images_uint8']
    difference = np.abs(np.load(made / 'golden.npz')['images'].transpose(0, 3, 1, 2).astype(int) - golden)
    assert difference.max() <= 1 and (difference > 0).mean() <= 0.001


def test_images_are_those_of_their_seeds_class_and_stored_lod(pkl, made):
    Gs = load_official(pkl, names=('Gs',)).Gs
    expected, = generate_images(Gs, of_seeds([2, 7], Gs.latent_size), np.eye(4)[[3, 3]], lod=0.5)
    for name, image in zip(('seed0002.png', 'seed0007.png'), expected, strict=True):
        np.testing.assert_array_equal(np.asarray(PIL.Image.open(made / 'a' / 'b' / name)), image)


@pytest.mark.parametrize('name, frames, size', [
    # Images of 16 pixels are shown at 64, 4 pixels apart, with lines of text of 15 pixels.
    ('grid.jpg', 1, (3 * 68 + 4, 2 * (15 + 68) + 4)), ('plain.png', 1, (3 * 16, 2 * 16)),
    ('sheet.png', 1, (11 * 68 + 4, 15 + 4 + 3 * (15 + 68) + 4)),
    ('of_vgg16.png', 1, (11 * 68 + 4, 15 + 4 + 2 * (15 + 68) + 4)), ('walk.gif', 5, (2 * 68 + 4, 68 + 4)),
    ('training.gif', 2, (8 * 68 + 4, 4 * 68 + 4 + 33))])  # GIF merges equal frames: one for each snapshot.
def test_grids_sheets_and_videos_have_their_size(made, name, frames, size):
    with PIL.Image.open(made / name) as image:
        assert (getattr(image, 'n_frames', 1), image.size) == (frames, size)


def test_user_errors_are_one_sentence(pkl, run_command, tmp_path):
    np.save(tmp_path / 'wide.npy', np.zeros([2, 5]))
    done = run_command('generate.py', 'images', f'--network={pkl}', f'--latents={tmp_path / "wide.npy"}', '--out=x')
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert done.stderr.endswith('generate.py: The latents have shape [2, 5]; this network needs [N, 4].\n')


def test_a_grid_by_hand_is_the_networks_images_side_by_side(pkl, made):
    Gs = load_official(pkl, names=('Gs',)).Gs
    classes = [np.random.RandomState(seed).randint(4) for seed in range(5)]
    images, = generate_images(Gs, of_seeds(range(5), Gs.latent_size), np.eye(4)[classes], lod=0.5)
    picture = np.asarray(PIL.Image.open(made / 'plain.png'))
    np.testing.assert_array_equal(picture[16:32, 16:32], images[4])


# Runs one command that is to fail before TensorFlow is imported.
_EARLY = """
import sys
sys.argv = sys.argv[1:]
sys.path.insert(0, '.')
import runpy
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
finally:
    assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules, 'slow'
"""


@pytest.mark.parametrize('arguments, told', [
    ('generate.py images --seed=5 --network=NET --out=OUT', "images has no flag --seed; did you mean '--seeds'?"),
    ('generate.py grid --sedes=5 --network=NET --out=OUT', "there is no flag --sedes; did you mean '--seeds'?"),
    ('generate.py images --seeds=5- --network=NET --out=OUT', "'5-' is not a list of numbers"),
    ('generate.py images --seeds=0,0 --network=NET --out=OUT', 'seed0000 was asked for twice'),
    ('generate.py images --seeds=0-4294967294 --network=NET --out=OUT', 'are more than 10000000 numbers'),
    ('generate.py images --truncation=nan --network=NET --out=OUT', '--truncation=nan is not possible'),
    ('generate.py image --network=NET --out=OUT', "did you mean 'images'?"),
    ('generate.py grid --grid=6x5 --seeds=0-23 --network=NET --out=OUT/x', 'needs more than 24 images, but 24 were'),
    ('generate.py images --network=17 --results_dir=OUT --out=OUT', "There is no run '17'"),
    ('generate.py images --network=OUT --out=OUT', 'is no run folder, which has a config.json'),
    ('generate.py images --network=OUT/none.pkl --out=OUT', 'There is no file'),
    ('generate.py images --network=NET --seeds=1 --out=OLD', 'exists already; give another name, or --overwrite'),
    ('generate.py grid --network=NET --out=OLD/x', 'is a file, so there can be no folder'),
    ('generate.py grid --network=NET --out=OUT/x.tiff', 'ends in .tiff; use .png, .jpg, .webp, or no ending.'),
    ('generate.py images --network=NET --out=OUT --nearest_resolution=8', 'has no meaning without --nearest.'),
    ('generate.py images --network=NET --out=OUT --nearest=OUT --vgg16=OLD', 'no meaning without --nearest_features=vgg.'),
    ('generate.py images --network=NET --out=OUT --nearest=OUT --nearest_features=vgg --vgg16=OUT/x', 'give --vgg16'),
    ('generate.py training_video --network=latest --results_dir=OUT --out=OUT/x', "There is no run 'latest'"),
    ('train.py --config=celebahq --data_dir=OUT', "celebahq' does not exist; create it with: python dataset_tool.py create"),
    ('train.py --cluster=slurm', 'SLURM_JOB_ID is not set'),
    ('train.py --config=digits,tiny', "'tiny'"), ('train.py --resume=17 --results_dir=OUT', "There is no run '17'"),
    ('evaluate.py --run=17 --results_dir=OUT --metrics=fid', "There is no run '17'"),
    ('evaluate.py --fake=OUT/none --metrics=fid', 'There is no'),
    ('export.py --network=NET --out=OLD', 'is a file, so there can be no folder'),
    ('export.py --network=17 --results_dir=OUT --out=OUT', "There is no run '17'"),
    ('import_official.py NET OLD.h5', 'exists already'),
    ('serve_client.py --seeds=x --out=OUT', "'x' is not a list of numbers"),
])
def test_errors_are_told_before_tensorflow_is_imported(pkl, run_command, tmp_path, arguments, told):
    for old in ('old.png', 'old.png.h5'):
        (tmp_path / old).write_bytes(b'old')
    arguments = arguments.replace('NET', str(pkl)).replace('OLD', str(tmp_path / 'old.png')).replace('OUT', str(tmp_path))
    done = run_command('-c', _EARLY, *arguments.split())
    assert done.returncode == 1 and told in done.stderr and 'Traceback' not in done.stderr, done.stderr
    assert done.stderr.count('\n') == 1 and (tmp_path / 'old.png').read_bytes() == b'old'


@pytest.mark.parametrize('arguments, there, absent', [
    ('generate.py grid --help', '--[no]captions', '--fps'), ('generate.py --help', 'training_video', '--fps'),
    ('dataset_tool.py display --help', '--start', '--shards'), ('dataset_tool.py create_lsun --help', '--shards', '--start'),
    ('evaluate.py --help', '--metrics', '--verbosity'), ('export.py --help', '--freeze', '--verbosity')])
def test_help_explains_what_was_asked_for(run_command, arguments, there, absent):
    done = run_command(*arguments.split())
    assert done.returncode == 0 and there in done.stdout and absent not in done.stdout
