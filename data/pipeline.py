"""Batches for training: a stateless, endless stream of real images whose only state is the number of images shown.

Image number p of the stream is image permutation(epoch)[p % N] with epoch = p // N, whatever the minibatch and however
many devices and workers share it. What is random about it is a function of (seed, p), so training resumes with the very
next image.
"""
import functools

import numpy as np
import tensorflow as tf


@functools.lru_cache(maxsize=4)
def permutation(num_images, seed, epoch):
    """Order of the images in one epoch: int64 [num_images]."""
    return np.random.RandomState([seed, epoch]).permutation(num_images)  # Whose streams are the same in every NumPy.


def image_indices(num_images, seed, positions):
    """Data set indices of the images at `positions` of the stream. int64 [n] -> int64 [n]."""
    epochs, offsets = np.divmod(positions, num_images)
    indices = np.empty_like(positions)
    for epoch in np.unique(epochs):
        rows = epochs == epoch
        indices[rows] = permutation(num_images, seed, epoch)[offsets[rows]]
    return indices


def random_words(seed, position, count):
    """Four random words for each of `count` positions from `position` on: uint64 [count, 4].

    Philox is counter-based and gives four words per count (Salmon et al., 2011), so nothing before `position` is
    generated.
    """
    return np.random.Philox(key=seed, counter=position).random_raw(4 * count).reshape(count, 4)


def element_positions(elements, minibatch, rounds, context):
    """Positions in the stream, from its start, of the images in a worker's `elements`: int64 [len(elements), rounds, n].

    Successive elements go to successive replicas of the worker; replica r of all takes rows [r * n, (r + 1) * n) of
    each minibatch, so the stream as a whole is the same however many replicas and workers share it.
    """
    n = minibatch // context.num_replicas_in_sync
    replicas = context.num_replicas_in_sync // context.num_input_pipelines  # Of this worker.
    iterations, replica = np.divmod(elements[:, np.newaxis, np.newaxis], replicas)
    minibatches = iterations * rounds + np.arange(rounds)[:, np.newaxis]
    return minibatches * minibatch + (context.input_pipeline_id * replicas + replica) * n + np.arange(n)


def read_images(dataset, level, indices, flip):
    """Images at `indices`, mirrored where `flip`: uint8 [n, r, r, C]."""
    side = dataset.resolution >> level
    images = np.empty([len(indices), side, side, dataset.num_channels], np.uint8)
    some = max(2 ** 20 // images[0].size, 1)  # What is read at a time stays in the cache.
    for start in range(0, len(indices), some):
        rows = slice(start, start + some)
        planes = dataset.read(level, indices[rows])
        planes[flip[rows]] = planes[flip[rows], :, :, ::-1]
        for channel in range(dataset.num_channels):  # Faster than copying a transposed view.
            images[rows, :, :, channel] = planes[:, channel]
    return images


def batches(dataset, level, minibatch, rounds, position, seed, mirror, input_context=None):
    """Endless tf.data.Dataset of what one replica consumes in one training iteration of `rounds` minibatches.

    An element is a dict of `images` uint8 [rounds, n, r, r, C], `labels` and `random_labels` float32
    [rounds, n, label_size]; random labels are those of uniformly drawn images, for G. n = minibatch / number of replicas,
    r = resolution >> level. `position`: real images shown before; `mirror`: flips each image with probability 0.5;
    `input_context`: as given by tf.distribute.Strategy.distribute_datasets_from_function.
    """
    context = input_context or tf.distribute.InputContext()
    if minibatch % context.num_replicas_in_sync:
        raise ValueError(f'minibatch {minibatch} cannot be shared equally by '
                         f'{context.num_replicas_in_sync} devices; choose a multiple of their number.')
    side, n = dataset.resolution >> level, minibatch // context.num_replicas_in_sync
    element_bytes = rounds * n * side * side * dataset.num_channels
    group = min(max(2 ** 18 // element_bytes, 1), 16)  # Calling Python costs a quarter of a millisecond.

    def read(index):
        """Elements number index * group and on, their images in one read."""
        elements = index * group + np.arange(group)
        positions = element_positions(elements, minibatch, rounds, context)
        shape, first = positions.shape, positions[0, 0, 0]
        offsets = positions.reshape(-1) - first
        words = random_words(seed, position + first, offsets[-1] + 1)[offsets]
        indices = image_indices(dataset.num_images, seed, position + first + offsets)
        flip = (words[:, 0] % 2 == 1) & mirror
        random_indices = words[:, 1] % np.uint64(dataset.num_images)
        images = read_images(dataset, level, indices, flip)
        arrays = images, dataset.labels[indices], dataset.labels[random_indices]
        return [array.reshape(*shape, *array.shape[1:]) for array in arrays]

    def load(index):
        images, labels, random_labels = tf.numpy_function(read, [index], [tf.uint8, tf.float32, tf.float32])
        images.set_shape([group, rounds, n, side, side, dataset.num_channels])
        labels.set_shape([group, rounds, n, dataset.label_size])
        random_labels.set_shape(labels.shape)
        group_of_elements = {'images': images, 'labels': labels, 'random_labels': random_labels}
        return group_of_elements if dataset.label_size else {'images': images}

    def without_labels(element):
        return {**element, 'labels': tf.zeros([rounds, n, 0]), 'random_labels': tf.zeros([rounds, n, 0])}

    groups = tf.data.Dataset.counter().map(load, num_parallel_calls=2, deterministic=True)
    if group > 1:
        elements = groups.unbatch()
    else:  # Without the copy that unbatch makes of each image.
        elements = groups.map(lambda one: {key: value[0] for key, value in one.items()})
    if not dataset.label_size:  # Added now, as TensorFlow 2.21's unbatch crashes on tensors without elements.
        elements = elements.map(without_labels)
    # Nothing here is left to tune, and tearing down an iterator waits for the tuner to wake up, a minute at times.
    options = tf.data.Options()
    options.autotune.enabled = False
    return elements.prefetch(2 * context.num_replicas_in_sync // context.num_input_pipelines).with_options(options)
