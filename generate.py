"""Makes pictures and videos: `python generate.py images|grid|video|training_video --network=NET --out=PATH`."""
import runtime  # isort: skip (it must come before TensorFlow)

import collections
import concurrent.futures
import itertools
import os

import numpy as np
from absl import flags
from tqdm import tqdm

import runs
from files import replacing
from pictures import videos
from pictures.pictures import save_picture, screen_grid, tile
from serving.latents import (
    captions_of,
    drawn_classes,
    labels_of,
    load_array,
    of_rows,
    of_seeds,
    parse_classes,
    parse_integers,
    walk,
)

FLAGS = flags.FLAGS
flags.DEFINE_string('network', None, 'A snapshot .h5, an official .pkl, or a run by folder, number, name or latest.')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_string('out', None, 'Folder or file to write.')
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
flags.DEFINE_enum('format', None, ['png', 'jpg', 'webp', 'npz'], 'Kind of pictures; default: the ending of --out, or png.')
flags.DEFINE_integer('minibatch', None, 'Images at once per device; default: 4 at 1024x1024, more below.')
flags.DEFINE_integer('devices', None, 'GPUs to use; default: all.')
flags.DEFINE_string('nearest', None, 'Data set folder: write a sheet of each image and its nearest training images.')
flags.DEFINE_integer('nearest_resolution', 128, 'Compare pixels at this resolution, or at that of the images if lower.')
flags.DEFINE_string('grid', None, 'Images across and down, e.g. 4x3; default: 1x1 in video, 1080p in training_video.')
flags.DEFINE_float('duration', 60.0, 'Seconds of video.')
flags.DEFINE_float('fps', 30.0, 'Frames per second.')
flags.DEFINE_float('smoothing', 1.0, 'Seconds (stddev) over which the latent walk is smoothed.')
flags.DEFINE_integer('seed', 1000, 'Seed of the videos\' latents.')
flags.DEFINE_float('time_warp', 1.5, 'training_video: training time goes with this power of video time.')

OPTIONS = ('truncation', 'truncation_cutoff', 'noise')  # Flags that only some architectures know.

# What is to be shown; names tell the images apart in file names.
Selection = collections.namedtuple('Selection', 'names latents labels')


def main(argv):
    commands = {'images': images, 'grid': grid, 'video': video, 'training_video': training_video}
    if len(argv) != 2 or argv[1] not in commands:
        raise ValueError(f'What should be made? Use: generate.py {"|".join(commands)} --network=NET --out=PATH.')
    for flag in ('network', 'out'):
        if not FLAGS[flag].value:
            raise ValueError(f'--{flag} is missing; {FLAGS[flag].help[0].lower() + FLAGS[flag].help[1:]}')
    commands[argv[1]]()


def images():
    """One picture per latent into a folder, all of them into one .npz, or a sheet of nearest training images."""
    Gs = load_Gs(FLAGS.network)
    selection = select(Gs)
    kind = picture_kind()
    pictures = itertools.chain.from_iterable(generated(Gs, selection.latents, selection.labels))
    if FLAGS.nearest:
        save_picture(nearest_sheet(np.stack([*pictures])), FLAGS.out, kind)
    elif kind == 'npz':
        save_npz(FLAGS.out, np.stack([*pictures]))
    else:
        is_file = os.path.splitext(FLAGS.out)[1].lower() == f'.{kind}'
        if is_file and len(selection.names) > 1:
            raise ValueError(f'{FLAGS.out} is one file, but {len(selection.names)} images were asked for; give a folder, '
                             f'or make a grid.')
        os.makedirs(os.path.dirname(FLAGS.out) or '.' if is_file else FLAGS.out, exist_ok=True)
        paths = [FLAGS.out if is_file else os.path.join(FLAGS.out, f'{name}.{kind}') for name in selection.names]
        save_all(pictures, paths, kind)
    print(f'{FLAGS.out}: {len(selection.names)} images')


