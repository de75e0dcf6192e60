"""Writes a network as a model to serve: `python export.py --network=NET --out=models/progan`."""
import runtime  # isort: skip (it must come before TensorFlow)

import contextlib
import json
import logging
import os
import pathlib
import tempfile
import warnings

import numpy as np
from absl import flags

import files
from command_line import check_given, check_needed
from official.locate import find_network

FLAGS = flags.FLAGS
flags.DEFINE_string('network', None, 'A snapshot .h5, an official .pkl, or a run by folder, number, name or latest.')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_string('out', None, 'Folder of the model; each SavedModel becomes its next version: OUT/1, OUT/2, ...')
flags.DEFINE_list('formats', ['saved_model'], 'Any of saved_model, keras, tflite, onnx.')
flags.DEFINE_float('lod', None, 'Level of detail, 0 = full resolution; default: the one stored in the network.')
flags.DEFINE_enum('dtype', 'float32', ['float32', 'float16', 'bfloat16'], 'Activations; weights stay float32.')
flags.DEFINE_enum('labels', 'classes', ['classes', 'numbers'], 'What labels of several numbers are: classes, and the model '
                  'refuses others than shares that sum to 1, or any numbers.')
flags.DEFINE_bool('freeze', False, 'Weights as constants of the SavedModel, not as variables.')
flags.DEFINE_bool('overwrite', False, 'Replace generator.keras, .tflite, .onnx and the server\'s config files in --out.')


def main(argv):
    check_given('network', 'out')
    writers = {'saved_model': export_saved_model, 'keras': export_keras, 'tflite': export_tflite, 'onnx': export_onnx}
    unknown = [*argv[1:], *(name for name in FLAGS.formats if name not in writers)]
    if unknown or not FLAGS.formats:
        raise ValueError(f'{unknown[0] if unknown else "Nothing"!r} cannot be exported; --formats takes '
                         f'{", ".join(writers)}.')
    if FLAGS.dtype != 'float32' and {'tflite', 'onnx'} & set(FLAGS.formats):
        raise ValueError(f'--dtype={FLAGS.dtype} is for saved_model and keras; export tflite and onnx in float32.')

    check_needed('saved_model in --formats', 'saved_model' in FLAGS.formats, ('freeze',))
    files.check_folder(FLAGS.out)
    for name in set(FLAGS.formats) - {'saved_model'}:
        files.check_new(os.path.join(FLAGS.out, f'generator.{name}'), FLAGS.overwrite)
    source = find_network(FLAGS.network, FLAGS.results_dir)
    from networks.architectures import copy_of  # Late: what is wrong above is told before TensorFlow is imported.
    from official.locate import load_network
    snapshot = load_network(source, names=('Gs', 'D'))
    original, Gs, D = snapshot.Gs, snapshot.Gs, snapshot.D
    if FLAGS.dtype != 'float32':
        Gs, D = (copy_of(network, f'mixed_{FLAGS.dtype}') for network in (Gs, D))
    lod = Gs.stored_lod if FLAGS.lod is None else Gs.check_lod(FLAGS.lod)
    with staged(FLAGS.out) as (folder, version):
        for name in dict.fromkeys(FLAGS.formats):
            run = writers[name](os.path.join(folder, version) if name == 'saved_model' else folder, Gs, D, lod)
            check(name, run, original, Gs, lod)
        if 'saved_model' in FLAGS.formats:
            with open(os.path.join(folder, version, 'assets.extra', 'network.json'), 'w') as file:
                json.dump({'source': os.path.basename(source), 'nimg': snapshot.nimg, 'lod': lod,
                           'dtype': FLAGS.dtype, 'frozen': FLAGS.freeze, 'resolution': Gs.resolution,
                           'num_channels': Gs.num_channels, 'latent_size': Gs.latent_size,
                           'label_size': Gs.label_size, 'class_names': Gs.class_names, **facts_of_w(Gs)}, file, indent=2)
        written = sorted(os.listdir(folder))
    print(f'{FLAGS.out}: {Gs.resolution}x{Gs.resolution} at lod {lod:g}: {", ".join(written)}')


def facts_of_w(Gs):
    """What network.json says of a generator with w; nothing of another."""
    if not Gs.has_w:
        return {}
    return {'w': [Gs.layers_at(0), Gs.dlatent_size], 'truncation': Gs.settings.truncation_psi,
            'truncation_cutoff': Gs.settings.truncation_cutoff}


@contextlib.contextmanager
def staged(base):
    """A folder whose content moves to `base` if all goes well. -> (folder, next version of the model as a string)

    TensorFlow Serving watches `base` for folders that are numbers, each a SavedModel, and minds nothing else there.
    """
    import tensorflow as tf
    new = [path for path in (base, *map(str, pathlib.Path(base).parents)) if not os.path.exists(path)]
    try:
        os.makedirs(base, exist_ok=True)
        with files.staging(os.path.join(base, 'export'), 'written') as folder:
            version = str(max([int(name) for name in os.listdir(base) if name.isdecimal()], default=0) + 1)
            yield folder, version
            for name in os.listdir(folder):
                if name.endswith('.config') and os.path.exists(os.path.join(base, name)) and not FLAGS.overwrite:
                    continue  # The user's own settings, perhaps.
                move = files.move_folder if os.path.isdir(os.path.join(folder, name)) else files.replace
                move(os.path.join(folder, name), os.path.join(base, name))
    except BlockingIOError:  # Another export.
        raise
    except (OSError, RuntimeError, tf.errors.OpError) as error:  # What a full disk raises depends on who writes.
        raise OSError(f'{base} cannot be written ({str(error).strip().splitlines()[0]}); free disk space or check '
                      f'permissions.') from error
    finally:
        for path in new:
            with contextlib.suppress(OSError):  # Not empty: all went well.
                os.rmdir(path)


