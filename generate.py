"""Makes pictures and videos: `python generate.py COMMAND --network=NET --out=PATH`.

COMMAND is images, grid, video or training_video; or a figure of StyleGAN's paper: style_mixing, truncation, noise_detail,
noise_components or uncurated.
"""
import runtime  # isort: skip (it must come before TensorFlow)

import contextlib
import functools
import inspect
import itertools
import os

import numpy as np
from absl import flags

import runs
from command_line import Command, check_flags, check_given, check_needed
from files import check_exist, check_new
from official.locate import find_network
from pictures import videos
from pictures.pictures import ENDINGS, ending_of, picture_path, save_all, save_npz, save_picture, screen_grid
from pictures.sheets import default_gap, default_scale, enlarge, sheet, strip
from progress import progress
from serving import figures, styles
from serving.latents import SeededNoise, captions_of, parse_integers, parse_numbers, walk
from serving.selection import Selection, select
from wording import counted, did_you_mean

FLAGS = flags.FLAGS
flags.DEFINE_string('network', None, 'A snapshot .h5, an official .pkl, or a run by folder, number, name or latest.')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_string('out', None, 'Folder or file to write.')
flags.DEFINE_bool('overwrite', False, 'Replace files that exist.')
flags.DEFINE_string('seeds', '0-23', 'One image per seed, e.g. 0-99 or 3,5,8.')
flags.DEFINE_integer('random_state', None, 'Draw all latents from one RandomState of this seed; --rows picks some.')
flags.DEFINE_string('rows', None, 'Which latents of --random_state, e.g. 477,56,83; in style_mixing the seeds of the rows, '
                    'in uncurated how many; default: as in the paper.')
flags.DEFINE_string('latents', None, 'A .npy file of latents [N, latent_size].')
flags.DEFINE_string('w', None, 'A .npy file of w [N, layers, W] or [N, W], truncated only if --truncation is given.')
flags.DEFINE_string('save_w', None, 'A .npy file to write w [N, layers, W] to, as the images are made of them.')
flags.DEFINE_bool('average', False, 'One image, of the average of all w.')
flags.DEFINE_integer('interpolate', None, 'So many steps in w from each image to the next.', lower_bound=1)
flags.DEFINE_string('labels', None, 'A .npy file of labels [N, label_size].')
flags.DEFINE_string('class', None, 'Classes to show in turn, e.g. 3, 0-9 or cat,dog; without it each seed draws its own.')
flags.DEFINE_float('lod', None, 'Level of detail, 0 = full resolution; default: the one stored in the network.')
flags.DEFINE_float('truncation', None, 'StyleGAN: how far w goes from the average, 1: all the way; default: the network\'s.')
flags.DEFINE_integer('truncation_cutoff', None, 'StyleGAN: truncate so many layers, 0: none; default: the network\'s.')
flags.DEFINE_enum('noise', None, ['stored', 'seeded', 'random', 'none'], 'StyleGAN: which noise; default: stored, but of '
                  'StyleGAN2\'s images of --seeds seeded, drawn by the seed after its latent.')
flags.DEFINE_integer('shrink', 1, 'Box-filter the images down by this factor.')
flags.DEFINE_enum('format', None, [*ENDINGS, 'npz'], 'Kind of pictures; default: the ending of --out, or png.')
flags.DEFINE_integer('minibatch', None, 'Images at once per device; default: 4 at 1024x1024, more below.')
flags.DEFINE_integer('devices', None, 'GPUs to use; default: all.')
flags.DEFINE_string('nearest', None, 'Data set folder: write a sheet of each image and its nearest training images.')
flags.DEFINE_integer('nearest_resolution', 128, 'Compare pixels at this resolution, or at that of the images if lower.')
flags.DEFINE_enum('nearest_features', 'small', ['small', 'vgg'], 'Beside pixels compare gray images of 16x16, or VGG16\'s '
                  'activations as in figure 10 of the paper.')
flags.DEFINE_enum('nearest_crop', None, ['face', 'none'], 'Compare the middle of aligned faces, or all; default: face for '
                  'activations of celebahq, else none.')
