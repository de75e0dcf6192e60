"""Asks TensorFlow Serving for pictures: `python serve_client.py --server=localhost:8500 --seeds=0-7 --out=pictures`.

Over gRPC (port 8500), or over REST with --server=http://localhost:8501. Latents are those of generate.py's seeds; the
pictures come back as PNG files, which are a tenth of the size of numbers in JSON.
"""
import runtime  # isort: skip (it must come before TensorFlow)

import itertools
import os

import numpy as np
from absl import flags

from files import check_new, replacing
from serving.latents import drawn_classes, labels_of, of_seeds, parse_classes, parse_integers
from serving.remote import SIGNATURE, connect, deadline

FLAGS = flags.FLAGS
flags.DEFINE_string('server', 'localhost:8500', 'HOST:PORT for gRPC, http://HOST:PORT for REST.')
flags.DEFINE_string('model', 'progan', 'Name of the model on the server.')
flags.DEFINE_string('seeds', '0-7', 'One picture per seed, e.g. 0-99 or 3,5,8.')
flags.DEFINE_string('class', None, 'Classes to show in turn, e.g. 3, 0-9 or cat,dog; without it each seed draws its own.')
flags.DEFINE_float('truncation', None, 'StyleGAN: how far w goes from the average, 1: all the way; default: the network\'s.')
flags.DEFINE_string('out', None, 'Folder of the pictures.')
flags.DEFINE_bool('overwrite', False, 'Replace pictures that exist.')
flags.DEFINE_integer('minibatch', 8, 'Pictures per request.')
flags.DEFINE_float('timeout', 300.0, 'Seconds after which all pictures have to be there.')


def main(argv):
    if not FLAGS.out or argv[1:]:
        raise ValueError('Use: serve_client.py --server=HOST:PORT --seeds=0-7 --out=FOLDER.')
    if not 1 <= FLAGS.minibatch <= 1024:
        raise ValueError(f'--minibatch is {FLAGS.minibatch}; use 1 to 1024.')
    if not 0 < FLAGS.timeout <= 1e6:
        raise ValueError(f'--timeout is {FLAGS.timeout}; use seconds, above 0 and up to a million.')
    seeds = parse_integers(FLAGS.seeds)
    paths = {seed: os.path.join(FLAGS.out, f'seed{seed:04d}.png') for seed in seeds}
    for path in paths.values():
        check_new(path, FLAGS.overwrite)
    service = connect(FLAGS.server, FLAGS.model, FLAGS.minibatch)
    with deadline(FLAGS.timeout, FLAGS.server):
        signature = SIGNATURE if FLAGS.truncation is None else f'{SIGNATURE}_truncated'
        inputs = inputs_of(seeds, service, signature)
        os.makedirs(FLAGS.out, exist_ok=True)
        for start in range(0, len(seeds), FLAGS.minibatch):
            rows = np.s_[start:start + FLAGS.minibatch]
            pictures = service.pictures({name: value[rows] for name, value in inputs.items()}, signature)
            for seed, picture in zip(seeds[rows], pictures, strict=True):
                with replacing(paths[seed]) as partial, open(partial, 'wb') as file:
                    file.write(picture)
    print(f'{FLAGS.out}: {len(seeds)} pictures')


def inputs_of(seeds, service, signature):
    """{input name: float32 [N, width] or [N]} of seeds and of the flags, for a signature of a service."""
    widths, chosen = service.inputs(signature), FLAGS['class'].value
    inputs, label_size = {'latents': of_seeds(seeds, widths['latents'])}, widths.get('labels', 0)
    if chosen is not None:
        names = service.class_names(label_size, FLAGS.minibatch)
        classes = parse_classes(chosen, names)
        inputs['labels'] = labels_of([*itertools.islice(itertools.cycle(classes), len(seeds))], label_size)
    elif label_size:
        inputs['labels'] = labels_of(drawn_classes(seeds, label_size), label_size)
    if FLAGS.truncation is not None:
        inputs['truncation'] = np.full(len(seeds), FLAGS.truncation, np.float32)
    return inputs


if __name__ == '__main__':
    runtime.run(main)