def grid():
    """All images in one picture."""
    Gs = load_Gs(FLAGS.network)
    selection = select(Gs)
    n = len(selection.names)
    columns, rows = size = grid_size(n)
    kind = picture_kind()
    if kind == 'npz':
        raise ValueError('A grid is a picture; use --format=png, jpg or webp, or generate.py images for .npz.')
    if columns * rows < n:
        raise ValueError(f'A grid of {columns}x{rows} has no room for {n} images.')
    captions = None if selection.labels is None else captions_of(selection.labels, Gs.class_names)
    pictures = np.concatenate([*generated(Gs, selection.latents, selection.labels)])
    save_picture(tile(pictures, size, captions), FLAGS.out, kind)
    print(f'{FLAGS.out}: {n} images')


def video():
    """A walk through latent space."""
    videos.check_path(FLAGS.out)
    Gs = load_Gs(FLAGS.network)
    columns, rows = size = grid_size(1)
    n, num_frames = columns * rows, frame_count()
    latents = walk(num_frames, n, Gs.latent_size, FLAGS.smoothing * FLAGS.fps, FLAGS.seed)
    labels = select_labels(Gs, range(FLAGS.seed, FLAGS.seed + n))
    labels = None if labels is None else np.tile(labels, [num_frames, 1])
    pictures = itertools.chain.from_iterable(generated(Gs, latents.reshape(-1, Gs.latent_size), labels))
    frames = (tile(np.stack([*itertools.islice(pictures, n)]), size) for _ in range(num_frames))
    videos.save_video(frames, FLAGS.out, FLAGS.fps)
    print(f'{FLAGS.out}: {num_frames} frames of {columns}x{rows} images')