flags.DEFINE_string('vgg16', None, 'vgg16-397923af.pth or an official vgg16.pkl; by default it is downloaded to --cache.')
flags.DEFINE_string('cache', None, 'Folder for VGG16 (default: ~/.cache/progan).')
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
flags.DEFINE_enum('walk', 'z', ['z', 'w'], 'Walk through latents, or smoothly from w to w.')
flags.DEFINE_float('step_sec', 2.0, 'Seconds from w to w.', lower_bound=0.01)
flags.DEFINE_integer('seed', 1000, 'Seed of the videos\' latents, and of uncurated; there by default as in the paper.',
                     lower_bound=0)
flags.DEFINE_float('time_warp', 1.5, 'Training time goes with this power of video time.')
flags.DEFINE_string('columns', '639,701,687,615,2268', 'Seeds whose styles are copied, one per column.')
flags.DEFINE_string('styles', 'coarse,coarse,coarse,middle,middle,fine', 'Layers that are copied, row by row in turn: '
                    'coarse, middle, fine, or as 4-7.')
flags.DEFINE_string('psis', '1,0.7,0.5,0,-0.5,-1', 'How far w goes from its average, one per column.')
flags.DEFINE_integer('samples', 100, 'Images of one w that differ in noise.', lower_bound=5)
flags.DEFINE_string('lods', None, 'A column for each: images at 1/2^lod of their size; default: as in the paper.')
flags.DEFINE_string('crop', None, 'Left, top, width, height of what is shown of each image; default: all.')

OPTIONS = ('truncation', 'truncation_cutoff', 'noise')  # Flags that only some architectures know.


def main(argv):
    if len(argv) != 2 or argv[1] not in COMMANDS:
        raise ValueError(f'What should be made? Use: generate.py {"|".join(COMMANDS)} --network=NET --out=PATH'
                         f'{did_you_mean(argv[1], COMMANDS) if len(argv) == 2 else ""}.')
    check_flags(argv[1], COMMANDS)
    check_given('network', 'out')
    FUNCTIONS[argv[1]]()


def images():
    """One picture per latent into a folder, all of them into one .npz, or a sheet of nearest training images."""
    check_needed('--nearest', FLAGS.nearest, (*OF_NEAREST, 'scale', 'gap'))
    check_needed('--nearest_features=vgg', FLAGS.nearest_features == 'vgg', ('vgg16', 'cache'))
    chosen, source = selection(), find_network(FLAGS.network, FLAGS.results_dir)
    names = chosen.distinct_names()
    check_exist(vgg16=FLAGS.vgg16)
    if FLAGS.nearest:
        kind, path = picture_file()
        targets = [path]
        if not os.path.isdir(FLAGS.nearest):
            raise FileNotFoundError(f'There is no data set {FLAGS.nearest}; give the folder that dataset_tool.py wrote.')
    else:
        kind, targets = image_files(names)
    for target in targets:
        check_new(target, FLAGS.overwrite)
    if FLAGS.save_w and os.path.abspath(FLAGS.save_w) in map(os.path.abspath, targets):
        raise ValueError(f'--save_w and --out both name {FLAGS.save_w}; give two names.')

    Gs = load_Gs(source)
    pictures = itertools.chain.from_iterable(generated(Gs, chosen))
    if FLAGS.nearest:
        save_picture(nearest_sheet(pictures, names), path, kind)
    elif kind == 'npz':
        save_npz(targets[0], np.stack([*pictures]))
    else:
        save_all(pictures, targets, kind)
    print(f'{targets[0] if len(targets) == 1 else FLAGS.out}: {counted(len(names), "image")}')


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
    n = len(chosen.names())
    columns, rows = grid_size(n)
    kind, path = picture_file()
    if columns * rows < n:
        raise ValueError(f'A grid of {columns}x{rows} has no room for {n} images.')
    if columns * (rows - 1) >= n:
        raise ValueError(f'A grid of {columns}x{rows} needs more than {columns * (rows - 1)} images, but {n} were asked '
                         f'for.')
    check_new(path, FLAGS.overwrite)

    Gs = load_Gs(source)
    pictures = np.concatenate([*generated(Gs, chosen)])
    captions = class_captions(Gs, chosen) if FLAGS.captions else None
    save_picture(arranged(pictures, columns, captions), path, kind)
    print(f'{path}: {counted(n, "image")}')


