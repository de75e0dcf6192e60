"""The signatures of a served model, and what lies beside them for TensorFlow Serving."""
import os

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

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
        return to_uint8(Gs.generate(latents, labels, lod=lod), Gs.half_up)
    return tf.function(images, input_signature=specs)


def signatures(Gs, D, lod, freeze=False, classes=True):
    """{name: tf.function with named inputs and outputs} of a generator and its discriminator at one lod.

    serving_default: latents [N, latent_size] (labels [N, label_size]) -> images uint8 [N, R, R, C]
    generate_png:    the same -> image_bytes string [N], PNG
    generate_seeded: seeds int64 [N] (labels) -> images, from numpy.random.RandomState(seed).randn(1, latent_size)
    generate_seeded_png: seeds (labels) -> image_bytes
    discriminate:    images uint8 [N, R, R, C] -> score [N], label_logits [N, D.num_logits]

    `labels` only exist in a conditional network; in discriminate if the score depends on them. With `freeze` the weights are
    constants of the graph. What `checks` refuses ends in an error of the server; with `classes` that is labels which are no
    class or mixture of classes.
    """
    generate = generator(Gs, lod)
    latents, *labels = generate.input_signature
    images = tf.TensorSpec([None, Gs.resolution, Gs.resolution, Gs.num_channels], tf.uint8, name='images')
    seeds = tf.TensorSpec([None], tf.int64, name='seeds')

    judged = [images, *(labels if D.judges_labels else [])]
    discriminate = tf.function(lambda images, labels=None: D.judge(images, labels, lod), input_signature=judged)
    if freeze:  # All signatures call one function: the constants are there once.
        generate, discriminate = map(_frozen, (generate, discriminate))

    def given(x, labels):
        return x, *([] if labels is None else [checks.labels(labels, tf.shape(x)[0], classes)])

    def serving_default(latents, labels=None):
        return {'images': generate(*given(checks.latents(latents), labels))}

    def generate_png(latents, labels=None):
        return {'image_bytes': encode_png(generate(*given(checks.latents(latents), labels)))}

    def generate_seeded(seeds, labels=None):
        return {'images': generate(*given(randn(checks.seeds(seeds), Gs.latent_size), labels))}

    def generate_seeded_png(seeds, labels=None):
        return {'image_bytes': encode_png(generate_seeded(seeds, labels)['images'])}

    def judge(images, labels=None):
        scores, logits = discriminate(*given(checks.images(images), labels))
        return {'score': scores, 'label_logits': logits}

    return {'serving_default': tf.function(serving_default, input_signature=[latents, *labels]),
            'generate_png': tf.function(generate_png, input_signature=[latents, *labels]),
            'generate_seeded': tf.function(generate_seeded, input_signature=[seeds, *labels]),
            'generate_seeded_png': tf.function(generate_seeded_png, input_signature=[seeds, *labels]),
            'discriminate': tf.function(judge, input_signature=judged)}


def encode_png(images):
    """uint8 [N, H, W, C] -> PNG files, string [N]."""
    # Level 1: at 1024x1024 the default takes about ten times as long and saves an eighth of the bytes.
    return tf.map_fn(lambda image: tf.io.encode_png(image, compression=1), images, fn_output_signature=tf.string)


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
    """PredictionLogs of real requests: every generating signature at every allowed batch size, discriminate at one."""
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
