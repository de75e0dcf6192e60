"""The signatures of a served model, and what lies beside them for TensorFlow Serving."""
import functools
import os

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from networks.growth import split_lod
from serving import checks
from serving.generate import to_uint8
from serving.seeded import randn

WARMUP_SIZES = (1, 2, 4, 8)  # Also the allowed batch sizes: every size that the server runs has been run before.

BATCHING_CONFIG = '\n'.join([
    f'max_batch_size {{ value: {max(WARMUP_SIZES)} }}', 'batch_timeout_micros { value: 2000 }',
    'max_enqueued_batches { value: 100 }', *(f'allowed_batch_sizes: {size}' for size in WARMUP_SIZES), ''])
MONITORING_CONFIG = '''prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
'''


def generator(Gs, lod):
    """A tf.function: latents [N, latent_size] (and labels [N, label_size]) -> images uint8 [N, R, R, C]."""
    specs = [tf.TensorSpec([None, Gs.latent_size], tf.float32, name='latents')]
    if Gs.label_size:
        specs.append(tf.TensorSpec([None, Gs.label_size], tf.float32, name='labels'))

    def images(latents, labels=None):
        return to_uint8(Gs.generate(latents, labels, lod=lod))
    return tf.function(images, input_signature=specs)


def signatures(Gs, D, lod, freeze=False, classes=True):
    """{name: tf.function with named inputs and outputs} of a generator and its discriminator at one lod.

    serving_default: latents [N, latent_size] (labels [N, label_size]) -> images uint8 [N, R, R, C]
    generate_png:    the same -> image_bytes string [N], PNG
    generate_seeded: seeds int64 [N] (labels) -> images, from numpy.random.RandomState(seed).randn(1, latent_size)
    generate_seeded_png: seeds (labels) -> image_bytes
    discriminate:    images uint8 [N, R, R, C] -> score [N], label_logits [N, D.num_logits]
    class_names:     classes int64 [N] -> names string [N], where they have names

    and of a generator with w, whose noise is the stored one:
    map:             latents (labels) -> w float32 [N, layers, W], from which `synthesize` makes serving_default's images
    synthesize:      w -> images
    synthesize_png:  w -> image_bytes
    *_truncated:     of map and each that generates, with the further input truncation float32 [N]: how far w goes from its
                     average, in the layers that the network truncates by itself, or in all if it truncates none

    `labels` only exist in a conditional network; in discriminate if the score depends on them. With `freeze` the weights are
    constants of the graph. What `checks` refuses ends in an error of the server; with `classes` that is labels which are no
    class or mixture of classes.
    """
    fixed = _frozen if freeze else (lambda function: function)
    latents, *labels = generator(Gs, lod).input_signature
    seeds, images = tf.TensorSpec([None], tf.int64, name='seeds'), tf.TensorSpec(
        [None, Gs.resolution, Gs.resolution, Gs.num_channels], tf.uint8, name='images')
    psi = tf.TensorSpec([None], tf.float32, name='truncation')
    to_w, to_images = _two_networks(Gs, lod, fixed) if Gs.has_w else (None, None)
    generate = fixed(generator(Gs, lod)) if to_w is None else lambda *given, **psi: to_images(to_w(*given, **psi))
    draw = tf.function(lambda seeds: randn(seeds, Gs.latent_size), input_signature=[seeds])  # Large: it is there once.
    judged = [images, *(labels if D.judges_labels else [])]
    score = fixed(tf.function(lambda images, labels=None: _discriminate(D, images, labels, lod), input_signature=judged))

    def made(make, latents=None, seeds=None, labels=None, truncation=None):
        x = checks.latents(latents) if seeds is None else draw(checks.seeds(seeds))
        n = tf.shape(x)[0]
        options = {} if truncation is None else {'truncation': checks.truncation(truncation, n)}
        return make(x, *checked_labels(labels, n), **options)

    def checked_labels(labels, n):
        return [] if labels is None else [checks.labels(labels, n, classes)]

    def judge(images, labels=None):
        scores, logits = score(checks.images(images), *checked_labels(labels, tf.shape(images)[0]))
        return {'score': scores, 'label_logits': logits}

    endpoints = {}
    for ending, more in ('', []), *([('_truncated', [psi])] if Gs.has_w and Gs.averages else []):
        for name, start, output, make in (
                ('serving_default', latents, 'images', generate), ('generate_png', latents, 'image_bytes', generate),
                ('generate_seeded', seeds, 'images', generate), ('generate_seeded_png', seeds, 'image_bytes', generate),
                *([('map', latents, 'w', to_w)] if to_w else [])):
            endpoints[name + ending] = _endpoint([start, *labels, *more], output, functools.partial(made, make))
    if to_w:
        w = _w_of(Gs)
        for name, output in ('synthesize', 'images'), ('synthesize_png', 'image_bytes'):
            endpoints[name] = _endpoint([w], output, lambda w: to_images(checks.w(w)))
    if Gs.class_names:
        endpoints['class_names'] = _endpoint(
            [tf.TensorSpec([None], tf.int64, name='classes')], 'names',
            lambda classes: tf.gather(tf.constant(Gs.class_names), checks.classes(classes, len(Gs.class_names))))
    return endpoints | {'discriminate': tf.function(judge, input_signature=judged)}