def video():
    """A walk through latent space, or through w: from w to w of a file or of seeds, or a smooth one in z."""
    in_w = FLAGS.w or FLAGS.walk == 'w'
    if FLAGS['walk'].present and FLAGS.w:
        raise ValueError('--w says what the video walks through; leave out --walk.')
    check_needed('--walk=w or --w', in_w, ('step_sec',))
    if FLAGS.w and FLAGS['step_sec'].present and FLAGS['duration'].present:
        raise ValueError('--step_sec and --duration both say how long a video of --w takes; give one of them.')
    check_needed('--walk=z', not in_w, ('smoothing',))
    check_w_flags()
    path, source = video_file(), find_network(FLAGS.network, FLAGS.results_dir)
    columns, rows = grid_size(1)
    n = columns * rows
    shown = select(w=FLAGS.w) if FLAGS.w else start_images(n)
    by_step = FLAGS.w and FLAGS['step_sec'].present
    num_frames = frame_count(FLAGS.step_sec * len(shown.numbers) if by_step else FLAGS.duration)
    Gs = load_Gs(source)
    if in_w:
        keys = styles.shifted(w_of(Gs, shown), n) if FLAGS.w else keys_of(Gs, shown)
        w = styles.looped(keys.swapaxes(0, 1), num_frames)  # [num_frames, n, layers, W]
        pictures = painted(Gs, saved_w(w.reshape(-1, *w.shape[2:])), noise=FLAGS.noise or 'stored')
    else:
        latents = walk(num_frames, n, Gs.latent_size, FLAGS.smoothing * FLAGS.fps, FLAGS.seed).reshape(-1, Gs.latent_size)
        labels = shown.labels(Gs.label_size, Gs.class_names)
        labels = None if labels is None else np.tile(labels, [num_frames, 1])
        moving = Selection('frame', range(len(latents)), given_latents=latents, given_labels=labels)
        pictures = itertools.chain.from_iterable(generated(Gs, moving))
    frames = (arranged(np.stack([*itertools.islice(pictures, n)]), columns) for _ in range(num_frames))
    videos.save_video(frames, path, FLAGS.fps)
    print(f'{path}: {num_frames} frames of {columns}x{rows} images')


def keys_of(Gs, shown):
    """w [n, K, layers, W] of seeds, --step_sec apart, for each image of a Selection, which keeps its class."""
    stops, n = max(round(FLAGS.duration / FLAGS.step_sec), 1), len(shown.numbers)
    labels = shown.labels(Gs.label_size, Gs.class_names)
    labels = None if labels is None else np.repeat(labels, stops, axis=0)
    latents = start_images(n * stops).latents(Gs.latent_size)
    return np.stack(np.split(w_of(Gs, Selection('w', range(n * stops), given_latents=latents, given_labels=labels)), n))


def training_video():
    """The same latents through the snapshots of a run."""
    path, run_dir = video_file(), runs.locate(FLAGS.results_dir, FLAGS.network)
    if not runs.snapshots(run_dir):
        raise FileNotFoundError(f'{run_dir} holds no network snapshot yet.')
    given_size, num_frames, _ = grid_size(None), frame_count(FLAGS.duration), start_images(1)

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
    print(f'{path}: {num_frames} frames of {counted(len(set(shown)), "snapshot")}')


def style_mixing():
    """Images of the seeds of --rows with some styles of those above them, of the seeds of --columns (figure 3)."""
    check_needed('--truncation', FLAGS.truncation is not None, ('truncation_cutoff',))
    rows = '888,829,1898,1733,1614,845' if FLAGS.rows is None else FLAGS.rows
    figure(figures.style_mixing, parse_integers(FLAGS.columns), parse_integers(rows),
           [group.strip() for group in FLAGS.styles.split(',')], noise=FLAGS.noise or 'stored')


def truncation():
    """Images of each seed at some distances from the average image, in all layers of w or in the first (figure 8)."""
    figure(figures.truncation, seeds_or('91,388'), parse_numbers(FLAGS.psis), FLAGS.truncation_cutoff,
           FLAGS.noise or 'stored')


def noise_detail():
    """What noise changes: an image of each seed, parts of it with other noise, and their deviation (figure 4)."""
    figure(figures.noise_detail, seeds_or('1157,1012'), FLAGS.samples)


def noise_components():
    """Halves of images with all noise, none, that of the fine layers and that of the coarse ones (figure 5)."""
    figure(figures.noise_components, seeds_or('1967,1555'))


