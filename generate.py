"""Makes pictures and videos: `python generate.py images|grid|video|training_video --network=NET --out=PATH`."""
import runtime  # isort: skip (it must come before TensorFlow)

import collections
import concurrent.futures
import contextlib
import functools
import inspect
import itertools
import os

import numpy as np
from absl import flags

import runs
from command_line import Command, check_flags, check_needed
from files import check_new, replacing
from official.locate import find_network
from pictures import videos
from pictures.pictures import ENDINGS, ending_of, picture_path, save_picture, screen_grid
from pictures.sheets import default_gap, default_scale, sheet
from progress import progress
from serving.latents import captions_of, walk
from serving.selection import Selection, select

FLAGS = flags.FLAGS
flags.DEFINE_string('network', None, 'A snapshot .h5, an official .pkl, or a run by folder, number, name or latest.')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_string('out', None, 'Folder or file to write.')
flags.DEFINE_bool('overwrite', False, 'Replace files that exist.')
flags.DEFINE_string('seeds', '0-23', 'One image per seed, e.g. 0-99 or 3,5,8.')
flags.DEFINE_integer('random_state', None, 'Draw all latents from one RandomState of this seed; --rows picks some.')
flags.DEFINE_string('rows', None, 'Which latents of --random_state, e.g. 477,56,83.')
flags.DEFINE_string('latents', None, 'A .npy file of latents [N, latent_size].')
flags.DEFINE_string('labels', None, 'A .npy file of labels [N, label_size].')
flags.DEFINE_string('class', None, 'Classes to show in turn, e.g. 3, 0-9 or cat,dog; without it each seed draws its own.')
flags.DEFINE_float('lod', None, 'Level of detail, 0 = full resolution; default: the one stored in the network.')
flags.DEFINE_float('truncation', None, 'StyleGAN: how far w goes from the average, 1: all the way; default: the network\'s.')
flags.DEFINE_integer('truncation_cutoff', None, 'StyleGAN: truncate so many layers, 0: none; default: the network\'s.')
flags.DEFINE_enum('noise', None, ['stored', 'random', 'none'], 'StyleGAN: which noise; default: stored.')
flags.DEFINE_integer('shrink', 1, 'Box-filter the images down by this factor.')
flags.DEFINE_enum('format', None, [*ENDINGS, 'npz'], 'Kind of pictures; default: the ending of --out, or png.')
flags.DEFINE_integer('minibatch', None, 'Images at once per device; default: 4 at 1024x1024, more below.')
flags.DEFINE_integer('devices', None, 'GPUs to use; default: all.')
flags.DEFINE_string('nearest', None, 'Data set folder: write a sheet of each image and its nearest training images.')
flags.DEFINE_integer('nearest_resolution', 128, 'Compare pixels at this resolution, or at that of the images if lower.')
flags.DEFINE_string('grid', None, 'Images across and down, e.g. 4x3; default: wider than high, 1x1 in video, a screen full '
                    'in training_video.')
flags.DEFINE_integer('scale', None, 'Enlarge each image so many times; default: to 64 pixels if it has fewer.',
                     lower_bound=1)
flags.DEFINE_integer('gap', None, 'Pixels between images; default: 4 if they have fewer than 128 pixels, else 0.',
                     lower_bound=0)
flags.DEFINE_bool('captions', True, 'The class above each image of a network with classes.')
flags.DEFINE_float('duration', 60.0, 'Seconds of video.')
flags.DEFINE_float('fps', 30.0, 'Frames per second.')
flags.DEFINE_float('smoothing', 1.0, 'Seconds (stddev) over which the latent walk is smoothed.')
flags.DEFINE_integer('seed', 1000, 'Seed of the videos\' latents.', lower_bound=0)
flags.DEFINE_float('time_warp', 1.5, 'Training time goes with this power of video time.')

OPTIONS = ('truncation', 'truncation_cutoff', 'noise')  # Flags that only some architectures know.


