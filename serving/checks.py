"""What a served model refuses, in one sentence each: in the graph, for nothing else of this project reaches the server.

Servers feed what they are sent without comparing it with the declared shapes; some wrong ones end the whole server. One that
batches fails all requests of a batch where one is refused.
"""
import tensorflow as tf


def latents(values):
    """Latents, as they are; refused unless finite, which would give black pictures."""
    return _finite('latents', _shaped('latents', values))


def labels(values, count, classes):
    """`count` labels, as they are; refused unless finite and, if they stand for `classes`, shares of them that sum to 1."""
    size = values.shape[1]
    values = _require(tf.shape(values)[0] == count, _shaped('labels', values),
                      'labels and what they belong to differ in number; expected is one row of labels for each.')
    if not classes or size == 1:
        return _finite('labels', values)
    sound = tf.reduce_all(values >= 0) & tf.reduce_all(tf.abs(tf.reduce_sum(values, 1) - 1) < 1e-3)  # False of NaN too.
    return _require(sound, values, f'labels are no classes; expected are {size} numbers per row, 1 at the class and 0 '
                                   f'elsewhere, or shares of several classes that sum to 1.')


def truncation(values, count):
    """`count` numbers, one for each image, as they are; refused unless finite."""
    values = _require(tf.shape(values)[0] == count, _shaped('truncation', values),
                      'truncation and what it belongs to differ in number; expected is one number for each.')
    return _finite('truncation', values)


def w(values):
    """w, as they are; refused unless finite."""
    return _finite('w', _shaped('w', values))


def classes(values, count):
    """Numbers of `count` classes, as they are; refused where there are no such classes."""
    return _require(tf.reduce_all((values >= 0) & (values < count)), _shaped('classes', values),
                    f'classes are out of range; expected are 0 to {count - 1}.')


def seeds(values):
    """Seeds, as they are; refused where generate.py refuses them."""
    return _require(tf.reduce_all((values >= 0) & (values < 2 ** 32)), _shaped('seeds', values),
                    'seeds are out of range; expected are 0 to 4294967295.')


def images(values):
    """Images, as they are; refused where there are none: the statistics of a minibatch would have no meaning."""
    return _require(tf.shape(values)[0] > 0, _shaped('images', values), 'there are no images; expected is at least one.')


def _finite(name, values):
    return _require(tf.reduce_all(tf.math.is_finite(values)), values,
                    f'{name} are NaN or infinite; expected are finite numbers.')


def _shaped(name, values):
    """Values, refused where their shape is not what their static shape says it is."""
    expected = ', '.join(['N', *map(str, values.shape[1:])])
    # Raw, for tf.rank and tf.shape believe the static shape.
    rank, shape = tf.raw_ops.Rank(input=values), tf.raw_ops.Shape(input=values)
    sentence = tf.strings.format(f'{name} are {{}}; expected are [{expected}].', shape)
    values = _require(rank == len(values.shape), values, sentence)
    return _require(tf.reduce_all(tf.raw_ops.Shape(input=values)[1:] == values.shape[1:]), values, sentence)


def _require(condition, values, sentence):
    with tf.control_dependencies([tf.debugging.Assert(condition, [sentence])]):
        return tf.identity(values)