def uncurated():
    """Images as they come, those of each column at 1/2^lod of their size and so many more (figures 2 and 10 to 12)."""
    rows, lods, crop = (None if FLAGS[name].value is None else parse_integers(FLAGS[name].value)
                        for name in ('rows', 'lods', 'crop'))
    if rows and (len(rows) > 1 or not rows[0]):
        raise ValueError(f'--rows={FLAGS.rows} is no number of rows; write for example 3.')
    kind, path = picture_file()
    check_new(path, FLAGS.overwrite)
    Gs = load_Gs(find_network(FLAGS.network, FLAGS.results_dir))
    shown = figures.uncurated(Gs.resolution, rows and rows[0], lods, FLAGS.seed if FLAGS['seed'].present else None, crop)
    chosen = Selection('row', range(shown.num_images), shown.random_state, classes=FLAGS['class'].value)
    picture, sizes = shown.picture(itertools.chain.from_iterable(generated(Gs, chosen)))
    scale = FLAGS.scale or default_scale(Gs.resolution)
    picture = enlarge(picture[None], scale)[0]
    if FLAGS.captions:
        texts = {(x * scale, width * scale): text for (x, width), text in sizes.items()}
        size = 24 if Gs.resolution > 128 else 10
        picture = np.concatenate([strip(texts, picture.shape[1], size, picture.shape[2]), picture])
    save_picture(picture, path, kind)
    print(f'{path}: {shown.num_images} images')


def seeds_or(default):
    """The numbers of --seeds, or the paper's."""
    return parse_integers(FLAGS.seeds if FLAGS['seeds'].present else default)


def figure(make, *values, **others):
    """Writes the picture that a function of serving/figures.py lays out."""
    kind, path = picture_file()
    check_new(path, FLAGS.overwrite)
    Gs = load_Gs(find_network(FLAGS.network, FLAGS.results_dir))
    layout = make(figures.Artist(Gs, functools.partial(seeds_w, Gs), functools.partial(painted, Gs)), *values, **others)
    texts = (layout.captions, layout.headings) if FLAGS.captions else (None, None)
    save_picture(arranged(layout.images, layout.columns, *texts, least=192), path, kind)
    print(f'{path}: {len(layout.images)} images')


def seeds_w(Gs, seeds):
    """(w [N, layers, W] of seeds, truncated only if --truncation is given, their names for people)"""
    from serving.generate import map_latents
    chosen = Selection('seed', seeds, classes=FLAGS['class'].value)
    psi = 1.0 if FLAGS.truncation is None else FLAGS.truncation
    cutoff = FLAGS.truncation_cutoff if FLAGS['truncation'].present else None
    w = map_latents(Gs, chosen.latents(Gs.latent_size), chosen.labels(Gs.label_size, Gs.class_names), psi, cutoff)
    classes = class_captions(Gs, chosen) or [''] * len(seeds)
    return w, [f'seed {seed} {name}'.strip() for seed, name in zip(seeds, classes, strict=True)]


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
    given = {name: FLAGS[name].value for name in OPTIONS if FLAGS[name].value is not None}
    return given | {'noise': 'stored'} if given.get('noise') == 'seeded' else given  # Its numbers are no option.


def selection():
    """The images that the flags ask for."""
    chosen = [name for name in ('latents', 'random_state', 'w') if FLAGS[name].value is not None]
    if len(chosen) > 1 or (chosen and FLAGS['seeds'].present):
        raise ValueError('Give one of --seeds, --random_state with --rows, --latents, and --w.')
    check_needed('--random_state', FLAGS.random_state is not None, ('rows',))
    check_w_flags()
    return select(FLAGS.seeds, FLAGS.random_state, FLAGS.rows, FLAGS.latents, *chosen_labels(), FLAGS.w, FLAGS.average,
                  FLAGS.interpolate)


def check_w_flags():
    """ValueError for flags that contradict each other where w is given, saved or combined."""
    for name in ('class', 'labels'):
        if FLAGS.w and FLAGS[name].present:
            raise ValueError(f'--{name} has no meaning with --w, which holds what latents and labels became.')
    check_needed('--truncation where w is given', not FLAGS.w or FLAGS.truncation is not None, ('truncation_cutoff',))
    if FLAGS.average and FLAGS.interpolate:
        raise ValueError('Give --average or --interpolate, not both.')
    if FLAGS.save_w:
        check_new(FLAGS.save_w, FLAGS.overwrite)


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
    if not Gs.label_size or chosen.is_of_w:
        return None
    names = Gs.class_names or [str(number) for number in range(Gs.label_size)]
    return captions_of(chosen.labels(Gs.label_size, Gs.class_names), names)


