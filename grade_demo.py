"""Grades a demo: are its digits recognised, and varied; do mixed faces have one's geometry, another's colours?"""
import runtime  # isort: skip (it must come before TensorFlow)

import numpy as np
from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_string('run', 'latest', 'The run to grade: latest, a number, a name or a path; of styles also a network file.')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_enum('demo', 'digits', ['digits', 'styles'], 'Digits by class, or the mixing of styles.')
flags.DEFINE_integer('num_images', 1000, 'Digits to grade, the same number of each class.')
flags.DEFINE_integer('num_pairs', 200, 'Pairs of faces to mix.')


def main(argv):
    if FLAGS.demo == 'digits':
        grade_digits()
    else:
        grade_styles()


def grade_digits():
    import config as configs
    import runs
    from data.tfrecords import open_dataset
    from official.locate import load_network
    from serving.generate import to_uint8
    from serving.latents import labels_of

    run_dir = runs.locate(FLAGS.results_dir, FLAGS.run)
    data = configs.load(f'{run_dir}/config.json').data
    Gs = load_network(run_dir, names=['Gs']).Gs
    if Gs.label_size < 2 or FLAGS.num_images < 2 * Gs.label_size:
        raise ValueError(f'{run_dir} makes images of {Gs.label_size} classes, and --num_images={FLAGS.num_images}; expected '
                         f'is a network of several, as that of train.py --config=demo, and two images of each or more. '
                         f'Another run: --run; mixed styles: --demo=styles.')
    dataset = open_dataset(data.dir, data.name)
    reals, real_classes = dataset.read(0, np.arange(dataset.num_images)), np.argmax(dataset.labels, axis=1)

    classes = np.repeat(np.arange(Gs.label_size), FLAGS.num_images // Gs.label_size)
    labels = labels_of(classes, Gs.label_size)
    latents = np.random.RandomState(0).randn(len(classes), Gs.latent_size).astype(np.float32)
    fakes = to_uint8(Gs.generate(latents, labels, lod=float(Gs.lod.numpy())), Gs.half_up).numpy()

    held_out, recognised = recognise(reals.reshape(len(reals), -1), real_classes, fakes.reshape(len(fakes), -1))
    hits = np.array([np.mean(recognised[classes == c] == c) for c in range(Gs.label_size)])
    spread = np.mean([class_spread(fakes[classes == c]) / class_spread(reals[real_classes == c])
                      for c in range(Gs.label_size)])
    print(f'classifier, held-out real digits: {held_out:.1%} correct (expected at least 98%)')
    print(f'{len(fakes)} pictures recognised as the digit asked for: {hits.mean():.1%} (expected at least 95%)')
    print('by class: ' + '  '.join(f'{c}: {hit:.0%}' for c, hit in enumerate(hits)) + ' (expected at least 85% each)')
    print(f'pixel spread within a class, relative to the real digits: {spread:.2f} (expected at least 0.7)')


def grade_styles():
    """Mixes pairs of faces: the first layers' styles from one, the others' from another."""
    from metrics.mixing import colours, correlation, geometry
    from networks import style_layers
    from official.locate import load_network
    from serving.generate import to_uint8

    Gs = load_network(FLAGS.run, FLAGS.results_dir, names=['Gs']).Gs
    if not Gs.has_w or Gs.num_channels != 3 or Gs.resolution < 16 or Gs.label_size:
        raise ValueError(f'the network of --run={FLAGS.run} is none of a demo of styles; it must have styles, colours, '
                         f'16 pixels or more and no labels, as that of train.py --config=demo-stylegan.')
    if FLAGS.num_pairs < 2:
        raise ValueError(f'--num_pairs={FLAGS.num_pairs} is not possible; expected 2 or more.')
    latents = np.random.RandomState(0).randn(2 * FLAGS.num_pairs, Gs.latent_size).astype(np.float32)
    w = Gs.truncate(Gs.map(latents))
    coarse, fine = w[:FLAGS.num_pairs], w[FLAGS.num_pairs:]

    def pictures(w):
        return to_uint8(Gs.synthesize(w, noise=Gs.noise_of('stored', latents)), Gs.half_up).numpy()

    sources = {'coarse': pictures(coarse), 'fine': pictures(fine)}
    print(f'{FLAGS.num_pairs} pairs of faces mixed; correlation of the results with')
    print(f'{"styles from the coarse source":>32s}{"its colours":>13s}{"its geometry":>14s}'
          f'{"fine source: colours":>22s}{"geometry":>10s}')
    for cutoff in range(2, Gs.num_layers, 2):
        mixed = pictures(style_layers.mixed(coarse, fine, cutoff))
        numbers = [correlation(what(mixed), what(images)) for images in sources.values() for what in (colours, geometry)]
        side = 2 ** (cutoff // 2 + 1)
        print(f'{f"layers 0 to {cutoff - 1}, up to {side}x{side}":>32s}'
              + '{:13.2f}{:14.2f}{:22.2f}{:10.2f}'.format(*numbers))


def recognise(reals, real_classes, fakes):
    """Trains on three quarters of the reals -> (accuracy on the rest, classes of the fakes). uint8 [N, pixels]."""
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC
    train, test, train_classes, test_classes = train_test_split(
        reals / 255, real_classes, test_size=0.25, random_state=0, stratify=real_classes)
    classifier = SVC(C=10).fit(train, train_classes)
    return classifier.score(test, test_classes), classifier.predict(fakes / 255)


def class_spread(images):
    """Mean over pixels of the standard deviation over the images [N, ...]."""
    return images.std(axis=0).mean()


if __name__ == '__main__':
    runtime.run(main)
