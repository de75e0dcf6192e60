"""What demodulation changes, after figure 1 of StyleGAN2's paper.

    python benchmarks/droplets.py --stylegan=NET --stylegan2=NET --out=FILE

Method: both networks make images of --num_images seeds, untruncated, with stored noise. Of each convolution the activations
are taken: in StyleGAN before instance norm, in StyleGAN2 after demodulation, which is part of the convolution. Two numbers
tell of each: how unequal channels are, the largest root mean square of a channel relative to the median one's; and how much
stands out at one place, the largest norm of a pixel over all channels relative to the median of its image, averaged over
the images. A droplet is a pixel whose norm stands out in all images. Prints a table and one line of JSON; FILE shows both
numbers layer by layer, and images above the norms of their pixels.
"""
import _root  # noqa: F401  isort: skip
import runtime  # isort: skip (it must come before TensorFlow)
import json

import numpy as np
from absl import flags

from command_line import check_given
from files import check_new
from official.locate import find_network

FLAGS = flags.FLAGS
flags.DEFINE_string('stylegan', None, 'A network of StyleGAN: a snapshot .h5, an official .pkl, or a run.')
flags.DEFINE_string('stylegan2', None, 'A network of StyleGAN2.')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_string('out', 'droplets.png', 'The picture to write.')
flags.DEFINE_integer('num_images', 64, 'Images of each network.', lower_bound=1)
flags.DEFINE_bool('overwrite', False, 'Replace files that exist.')

SHOWN = 8  # Images of each network in the picture.


def main(argv):
    check_given('stylegan', 'stylegan2')
    check_new(FLAGS.out, FLAGS.overwrite)
    sources = [find_network(FLAGS[name].value, FLAGS.results_dir) for name in ('stylegan', 'stylegan2')]
    from official.locate import load_network
    found = [measured(load_network(source, names=['Gs']).Gs) for source in sources]
    for (name, _, _, rows) in found:
        print(f'{name:18s}{"channels":>10s}{"pixels":>9s}')
        for layer, channels, pixels in rows:
            print(f'  {layer:16s}{channels:10.1f}{pixels:9.1f}')
    plot(found, FLAGS.out)
    print(json.dumps({name: rows for name, _, _, rows in found}))


def measured(Gs):
    """-> (kind, images uint8 [n, R, R, C], norms [n, R, R] of their last pixels, rows (layer, channels, pixels))"""
    from serving.generate import to_uint8
    from serving.latents import of_seeds
    if not Gs.has_w or Gs.label_size:
        raise ValueError(f'Networks of kind {Gs.kind} with {Gs.label_size} labels are none to compare here; give '
                         f'unconditional ones of StyleGAN and StyleGAN2.')
    images, maps = recorded(Gs, Gs.map(of_seeds(range(FLAGS.num_images), Gs.latent_size)))
    rows = [(name, float(spread_of_channels(x)), float(np.mean(spread_of_pixels(x)))) for name, x in maps.items()]
    return Gs.kind, to_uint8(images, Gs.half_up).numpy()[:SHOWN], pixel_norms([*maps.values()][-1])[:SHOWN], rows


def recorded(Gs, w):
    """(images of w, {layer: activations [N, h, w, C] before they are normalized, or demodulated as they are made})"""
    names = {id(layer): name.removeprefix('G_synthesis/') for name, layer in Gs.named_layers.items()}
    maps, last = {}, None

    def run(layer, x, **others):
        nonlocal last
        made = layer(x, **others)
        if 'ToRGB' not in names[id(layer)] and len(made.shape) == 4:
            last = names[id(layer)]
            maps[last] = made.numpy()
        return made

    def before_norm(x):
        maps[last] = x.numpy()
        return x
    norms = getattr(Gs, 'norms', ())
    if norms:
        Gs.norms = (before_norm, *norms)
    try:
        images = Gs.synthesize(w, noise=Gs.noise_of('stored', w), run=run)
    finally:
        if norms:
            Gs.norms = norms
    return images, maps


def pixel_norms(x):
    """Root mean square over the channels. [N, h, w, C] -> [N, h, w]"""
    return np.sqrt(np.mean(np.square(x), axis=-1))


def spread_of_pixels(x):
    """The largest norm of a pixel relative to the median. [N, h, w, C] -> [N]"""
    norms = pixel_norms(x).reshape(len(x), -1)
    return norms.max(axis=1) / np.median(norms, axis=1)


def spread_of_channels(x):
    """The largest root mean square of a channel relative to the median one's. [N, h, w, C] -> float"""
    norms = np.sqrt(np.mean(np.square(x), axis=(0, 1, 2)))
    return norms.max() / np.median(norms)


def plot(found, path):
    """Images above the norms of their last activations, and the two numbers layer by layer."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    from files import replacing
    figure = plt.figure(figsize=(11, 9.5), layout='constrained')
    above, below = figure.subfigures(2, 1, height_ratios=[1.5, 1])
    axes = above.subplots(4, SHOWN, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for k, (kind, images, norms, _) in enumerate(found):
        for i, (image, norm) in enumerate(zip(images, norms, strict=True)):
            axes[2 * k, i].imshow(image.squeeze(), cmap='gray')
            axes[2 * k + 1, i].imshow(norm / np.median(norm), vmin=0, vmax=4, cmap='magma')
        axes[2 * k, 0].set_ylabel(kind)
        axes[2 * k + 1, 0].set_ylabel('norm of pixels')
    above.suptitle('Images, and the norm of their last activations at each pixel (0 to 4 times the median)')
    charts = below.subplots(1, 2)
    for (kind, _, _, rows), marker in zip(found, 'os', strict=True):
        for axis, column in zip(charts, (1, 2), strict=True):
            axis.plot([row[0] for row in rows], [row[column] for row in rows], f'{marker}-', label=kind)
    for axis, what in zip(charts, ('Channels', 'Pixels'), strict=True):
        axis.set(title=f'{what}: the largest norm relative to the median', ylim=(1, None))
        axis.tick_params(axis='x', rotation=45)
        axis.grid(alpha=0.3)
        axis.legend()
    with replacing(path) as partial:
        figure.savefig(partial, format=path.rpartition('.')[2], dpi=100)


if __name__ == '__main__':
    runtime.run(main)