def generated(Gs, chosen, shows_progress=True):
    """The shared iterator for a Selection, with the flags applied. -> iterator of uint8 [n, H, W, C]"""
    from serving.generate import generate_images, synthesize_images
    numbers = seeded_noise(Gs, chosen)
    noise = {} if numbers is None else {'noise_numbers': numbers}
    if chosen.is_of_w or FLAGS.save_w:
        seeds = None if chosen.is_of_w else chosen.latents(Gs.latent_size)
        noise = noise or {'noise': FLAGS.noise or 'stored'}
        batches = synthesize_images(Gs, saved_w(w_of(Gs, chosen)), seeds, **noise, **how(Gs))
    else:
        batches = generate_images(Gs, chosen.latents(Gs.latent_size), chosen.labels(Gs.label_size, Gs.class_names),
                                  options=options(), **noise, **how(Gs))
    return watched(batches, len(chosen.names()) if shows_progress else None)


def seeded_noise(Gs, chosen):
    """The numbers of the noise that the seeds of a Selection draw; None where it has another kind of noise."""
    if FLAGS.noise == 'seeded' and not chosen.is_of_seeds:
        raise ValueError('--noise=seeded is that of --seeds, but these images have none; use --noise=stored or random.')
    by_default = FLAGS.noise is None and Gs.noise_by_seed and chosen.is_of_seeds
    if FLAGS.noise != 'seeded' and not by_default:
        return None
    return SeededNoise(chosen.numbers, Gs.latent_size, Gs.noise_sizes)


def how(Gs):
    """Arguments of the shared iterator that the flags of all commands give."""
    from serving.generate import default_minibatch, first_devices
    minibatch = default_minibatch(Gs.resolution) if FLAGS.minibatch is None else FLAGS.minibatch
    return {'lod': FLAGS.lod, 'minibatch': minibatch, 'shrink': FLAGS.shrink, 'devices': first_devices(FLAGS.devices)}


def watched(batches, total):
    """The batches of images, while a line tells how many of `total` there are; None for no line."""
    with contextlib.nullcontext() if total is None else progress(total=total) as bar:
        for batch in batches:
            if bar:
                bar.update(len(batch))
            yield batch


def painted(Gs, w, seeds=None, **noise):
    """Single pictures of w, with the flags applied. -> iterator of uint8 [H, W, C]"""
    from serving.generate import synthesize_images
    return itertools.chain.from_iterable(watched(synthesize_images(Gs, w, seeds, **noise, **how(Gs)), len(w)))


def w_of(Gs, chosen):
    """w of a Selection, truncated as the flags say; w that is given only if they do. -> float32 [N, layers, W]"""
    from serving.generate import map_latents
    styles.check_has_w(Gs)
    truncation = (FLAGS.truncation, FLAGS.truncation_cutoff)
    if chosen.given_w is None:
        w = map_latents(Gs, chosen.latents(Gs.latent_size), chosen.labels(Gs.label_size, Gs.class_names), *truncation)
    else:
        w = styles.fitting_w(Gs, chosen.given_w, FLAGS.w)
        w = w if FLAGS.truncation is None else np.asarray(Gs.truncate(w, *truncation))
    if chosen.average:
        return w.mean(axis=0, keepdims=True)
    return w if chosen.steps is None else styles.interpolated(w, chosen.steps)


def saved_w(w):
    """w, which is written where --save_w says."""
    if FLAGS.save_w:
        styles.save_w(FLAGS.save_w, w)
    return w


def places(side, least=64):
    """Pixels of an image of `side` pixels once it is enlarged, by default to `least`, and of the gap beside it."""
    return (side * (FLAGS.scale or default_scale(side, least)), default_gap(side) if FLAGS.gap is None else FLAGS.gap)


def arranged(pictures, columns, captions=None, headings=None, least=64):
    """The sheet of uint8 [N, H, W, C] with the scale and the gaps that the flags ask for."""
    side = pictures.shape[1]
    enlarged, gap = places(side, least)
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


