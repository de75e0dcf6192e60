"""Finds latents whose images come nearest to given ones: `python project.py --network=NET --out=DIR IMAGE ...`

    python project.py --network=NET --out=DIR --dataset=DATASET --num_images=3
    python project.py --network=NET --out=DIR --seeds=0-2      images of the network itself

For each image DIR/NAME holds target.png, projection.png and earlier steps, a video, the noise maps, and w.npy (of networks
without w: z.npy), which generate.py takes with --w (--latents).
"""
import runtime  # isort: skip (it must come before TensorFlow)

import json
import os

import numpy as np
from absl import flags, logging

import files
from command_line import check_given, check_needed
from data.images import decode, to_planes
from official.locate import find_network
from progress import progress
from serving import styles
from serving.selection import select

FLAGS = flags.FLAGS
flags.DEFINE_string('network', None, 'A snapshot .h5, an official .pkl, or a run by folder, number, name or latest.')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_string('out', None, 'Folder to write.')
flags.DEFINE_string('dataset', None, 'Data set folder whose first images are projected.')
flags.DEFINE_integer('num_images', 3, 'How many images of --dataset.', lower_bound=1)
flags.DEFINE_string('seeds', None, 'Project images that the network makes of these seeds, e.g. 0-2.')
flags.DEFINE_string('class', None, 'Search among the images of this class of a conditional network, e.g. 3 or cat.')
flags.DEFINE_integer('steps', 1000, 'Steps of each search.', lower_bound=1)
flags.DEFINE_integer('num_snapshots', 5, 'How many steps are kept as pictures.', lower_bound=1)
flags.DEFINE_enum('distance', 'lpips', ['lpips', 'pixels'], 'What is made small: LPIPS, or the mean squared difference '
                  'of pixels, which needs no file.')
flags.DEFINE_string('lpips', None, 'An official vgg16_zhang_perceptual.pkl, which needs no --vgg16, or the vgg.pth of '
                    'lpips; by default that is downloaded to --cache.')
flags.DEFINE_string('vgg16', None, 'vgg16-397923af.pth, or an official vgg16.pkl; by default it is downloaded to --cache.')
flags.DEFINE_string('cache', None, 'Folder for downloads (default: ~/.cache/progan).')
flags.DEFINE_integer('minibatch', None, 'Images searched for at once (default: by resolution).', lower_bound=1)
flags.DEFINE_bool('video', True, 'Write a video of each search.')
flags.DEFINE_integer('seed', 0, 'Seed of the searches.', lower_bound=0)
flags.DEFINE_integer('max_pixels', None, 'Takes images of up to so many pixels (default: 178956970).')
flags.DEFINE_bool('resume', False, 'Go on where an earlier call with the same arguments was stopped.')
flags.DEFINE_bool('overwrite', False, 'Replace files that exist.')

RECORD = 'projection.json'  # What each image's folder says about what is in it.
FRAME_STEPS, FPS = 10, 30.0  # Of the video: a frame after so many steps.


def main(argv):
    check_given('network', 'out')
    paths = argv[1:]
    if sum(map(bool, (paths, FLAGS.dataset, FLAGS.seeds))) != 1:
        raise ValueError('What should be projected? Name image files, or a --dataset, or --seeds; one of them.')
    check_needed('--dataset', FLAGS.dataset, ('num_images',))
    check_needed('--distance=lpips', FLAGS.distance == 'lpips', ('lpips', 'vgg16', 'cache'))
    files.check_exist(lpips=FLAGS.lpips, vgg16=FLAGS.vgg16, dataset=FLAGS.dataset)
    source = find_network(FLAGS.network, FLAGS.results_dir)
    chosen = select(FLAGS.seeds, classes=FLAGS['class'].value) if FLAGS.seeds else None
    if chosen:
        names, pictures = chosen.distinct_names(), None
    else:
        names, pictures = dataset_images() if FLAGS.dataset else (names_of(paths), [*map(read_picture, paths)])
    files.check_folder(FLAGS.out)
    if not FLAGS.resume:
        for name in names:
            files.check_new(os.path.join(FLAGS.out, name, 'projection.png'), FLAGS.overwrite)
    os.makedirs(FLAGS.out, exist_ok=True)
    with files.locked(FLAGS.out, 'projected into', 'wait for it, or give another --out'):
        files.sweep(FLAGS.out)
        project(source, names, pictures, chosen)