def training_video():
    """The same latents through the snapshots of a run."""
    videos.check_path(FLAGS.out)
    run_dir = runs.locate(FLAGS.results_dir, FLAGS.network)
    snapshots = snapshots_by_nimg(run_dir)
    nimgs, num_frames = [*snapshots], frame_count()
    load_Gs(snapshots[nimgs[0]])  # What is wrong with it or with the options is told before a frame is made.
    shown = videos.latest_before(videos.training_moments(nimgs[-1], num_frames, FLAGS.time_warp), nimgs)
    seconds = videos.training_times(run_dir)

    def frames():
        for index, run in itertools.groupby(tqdm(shown, unit='frame')):
            nimg = nimgs[index]
            Gs = load_Gs(snapshots[nimg])
            size = grid_size(None) or screen_grid('1080p', Gs.resolution // FLAGS.shrink)
            seeds = range(FLAGS.seed, FLAGS.seed + size[0] * size[1])
            pictures = generated(Gs, of_seeds(seeds, Gs.latent_size), select_labels(Gs, seeds), progress=False)
            frame = tile(np.concatenate([*pictures]), size)
            lod = Gs.stored_lod if FLAGS.lod is None else FLAGS.lod
            yield from itertools.repeat(videos.caption(frame, nimg, lod, seconds.get(nimg)), len([*run]))
    videos.save_video(frames(), FLAGS.out, FLAGS.fps)
    print(f'{FLAGS.out}: {num_frames} frames of {len(set(shown))} snapshots')


def snapshots_by_nimg(run_dir):
    """{nimg: path} of a run's snapshots, oldest first."""
    from networks.snapshot import load_snapshot
    found = [(kimg and kimg * 1000, path) for kimg, path in runs.snapshots(run_dir)]
    if not found:
        raise FileNotFoundError(f'{run_dir} holds no network snapshot yet.')
    # Only the last snapshot of a finished run does not tell its nimg by its name.
    return {load_snapshot(path, names=()).nimg if nimg is None else nimg: path for nimg, path in found}


def load_Gs(name):
    """The smoothed generator of what the user names."""
    from official.locate import load_network, suit_threads
    from serving.generate import check_options
    suit_threads(name, FLAGS.results_dir)
    Gs = load_network(name, FLAGS.results_dir, names=('Gs',)).Gs
    check_options(Gs, options())
    return Gs


def options():
    """{name: value} of the flags that only some architectures know."""
    return {name: FLAGS[name].value for name in OPTIONS if FLAGS[name].value is not None}


def select(Gs):
    """The latents and labels that the flags ask for -> Selection."""
    chosen = [name for name in ('latents', 'random_state') if FLAGS[name].value is not None]
    if len(chosen) == 2 or (chosen and FLAGS['seeds'].present):
        raise ValueError('Give one of --seeds, --random_state with --rows, and --latents.')
    if FLAGS.rows and FLAGS.random_state is None:
        raise ValueError('--rows picks from the latents of --random_state; give that too, or use --seeds.')
    if FLAGS.latents:
        latents = load_array(FLAGS.latents, 'latents')
        numbers = range(len(latents) if latents.ndim else 0)
    elif FLAGS.random_state is not None:
        numbers = parse_integers(FLAGS.rows or '0-23')
        latents = of_rows(FLAGS.random_state, numbers, Gs.latent_size)
    else:
        numbers = parse_integers(FLAGS.seeds)
        latents = of_seeds(numbers, Gs.latent_size)
    kind = 'latent' if FLAGS.latents else 'row' if FLAGS.random_state is not None else 'seed'
    digits = max(4, len(str(max(numbers, default=0))))
    return Selection([f'{kind}{number:0{digits}d}' for number in numbers], latents, select_labels(Gs, numbers))


def select_labels(Gs, numbers):
    """Labels float32 [N, label_size] for images of these numbers (seeds, rows), or None for an unconditional network."""
    classes = FLAGS['class'].value
    if FLAGS.labels and classes:
        raise ValueError('Give --labels or --class, not both.')
    if FLAGS.labels:
        return load_array(FLAGS.labels, 'labels')
    if classes is not None:
        cycle = itertools.cycle(parse_classes(classes, Gs.class_names))
        return labels_of([*itertools.islice(cycle, len(numbers))], Gs.label_size)
    if Gs.label_size:
        return labels_of(drawn_classes(numbers, Gs.label_size), Gs.label_size)
    return None


def generated(Gs, latents, labels, progress=True):
    """The shared iterator, with the flags applied and a progress bar. -> iterator of uint8 [n, H, W, C]"""
    from serving.generate import default_minibatch, first_devices, generate_images
    minibatch = default_minibatch(Gs.resolution) if FLAGS.minibatch is None else FLAGS.minibatch
    devices = first_devices(FLAGS.devices)
    batches = generate_images(Gs, latents, labels, FLAGS.lod, minibatch, FLAGS.shrink, devices, options())
    with tqdm(total=len(latents), unit='img', disable=not progress) as bar:
        for batch in batches:
            bar.update(len(batch))
            yield batch


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


def picture_kind():
    """'png', 'jpg', 'webp' or 'npz', by --format or by the ending of --out."""
    ending = os.path.splitext(FLAGS.out)[1].lower().removeprefix('.')
    ending = 'jpg' if ending == 'jpeg' else ending
    return FLAGS.format or (ending if ending in FLAGS['format'].parser.enum_values else 'png')


def nearest_sheet(pictures, k=5):
    """Rows of: an image, its k nearest training images by pixels, and k by features. -> uint8 [H, W, C]"""
    from data.tfrecords import Dataset
    from metrics.nearest import nearest
    n, size, _, channels = pictures.shape
    dataset, shown = Dataset(FLAGS.nearest, min(size, FLAGS.nearest_resolution)), Dataset(FLAGS.nearest, size)
    if dataset.num_channels != channels:
        raise ValueError(f'{FLAGS.nearest} holds images of {dataset.num_channels} channels, the network makes {channels}.')
    box = size // dataset.resolution
    queries = pictures.reshape(n, size // box, box, size // box, box, channels).mean(axis=(2, 4))
    queries = np.rint(queries).astype(np.uint8).transpose(0, 3, 1, 2)
    found = np.concatenate(nearest(queries, dataset, k, progress=tqdm), axis=1)  # [n, 2k]
    reals = shown.read(0, found.reshape(-1)).transpose(0, 2, 3, 1).reshape(n, -1, size, size, channels)
    rows = np.concatenate([pictures[:, None], reals], axis=1)
    return tile(rows.reshape(-1, size, size, channels), (rows.shape[1], n))


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


if __name__ == '__main__':
    runtime.run(main)