def main(argv):
    if len(argv) != 2 or argv[1] not in COMMANDS:
        raise ValueError(f'What should be made? Use: generate.py {"|".join(COMMANDS)} --network=NET --out=PATH.')
    check_flags(argv[1], COMMANDS)
    for flag in ('network', 'out'):
        if not FLAGS[flag].value:
            raise ValueError(f'--{flag} is missing; {FLAGS[flag].help[0].lower() + FLAGS[flag].help[1:]}')
    FUNCTIONS[argv[1]]()


def images():
    """One picture per latent into a folder, all of them into one .npz, or a sheet of nearest training images."""
    check_needed('--nearest', FLAGS.nearest, ('nearest_resolution', 'scale', 'gap'))
    chosen, source = selection(), find_network(FLAGS.network, FLAGS.results_dir)
    names = chosen.names()
    if FLAGS.nearest:
        kind, path = picture_file()
        targets = [path]
        if not os.path.isdir(FLAGS.nearest):
            raise FileNotFoundError(f'There is no data set {FLAGS.nearest}; give the folder that dataset_tool.py wrote.')
    else:
        kind, targets = image_files(names)
    for target in targets:
        check_new(target, FLAGS.overwrite)

    Gs = load_Gs(source)
    pictures = itertools.chain.from_iterable(generated(Gs, chosen))
    if FLAGS.nearest:
        save_picture(nearest_sheet(np.stack([*pictures]), names), path, kind)
    elif kind == 'npz':
        save_npz(targets[0], np.stack([*pictures]))
    else:
        save_all(pictures, targets, kind)
    print(f'{targets[0] if len(targets) == 1 else FLAGS.out}: {len(names)} images')


def image_files(names):
    """(kind, paths) of the pictures that --out and --format ask for: one file, or one per name in a folder."""
    ending = ending_of(FLAGS.out)
    is_file = ending in (*ENDINGS, 'npz')
    kind = FLAGS.format or (ending if is_file else 'png')
    if is_file and ending != kind:
        raise ValueError(f'{FLAGS.out} ends in .{ending}, but --format={kind} was asked for; give one of them.')
    if kind == 'npz':
        return kind, [FLAGS.out if is_file else f'{FLAGS.out}.npz']
    if is_file and len(names) > 1:
        raise ValueError(f'{FLAGS.out} is one file, but {len(names)} images were asked for; give a folder, or make a grid.')
    return kind, [FLAGS.out] if is_file else [os.path.join(FLAGS.out, f'{name}.{kind}') for name in names]


def grid():
    """All images in one picture."""
    if FLAGS.format == 'npz' or FLAGS.out.lower().endswith('.npz'):
        raise ValueError('A grid is a picture; use --format=png, jpg or webp, or generate.py images for .npz.')
    chosen, source = selection(), find_network(FLAGS.network, FLAGS.results_dir)
    n = len(chosen.numbers)
    columns, rows = grid_size(n)
    kind, path = picture_file()
    if columns * rows < n:
        raise ValueError(f'A grid of {columns}x{rows} has no room for {n} images.')
    check_new(path, FLAGS.overwrite)

    Gs = load_Gs(source)
    pictures = np.concatenate([*generated(Gs, chosen)])
    captions = class_captions(Gs, chosen) if FLAGS.captions else None
    save_picture(arranged(pictures, columns, captions), path, kind)
    print(f'{path}: {n} images')


def video():
    """A walk through latent space."""
    path, source = video_file(), find_network(FLAGS.network, FLAGS.results_dir)
    columns, rows = grid_size(1)
    n, num_frames = columns * rows, frame_count()
    shown = start_images(n)
    Gs = load_Gs(source)
    latents = walk(num_frames, n, Gs.latent_size, FLAGS.smoothing * FLAGS.fps, FLAGS.seed).reshape(-1, Gs.latent_size)
    labels = shown.labels(Gs.label_size, Gs.class_names)
    labels = None if labels is None else np.tile(labels, [num_frames, 1])
    moving = Selection('frame', range(len(latents)), given_latents=latents, given_labels=labels)
    pictures = itertools.chain.from_iterable(generated(Gs, moving))
    frames = (arranged(np.stack([*itertools.islice(pictures, n)]), columns) for _ in range(num_frames))
    videos.save_video(frames, path, FLAGS.fps)
    print(f'{path}: {num_frames} frames of {columns}x{rows} images')