def names_of(paths):
    """A folder's name for each image file: that of the file, numbered where several share one."""
    names = []
    for path in paths:
        stem = name = os.path.splitext(os.path.basename(path))[0]
        number = 1
        while name in names:
            number += 1
            name = f'{stem}-{number}'
        names.append(name)
    return names


def read_picture(path):
    """uint8 [C, H, W]"""
    if not os.path.isfile(path):
        found = 'is a folder' if os.path.isdir(path) else 'does not exist'
        raise FileNotFoundError(f"'{path}' {found}; give image files.")
    try:
        return to_planes(decode(path, FLAGS.max_pixels))
    except ValueError as error:
        raise ValueError(f"'{path}' {error}") from error


def dataset_images():
    """(names, images uint8 [C, R, R]) of the first images of --dataset."""
    from data.tfrecords import Dataset
    dataset = Dataset(FLAGS.dataset)
    indices = range(min(FLAGS.num_images, dataset.num_images))
    return [f'image{i:04d}' for i in indices], [*dataset.read(0, np.asarray(indices))]


def project(source, names, pictures, chosen):
    """Searches for all targets, batch by batch, and prints a line for each."""
    from official.locate import load_network, suit_threads
    from serving.generate import default_minibatch
    from serving.projection import PixelDistance, space_of
    suit_threads(source)
    Gs = load_network(source, names=['Gs']).Gs
    targets = [check_picture(Gs, *pair) for pair in zip(names, pictures, strict=True)] if pictures else made(Gs, chosen)
    space = space_of(Gs, label_of(Gs))
    if FLAGS.distance == 'pixels':
        distance = PixelDistance()
    else:
        from metrics.downloads import default_cache
        from metrics.judges import open_lpips
        from metrics.lpips import check_size
        check_size(targets[0][None])
        try:
            distance = open_lpips({'lpips': FLAGS.lpips, 'vgg16': FLAGS.vgg16}, FLAGS.cache or default_cache())
        except OSError as error:
            raise OSError(f'{error} Or compare pixels with --distance=pixels.') from error
    network = files.sha256(source)
    facts = [facts_of(network, target) for target in targets]
    wanted = [i for i, name in enumerate(names) if not (FLAGS.resume and is_done(space, name, facts[i]))]
    if len(wanted) < len(names):
        logging.info('%d of %d images are projected already', len(names) - len(wanted), len(names))
    size = FLAGS.minibatch or max(default_minibatch(Gs.resolution) // 4, 1)
    errors = []
    for start in range(0, len(wanted), size):
        batch = wanted[start:start + size]
        errors += search(space, distance, [names[i] for i in batch], np.stack([targets[i] for i in batch]), batch,
                         [facts[i] for i in batch])
    if len(errors) > 1:
        first, last = np.mean(errors, axis=0)
        print(f'{len(errors)} images: on average {last:.1f} of 255 off (at first {first:.1f})')


def check_picture(Gs, name, picture):
    """An image as the network makes them, uint8 [R, R, C]; ValueError if it has another size or other colours."""
    channels, height, width = picture.shape
    if (channels, height, width) != (Gs.num_channels, Gs.resolution, Gs.resolution):
        kind, wanted = ('gray' if count == 1 else 'RGB' for count in (channels, Gs.num_channels))
        raise ValueError(f'{name} is {kind}, {width}x{height}; this network makes {wanted} images of {Gs.resolution}x'
                         f'{Gs.resolution}: give it that size and these colours, aligned as the training images were.')
    return picture.transpose(1, 2, 0)


def made(Gs, chosen):
    """The network's own images of a Selection, not truncated, with noise of its seeds: uint8 [N, R, R, C]"""
    from serving.generate import generate_images
    from serving.latents import SeededNoise
    latents, labels = chosen.latents(Gs.latent_size), chosen.labels(Gs.label_size, Gs.class_names)
    own = {}
    if Gs.has_w:
        own = {'options': {'truncation': 1.0}, 'noise_numbers': SeededNoise(chosen.numbers, Gs.latent_size, Gs.noise_sizes)}
    return np.concatenate([*generate_images(Gs, latents, labels, **own)])


def label_of(Gs):
    """The label of --class, float32 [label_size], or None."""
    from serving.latents import labels_of, parse_classes
    if FLAGS['class'].value is None:
        return None
    classes = parse_classes(FLAGS['class'].value, Gs.class_names)
    if len(classes) != 1:
        raise ValueError(f'--class names {len(classes)} classes; a search is among the images of one.')
    return labels_of(classes, Gs.label_size)[0]


def facts_of(network, target):
    """What a projection depends on, as text."""
    return json.dumps({'image': files.sha256_of([target.tobytes()]), 'network': network, 'distance': FLAGS.distance,
                       'steps': FLAGS.steps, 'seed': FLAGS.seed})


def is_done(space, name, facts):
    """Whether an image was projected already; ValueError where its folder holds another projection."""
    folder = os.path.join(FLAGS.out, name)
    if not os.path.exists(os.path.join(folder, f'{space.file}.npy')):
        return False
    record = os.path.join(folder, RECORD)
    if not os.path.exists(record) or files.read(record).decode() != facts:
        raise ValueError(f'{folder} holds what was found for another image, in another network or with other settings; give '
                         f'another --out, or --overwrite in place of --resume.')
    return True


def search(space, distance, names, targets, numbers, facts):
    """Projects one batch; its state is written with each snapshot, and taken up with --resume.

    -> [(how far pixels are off at first, and at last)], of 255
    """
    from serving.projection import Projection
    found = Projection(space, distance, targets, [[FLAGS.seed, number] for number in numbers], FLAGS.steps)
    path, key = os.path.join(FLAGS.out, 'search.npz'), json.dumps([names, facts])
    trail = {0: found.points}
    if FLAGS.resume and os.path.exists(path):
        trail = take_up(found, path, key) or trail
    first = np.abs(found.images(trail[0]) - targets.astype(np.float32)).mean(axis=(1, 2, 3))
    snapshots = {FLAGS.steps * (i + 1) // FLAGS.num_snapshots for i in range(FLAGS.num_snapshots)}
    with progress(range(found.step, FLAGS.steps), FLAGS.steps, 'steps', f'{names[0]}{" .." * (len(names) > 1)}',
                  found.step) as steps:
        for _ in steps:
            found.advance()
            if found.step % FRAME_STEPS == 0:
                trail[found.step] = found.points
            if found.step in snapshots:
                save_images(found.images(), names, f'step{found.step:04d}.png')
                save_state(path, {'key': np.array(key), 'trail': np.array([*trail]), 'points': np.stack([*trail.values()]),
                                  **found.state()})
    last = finish(found, names, targets, first, [*trail.values()], facts)
    if os.path.exists(path):
        os.remove(path)
    return [*zip(first, last, strict=True)]


def take_up(found, path, key):
    """Restores a search from its file -> {step: points} so far; None where the file is that of another search."""
    try:
        with np.load(path, allow_pickle=False) as file:
            state = dict(file)
        if str(state['key']) != key:
            logging.info('%s is that of other images or settings; starting anew', path)
            return None
        found.restore(state)
        return dict(zip(state['trail'].tolist(), state['points'], strict=True))
    except Exception as error:  # A damaged file raises anything.
        raise ValueError(f'{path} cannot be taken up ({error}); remove it to start its images anew.') from error


def save_state(path, arrays):
    with files.replacing(path) as partial, open(partial, 'wb') as file:
        np.savez(file, **arrays)


def save_images(images, names, file):
    from pictures.pictures import save_png
    for name, image in zip(names, images, strict=True):
        save_png(image, os.path.join(FLAGS.out, name, file))


def finish(found, names, targets, first, trail, facts):
    """Writes what was found for each image, its latent at last: a folder that has one is done. -> how far pixels are off"""
    from pictures.videos import save_video
    images, distances, latents = found.images(), found.distances(), np.asarray(found.space.latents(found.points))
    errors = np.abs(images - targets.astype(np.float32)).mean(axis=(1, 2, 3))
    save_images(targets, names, 'target.png')
    save_images(images, names, 'projection.png')
    if FLAGS.video:
        frames = np.stack([found.images(points) for points in trail], axis=1)  # With the noise maps of the end.
    for i, name in enumerate(names):
        folder = os.path.join(FLAGS.out, name)
        if FLAGS.video:
            save_video((np.concatenate([targets[i], frame], axis=1) for frame in frames[i]),
                       os.path.join(folder, 'projection.mp4'), FPS)
        if found.noise:
            save_state(os.path.join(folder, 'noise.npz'), {f'noise{k}': maps[i] for k, maps in enumerate(found.noise)})
        files.write_text(os.path.join(folder, RECORD), facts[i])
        styles.save_w(os.path.join(folder, f'{found.space.file}.npy'), latents[i:i + 1])
        print(f'{folder}: {FLAGS.distance} {distances[i]:.4f}, pixels {errors[i]:.1f} of 255 off (at first {first[i]:.1f})')
    return errors


if __name__ == '__main__':
    runtime.run(main)
