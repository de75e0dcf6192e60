"""Grades the demo: does a classifier of the real digits recognise the pictures, and are they varied enough?"""
import runtime  # isort: skip (it must come before TensorFlow)

import numpy as np
from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_string('run', 'latest', 'The run to grade: latest, a number, a name or a path.')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_integer('num_images', 1000, 'Pictures to grade, the same number of each class.')


def main(argv):
    import config as configs
    import runs
    from data.tfrecords import open_dataset
    from official.locate import load_network
    from serving.generate import to_uint8
    from serving.latents import labels_of

    run_dir = runs.locate(FLAGS.results_dir, FLAGS.run)
    data = configs.load(f'{run_dir}/config.json').data
    Gs = load_network(run_dir, names=['Gs']).Gs
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
