"""Turns an official network pickle into a snapshot: `python import_official.py IN.pkl OUT.h5 --verify`."""
import runtime  # isort: skip (it must come before TensorFlow)

import os

import numpy as np
from absl import flags

from files import check_new, sha256, sha256_of

FLAGS = flags.FLAGS
flags.DEFINE_bool('verify', False, 'Print checksums and parameter counts, and write a sample grid OUT.png.')
flags.DEFINE_bool('overwrite', False, 'Replace files that exist.')


def main(argv):
    if len(argv) == 3 and os.path.splitext(argv[2])[1] not in ('', '.h5'):
        raise ValueError(f'{argv[2]} is no name of a snapshot; give one that ends in .h5.')
    if len(argv) != 3:
        raise ValueError('Two arguments are needed: an official network .pkl and the snapshot .h5 to write, e.g. '
                         'import_official.py karras2018iclr-celebahq-1024x1024.pkl celebahq.h5.')
    source, target = argv[1], f'{argv[2].removesuffix(".h5")}.h5'
    if not os.path.isfile(source):
        raise FileNotFoundError(f'There is no file {source}; give an official network .pkl.')
    for path in [target, picture_of(target)][:1 + FLAGS.verify]:
        check_new(path, FLAGS.overwrite)
    from networks.snapshot import save_snapshot  # Late: what is wrong above is told before TensorFlow is imported.
    from official.load import load_official
    snapshot = load_official(source)
    save_snapshot(target, snapshot.G, snapshot.D, snapshot.Gs)
    Gs = snapshot.Gs
    print(f'{target}: {Gs.resolution}x{Gs.resolution}, {Gs.num_channels} channels, {Gs.label_size} labels, latents of '
          f'{Gs.latent_size}, lod {Gs.lod.numpy():g}')
    if FLAGS.verify:
        verify(source, target)


def verify(source, target):
    """Reads both files again, compares them, and shows what they hold."""
    from networks.snapshot import load_snapshot
    from official.load import load_official
    from pictures.pictures import save_png, screen_grid, tile
    from serving.generate import generate_images
    from serving.latents import labels_of
    print(f'sha256 {sha256(source)} {source}')
    print(f'sha256 {sha256(target)} {target}')
    original, imported = load_official(source), load_snapshot(target)
    for name in ('G', 'D', 'Gs'):
        ours, theirs = (getattr(networks, name).named_variables() for networks in (imported, original))
        if not all(np.array_equal(ours[key].numpy(), theirs[key].numpy(), equal_nan=True) for key in theirs):
            raise ValueError(f'{target} does not hold the {name} of {source}; was it changed meanwhile?')
        trained = getattr(imported, name).variables_at(0)
        count = sum(int(np.prod(variable.shape)) for variable in trained.values())
        print(f'{name:2s} {count:>10} parameters in {len(trained)} variables, sha256 {digest(ours)}')

    Gs, size = imported.Gs, screen_grid('1080p', imported.Gs.resolution)
    n = size[0] * size[1]
    latents = np.random.RandomState(1000).randn(n, Gs.latent_size)
    labels = labels_of(np.arange(n) // size[0] % Gs.label_size, Gs.label_size) if Gs.label_size else None
    images = np.concatenate([*generate_images(Gs, latents, labels)])
    save_png(tile(images, size), picture_of(target))
    print(f'{picture_of(target)}: {n} images at lod {Gs.lod.numpy():g}')


def picture_of(target):
    """The path of the sample grid of a snapshot."""
    return f'{target.removesuffix(".h5")}.png'


def digest(variables):
    """The checksum of {name: variable}: of names, shapes and float32 values in the order of the names."""
    return sha256_of(f'{name} {list(variable.shape)} '.encode() + variable.numpy().astype('<f4').tobytes()
                     for name, variable in sorted(variables.items()))


if __name__ == '__main__':
    runtime.run(main)