def frame_count(seconds):
    """Frames of a video of so many seconds."""
    count = round(seconds * FLAGS.fps)
    if count < 1 or FLAGS.fps <= 0:
        raise ValueError(f'{seconds:g} seconds at --fps={FLAGS.fps:g} are no video; use at least one frame.')
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
    from metrics.paths import crop_face
    how, by = vgg_features() if FLAGS.nearest_features == 'vgg' else {}, FLAGS.nearest_features
    of_faces = by == 'vgg' and os.path.basename(os.path.abspath(FLAGS.nearest)) == 'celebahq'
    if (FLAGS.nearest_crop or ('face' if of_faces else 'none')) == 'face':
        how['crop'] = crop_face
    pictures = np.stack([*pictures])
    found = nearest_images(pictures, FLAGS.nearest, FLAGS.nearest_resolution, k, progress, **how)
    rows = np.concatenate([pictures[:, None], found], axis=1)
    captions = [text for name in names for text in (name, *[''] * (2 * k))]
    headings = {0: 'generated', 1: f'nearest {k} by pixels', 1 + k: f'nearest {k} by {"VGG " * (by == "vgg")}features'}
    return arranged(rows.reshape(-1, *pictures.shape[1:]), rows.shape[1], captions, headings)


def vgg_features():
    """Arguments of nearest_images for the features of --vgg16; of 128x128 they take 8 MB per image."""
    from metrics.downloads import default_cache
    from metrics.judges import open_vgg16
    from metrics.nearest import vgg16_features
    return {'describe': vgg16_features(open_vgg16({'vgg16': FLAGS.vgg16}, FLAGS.cache or default_cache())), 'minibatch': 16}


OF_SHEETS = ('scale', 'gap')
OF_NEAREST = ('nearest_resolution', 'nearest_features', 'nearest_crop', 'vgg16', 'cache')
OF_NETWORK = ('network', 'results_dir', 'out', 'overwrite', 'class', 'lod', 'minibatch', 'devices')
OF_ALL = (*OF_NETWORK, 'labels', *OPTIONS, 'shrink')
OF_IMAGES = ('seeds', 'random_state', 'rows', 'latents', 'format')
OF_W = ('w', 'save_w')
OF_VIDEOS = ('grid', *OF_SHEETS, 'seed', 'duration', 'fps')
OF_FIGURES = (*OF_NETWORK, *OF_SHEETS, 'captions', 'format')
FUNCTIONS = {function.__name__: function for function in (
    images, grid, video, training_video, style_mixing, truncation, noise_detail, noise_components, uncurated)}
COMMANDS = {name: Command(f'{name} --network={network} --out={out}', inspect.getdoc(FUNCTIONS[name]), own)
            for name, network, out, own in (
    ('images', 'NET', 'FOLDER|FILE', (*OF_ALL, *OF_IMAGES, *OF_W, 'average', 'interpolate', 'nearest', *OF_NEAREST,
                                      *OF_SHEETS)),
    ('grid', 'NET', 'FILE', (*OF_ALL, *OF_IMAGES, *OF_W, 'average', 'interpolate', 'grid', *OF_SHEETS, 'captions')),
    ('video', 'NET', 'FILE', (*OF_ALL, *OF_VIDEOS, *OF_W, 'walk', 'smoothing', 'step_sec')),
    ('training_video', 'RUN', 'FILE', (*OF_ALL, *OF_VIDEOS, 'time_warp')),
    ('style_mixing', 'NET', 'FILE', (*OF_FIGURES, *OPTIONS, 'rows', 'columns', 'styles')),
    ('truncation', 'NET', 'FILE', (*OF_FIGURES, 'seeds', 'psis', 'truncation_cutoff', 'noise')),
    ('noise_detail', 'NET', 'FILE', (*OF_FIGURES, 'seeds', 'samples', 'truncation', 'truncation_cutoff')),
    ('noise_components', 'NET', 'FILE', (*OF_FIGURES, 'seeds', 'truncation', 'truncation_cutoff')),
    ('uncurated', 'NET', 'FILE', (*OF_NETWORK, *OPTIONS, 'rows', 'lods', 'crop', 'seed', 'scale', 'captions', 'format')))}

if __name__ == '__main__':
    runtime.run(main, COMMANDS)