def export_saved_model(folder, Gs, D, lod):
    """The SavedModel with all signatures in `folder`, and the server's config files beside it. -> see `check`"""
    import tensorflow as tf

    from serving import signatures
    signatures.write_saved_model(folder, signatures.signatures(Gs, D, lod, FLAGS.freeze, FLAGS.labels == 'classes'))
    for name, text in (('batching.config', signatures.BATCHING_CONFIG), ('monitoring.config', signatures.MONITORING_CONFIG)):
        with open(os.path.join(os.path.dirname(folder), name), 'w') as file:
            file.write(text)
    served = tf.saved_model.load(folder).signatures['serving_default']
    return lambda inputs: served(**{name: tf.constant(value) for name, value in inputs.items()})['images'].numpy()


def export_keras(folder, Gs, D, lod):
    """The generator as a .keras file, with its lod stored; `keras.saving.load_model` needs networks.progan imported."""
    import keras

    from serving.generate import to_uint8
    path, before = os.path.join(folder, 'generator.keras'), Gs.stored_lod
    Gs.lod.assign(lod)
    try:
        Gs.save(path)
    finally:
        Gs.lod.assign(before)
    loaded = keras.saving.load_model(path)
    return lambda inputs: to_uint8(loaded.generate(**inputs, lod=loaded.stored_lod), loaded.half_up).numpy()


def export_tflite(folder, Gs, D, lod):
    """The generator as .tflite, with the SavedModel's signature serving_default: any N."""
    import tensorflow as tf

    from serving.signatures import constant_generator
    module, path = tf.Module(), os.path.join(folder, 'generator.tflite')
    with tempfile.TemporaryDirectory() as saved:
        tf.saved_model.save(module, saved, {'serving_default': constant_generator(Gs, lod)})
        model = tf.lite.TFLiteConverter.from_saved_model(saved).convert()
    with open(path, 'wb') as file:
        file.write(model)
    with warnings.catch_warnings(action='ignore', category=UserWarning):  # It advises another package.
        runner = tf.lite.Interpreter(path).get_signature_runner('serving_default')
    return lambda inputs: runner(**inputs)['images']


def export_onnx(folder, Gs, D, lod):
    """The generator as generator.onnx, with the SavedModel's names: any N."""
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise ValueError(f'ONNX needs {error.name}; install it with: pip install tf2onnx onnxruntime') from error

    from serving.signatures import generator
    logging.getLogger('tf2onnx').setLevel(logging.WARNING)  # It tells each of its steps.
    path, function = os.path.join(folder, 'generator.onnx'), generator(Gs, lod)
    model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=17)
    output, = model.graph.output
    for node in model.graph.node:  # The converter knows no names of outputs.
        node.output[:] = ['images' if name == output.name else name for name in node.output]
        node.input[:] = ['images' if name == output.name else name for name in node.input]
    output.name = 'images'
    with open(path, 'wb') as file:
        file.write(model.SerializeToString())
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return lambda inputs: session.run(['images'], inputs)[0]


def check(format, run, original, Gs, lod):
    """Compares the pictures of an exported generator, run({'latents': ..}) -> uint8, with those of the network it is of.

    `original` is that network in float32, `Gs` the same in the --dtype that was asked for.
    """
    from serving.generate import generate_images
    from serving.latents import labels_of
    n = 2
    inputs = {'latents': np.random.RandomState(0).randn(n, Gs.latent_size).astype(np.float32)}
    if Gs.label_size:
        inputs['labels'] = labels_of(np.arange(n) % Gs.label_size, Gs.label_size)
    pictures = run(inputs).astype(int)

    def difference(network):
        return np.abs(pictures - np.concatenate([*generate_images(network, lod=lod, **inputs)]))
    converted = difference(Gs)
    allowed = 1 if FLAGS.dtype == 'float32' else 8  # Half precision rounds differently in differently fused kernels.
    if converted.max() > allowed or (FLAGS.dtype == 'float32' and (converted > 0).mean() > 0.001):
        raise ValueError(f'The {format} model gives other pictures than {FLAGS.network}, up to {converted.max()} '
                         f'levels apart, and was removed; use another of the --formats.')
    lost = converted if Gs is original else difference(original)
    print(f'{format}: {FLAGS.dtype} pictures at most {lost.max()} of 255 levels from the network in float32, '
          f'different in {(lost > 0).mean():.2%} of values')


if __name__ == '__main__':
    runtime.run(main)