def _endpoint(specs, output, run):
    """A tf.function of the inputs that `specs` name -> {output: run(**inputs)}, in PNG where that is image_bytes."""
    def endpoint(*values):
        result = run(**{spec.name: value for spec, value in zip(specs, values, strict=True)})
        return {output: encode_png(result) if output == 'image_bytes' else result}
    return tf.function(endpoint, input_signature=specs)


def _two_networks(Gs, lod, fixed):
    """(to_w(latents, labels.., truncation=None) -> w, truncated; to_images(w) -> uint8), the weights of both `fixed`."""
    inputs, w = generator(Gs, lod).input_signature, _w_of(Gs)
    mapped = fixed(tf.function(lambda latents, labels=None: Gs.map(latents, labels), input_signature=inputs))
    truncated = fixed(tf.function(lambda w: tf.identity(Gs.truncate(w)), input_signature=[w]))
    nearer, (level, fade) = None, split_lod(lod)
    if Gs.averages:
        nearer = fixed(tf.function(lambda w, psi: Gs.truncate(w, psi, Gs.default_cutoff or Gs.num_layers),
                                   input_signature=[w, tf.TensorSpec([None], tf.float32)]))

    def synthesize(w):
        noise = Gs.noise_of('stored', w, level)
        return to_uint8(Gs.at_full_resolution(Gs.synthesize(w, level, fade, noise=noise), level))

    def to_w(*inputs, truncation=None):
        w = mapped(*inputs)
        return truncated(w) if truncation is None else nearer(w, truncation)
    return to_w, fixed(tf.function(synthesize, input_signature=[w]))


def _w_of(Gs):
    return tf.TensorSpec([None, Gs.layers_at(0), Gs.dlatent_size], tf.float32, name='w')


def encode_png(images):
    """uint8 [N, H, W, C] -> PNG files, string [N]."""
    # Level 1: at 1024x1024 the default takes about ten times as long and saves an eighth of the bytes.
    return tf.map_fn(lambda image: tf.io.encode_png(image, compression=1), images, fn_output_signature=tf.string)


def _discriminate(D, images, labels, lod):
    """Scores of any number of images; minibatch stddev gets full groups, the missing images repeat the first ones."""
    n = tf.shape(images)[0]
    group = tf.minimum(D.group_size, n)
    padded = -(-n // tf.maximum(group, 1)) * group
    rows = tf.range(padded) % tf.maximum(n, 1)
    images, labels = tf.gather(images, rows), None if labels is None else tf.gather(labels, rows)
    scores, logits = D.discriminate(tf.cast(images, tf.float32) / 127.5 - 1.0, lod, labels)
    return scores[:n], logits[:n]


def freeze_variables(function):
    """The concrete function of a traced tf.function with constants in place of variables."""
    return convert_variables_to_constants_v2(function.get_concrete_function())


def constant_generator(Gs, lod):
    """The function of serving_default, traced, with constants for weights: what converters of a graph take.

    Of Keras 3 variables that of TFLite writes uninitialized memory.
    """
    function = generator(Gs, lod)
    frozen = _frozen(function)

    def serving_default(latents, labels=None):
        return {'images': frozen(latents) if labels is None else frozen(latents, labels)}
    return tf.function(serving_default, input_signature=function.input_signature).get_concrete_function()


def _frozen(function):
    frozen = freeze_variables(function)

    def call(*inputs):
        outputs = frozen(*inputs)
        return outputs[0] if len(outputs) == 1 else outputs
    return call


def write_saved_model(folder, endpoints):
    """Writes a SavedModel with the endpoints of `signatures` and the warm-up requests of TensorFlow Serving."""
    archive = keras.export.ExportArchive()
    for name, function in endpoints.items():  # Tracking the networks as well would save every weight twice.
        function.get_concrete_function()  # Traces it: the archive takes traced functions.
        archive.add_endpoint(name, function)
    archive.write_out(folder, verbose=False)
    extra = os.path.join(folder, 'assets.extra')
    os.makedirs(extra)
    with tf.io.TFRecordWriter(os.path.join(extra, 'tf_serving_warmup_requests')) as writer:
        for log in warmup_logs(endpoints):
            writer.write(log.SerializeToString())


def warmup_logs(endpoints):
    """PredictionLogs of real requests: every signature at every allowed batch size, but discriminate at one."""
    for name, function in endpoints.items():
        for size in WARMUP_SIZES[:1] if name == 'discriminate' else WARMUP_SIZES:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = 'progan'
            request.model_spec.signature_name = name
            for spec in function.input_signature:
                value = tf.zeros([size, *spec.shape[1:]], spec.dtype)
                if spec.name == 'labels':
                    value += tf.one_hot([0], spec.shape[1])
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(value))
            yield prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