def training_video():
    """The same latents through the snapshots of a run."""
    path, run_dir = video_file(), runs.locate(FLAGS.results_dir, FLAGS.network)
    if not runs.snapshots(run_dir):
        raise FileNotFoundError(f'{run_dir} holds no network snapshot yet.')
    given_size, num_frames, _ = grid_size(None), frame_count(), start_images(1)

    load = functools.lru_cache(maxsize=1)(load_Gs)
    snapshots = snapshots_by_nimg(run_dir)
    nimgs = [*snapshots]
    load(snapshots[nimgs[0]])  # What is wrong with it or with the options is told before a frame is made.
    shown = videos.latest_before(videos.training_moments(nimgs[-1], num_frames, FLAGS.time_warp), nimgs)
    seconds = videos.training_times(run_dir, nimgs)

    def frames():
        with progress(total=len(shown), unit='frames') as bar:
            for index, run in itertools.groupby(shown):
                Gs = load(snapshots[nimgs[index]])
                columns, rows = given_size or screen_grid('1080p', sum(places(Gs.resolution // FLAGS.shrink)))
                pictures = np.concatenate([*generated(Gs, start_images(columns * rows), shows_progress=False)])
                lod = Gs.stored_lod if FLAGS.lod is None else FLAGS.lod
                frame = videos.caption(arranged(pictures, columns), nimgs[index], lod,
                                       None if seconds is None else seconds[index])
                for _ in run:
                    yield frame
                    bar.update()
    videos.save_video(frames(), path, FLAGS.fps)
    print(f'{path}: {num_frames} frames of {len(set(shown))} snapshots')


def snapshots_by_nimg(run_dir):
    """{nimg: path} of a run's snapshots, oldest first."""
    from networks.snapshot import load_snapshot
    paths = [path for _, path in runs.snapshots(run_dir)]
    return {load_snapshot(path, names=()).nimg: path for path in paths}


def load_Gs(source):
    """The smoothed generator in a file."""
    from official.locate import load_network, suit_threads
    from serving.generate import check_options
    suit_threads(source)
    Gs = load_network(source, names=('Gs',)).Gs
    check_options(Gs, options())
    return Gs


def options():
    """{name: value} of the flags that only some architectures know."""
    return {name: FLAGS[name].value for name in OPTIONS if FLAGS[name].value is not None}


def selection():
    """The images that the flags ask for."""
    chosen = [name for name in ('latents', 'random_state') if FLAGS[name].value is not None]
    if len(chosen) == 2 or (chosen and FLAGS['seeds'].present):
        raise ValueError('Give one of --seeds, --random_state with --rows, and --latents.')
    check_needed('--random_state', FLAGS.random_state is not None, ('rows',))
    return select(FLAGS.seeds, FLAGS.random_state, FLAGS.rows, FLAGS.latents, *chosen_labels())


def start_images(n):
    """n images of --seed and the numbers that follow."""
    return select(f'{FLAGS.seed}-{FLAGS.seed + n - 1}', None, None, None, *chosen_labels())


def chosen_labels():
    """Classes and labels that are asked for."""
    if FLAGS.labels and FLAGS['class'].value:
        raise ValueError('Give --labels or --class, not both.')
    return FLAGS['class'].value, FLAGS.labels


def class_captions(Gs, chosen):
    """The class of each image by name, or by number where classes have no names; None where labels are no classes."""
    if not Gs.label_size:
        return None
    names = Gs.class_names or [str(number) for number in range(Gs.label_size)]
    return captions_of(chosen.labels(Gs.label_size, Gs.class_names), names)


def generated(Gs, chosen, shows_progress=True):
    """The shared iterator for a Selection, with the flags applied. -> iterator of uint8 [n, H, W, C]"""
    from serving.generate import default_minibatch, first_devices, generate_images
    minibatch = default_minibatch(Gs.resolution) if FLAGS.minibatch is None else FLAGS.minibatch
    batches = generate_images(Gs, chosen.latents(Gs.latent_size),
                              chosen.labels(Gs.label_size, Gs.class_names), FLAGS.lod, minibatch, FLAGS.shrink,
                              first_devices(FLAGS.devices), options())
    with progress(total=len(chosen.numbers)) if shows_progress else contextlib.nullcontext() as bar:
        for batch in batches:
            if bar:
                bar.update(len(batch))
            yield batch


def places(side):
    """Pixels of an image of `side` pixels once it is enlarged, and of the gap beside it."""
    return (side * (FLAGS.scale or default_scale(side)), default_gap(side) if FLAGS.gap is None else FLAGS.gap)


def arranged(pictures, columns, captions=None, headings=None):
    """The sheet of uint8 [N, H, W, C] with the scale and the gaps that the flags ask for."""
    side = pictures.shape[1]
    enlarged, gap = places(side)
    return sheet(pictures, columns, captions, headings, enlarged // side, gap)


def grid_size(n):
    """(columns, rows) of --grid; by default about twice as wide as high for n images, None for no n."""
    if FLAGS.grid is None:
        columns = n and min(int(np.ceil(np.sqrt(n * 1.5))), n)
        return n and (columns, -(-n // columns))
    columns, x, rows = FLAGS.grid.partition('x')
    if not (x and columns.isdecimal() and rows.isdecimal() and int(columns) * int(rows)):
        raise ValueError(f'--grid={FLAGS.grid} is not a size; write it as 4x3, across and down.')
    return int(columns), int(rows)


def frame_count():
    """Frames of a video of --duration seconds."""
    count = round(FLAGS.duration * FLAGS.fps)
    if count < 1 or FLAGS.fps <= 0:
        raise ValueError(f'--duration={FLAGS.duration:g} at --fps={FLAGS.fps:g} is no video; use at least one frame.')
    return count


def picture_file():
    """(kind, path) of the picture that --out and --format ask for."""
    if FLAGS.format == 'npz':
        raise ValueError(f'--format=npz is for single images; use one of {", ".join(ENDINGS)}.')
    return picture_path(FLAGS.out, FLAGS.format)


def video_file():
    """The path of the video that --out asks for."""
    path = videos.video_path(FLAGS.out, FLAGS.fps)
    check_new(path, FLAGS.overwrite)
    return path


def nearest_sheet(pictures, names, k=5):
    """Rows of: an image, its k nearest training images by pixels, and k by features. -> uint8 [H, W, C]"""
    from metrics.nearest import nearest_images
    found = nearest_images(pictures, FLAGS.nearest, FLAGS.nearest_resolution, k, progress)
    rows = np.concatenate([pictures[:, None], found], axis=1)
    captions = [text for name in names for text in (name, *[''] * (2 * k))]
    headings = {0: 'generated', 1: f'nearest {k} by pixels', 1 + k: f'nearest {k} by features'}
    return arranged(rows.reshape(-1, *pictures.shape[1:]), rows.shape[1], captions, headings)


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


OF_ALL = ('network', 'results_dir', 'out', 'overwrite', 'class', 'labels', 'lod', *OPTIONS, 'shrink', 'minibatch', 'devices')
OF_IMAGES = ('seeds', 'random_state', 'rows', 'latents', 'format')
OF_SHEETS = ('scale', 'gap')
OF_VIDEOS = ('grid', *OF_SHEETS, 'seed', 'duration', 'fps')
FUNCTIONS = {'images': images, 'grid': grid, 'video': video, 'training_video': training_video}
COMMANDS = {name: Command(f'{name} --network={network} --out={out}', inspect.getdoc(FUNCTIONS[name]), (*OF_ALL, *own))
            for name, network, out, own in (
    ('images', 'NET', 'FOLDER|FILE', (*OF_IMAGES, 'nearest', 'nearest_resolution', *OF_SHEETS)),
    ('grid', 'NET', 'FILE', (*OF_IMAGES, 'grid', *OF_SHEETS, 'captions')),
    ('video', 'NET', 'FILE', (*OF_VIDEOS, 'smoothing')),
    ('training_video', 'RUN', 'FILE', (*OF_VIDEOS, 'time_warp')))}

if __name__ == '__main__':
    runtime.run(main, COMMANDS)
