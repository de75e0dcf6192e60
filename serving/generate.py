"""Latents -> pictures: the one iterator that generating, measuring and serving share."""
import concurrent.futures
import inspect
import itertools
import re

import numpy as np
import tensorflow as tf

from networks.architectures import copy_of
from networks.growth import downscale, split_lod
from runtime import two_at_a_time


def to_uint8(images, half_up=False):
    """About [-1, 1] -> uint8: rint(x * 127.5 + 127.5), half to even or up, clipped to 0..255."""
    levels = tf.floor(images * 127.5 + 128.0) if half_up else tf.round(images * 127.5 + 127.5)
    return tf.cast(tf.clip_by_value(levels, 0.0, 255.0), tf.uint8)


def first_devices(count=None):
    """Names of the first `count` GPUs (default: all), or of the CPU where there are none; ValueError if there are fewer."""
    found = [device.name for device in tf.config.list_logical_devices('GPU')] or ['CPU:0']
    if count is not None and not 1 <= count <= len(found):
        raise ValueError(f'--devices={count} was asked for; TensorFlow sees {len(found)}: {", ".join(found)}.')
    return found[:count]


def default_minibatch(resolution):
    """As many images as 12 MB hold, 4 to 64: 4 at 1024x1024, 64 up to 256x256."""
    return min(max(2 ** 22 // resolution ** 2, 4), 64)


def generate_images(Gs, latents, labels=None, lod=None, minibatch=8, shrink=1, devices=None, options=None,
                    noise_numbers=None):
    """Generates pictures minibatch by minibatch -> iterator of uint8 [n, R/shrink, R/shrink, C], in order.

    `latents` are float32 [N, latent_size], `labels` float32 [N, label_size] or None; `lod` defaults to the one
    stored in the network, `shrink` is a box mean in float, `options` are those of its architecture, `noise_numbers` float32
    [N, P] those that its `noise_of` takes. Successive minibatches go to successive `devices` (default: all GPUs, else the
    CPU). Raises ValueError for wrong shapes, lod, shrink or options, and for a minibatch too large for the memory.
    """
    latents, labels = check_inputs(Gs, latents, labels)
    options = check_options(Gs, options or {})

    def generate(network, lod, latents, labels, *numbers):
        return network.generate(latents, labels, lod, **options, **({'noise': numbers[0]} if numbers else {}))
    rows = (latents, labels) if noise_numbers is None else (latents, labels, noise_numbers)
    return _pictures(Gs, generate, rows, lod, minibatch, shrink, devices)


def synthesize_images(Gs, w, seeds=None, lod=None, minibatch=8, shrink=1, devices=None, noise='stored', maps=None,
                      noise_numbers=None):
    """Pictures of w float32 [N, layers, W], as `generate_images` makes them of latents.

    `noise` is one of the network's kinds; the random one is a function of `seeds` float32 [N, 2 or more], by default the
    first layer of w. `maps` limits noise to the maps of these numbers. `noise_numbers` are those of `generate_images`.
    """
    w = np.asarray(w, np.float32)
    seeds = w[:, 0] if seeds is None else np.asarray(seeds, np.float32)
    check_options(Gs, {'noise': noise})

    def synthesize(network, lod, w, seeds, *numbers):
        level, fade = split_lod(lod)
        given = network.noise_of(numbers[0] if numbers else noise, seeds, level)
        given = [one if maps is None or index in maps else None for index, one in enumerate(given)]
        return network.at_full_resolution(network.synthesize(w, level, fade, noise=given), level)
    rows = (w, seeds) if noise_numbers is None else (w, seeds, noise_numbers)
    return _pictures(Gs, synthesize, rows, lod, minibatch, shrink, devices)


def map_latents(Gs, latents, labels=None, truncation=None, cutoff=None):
    """w float32 [N, layers, W] of latents and labels, truncated as `Gs.generate` does it."""
    latents, labels = check_inputs(Gs, latents, labels)
    check_options(Gs, {'truncation': truncation, 'truncation_cutoff': cutoff})
    mapped = tf.function(lambda latents, labels: Gs.truncate(Gs.map(latents, labels), truncation, cutoff),
                         input_signature=[tf.TensorSpec([None, Gs.latent_size]), tf.TensorSpec([None, Gs.label_size])])
    return np.concatenate([mapped(latents[i:i + 1024], labels[i:i + 1024]) for i in range(0, max(len(latents), 1), 1024)])


def _pictures(Gs, make, inputs, lod, minibatch, shrink, devices):
    """Iterator of uint8 pictures of the rows of `inputs`; make(network, lod, *rows) -> float32 images at full resolution."""
    lod = Gs.stored_lod if lod is None else Gs.check_lod(lod)
    if shrink < 1 or Gs.resolution % shrink:
        raise ValueError(f'Images of {Gs.resolution} pixels cannot be shrunk by {shrink}; use a power of two.')
    if minibatch < 1:
        raise ValueError(f'The minibatch is {minibatch}; use 1 or more.')
    devices = devices or first_devices()
    on_cpu = 'CPU' in devices[0]
    calls = 2 if on_cpu and two_at_a_time(Gs.settings.fmap_max) else 1
    n = len(inputs[0])
    if on_cpu:
        _check_memory(Gs, min(minibatch, n), min(calls * len(devices), -(-n // minibatch)))
    functions = on_devices(Gs, devices, lambda network: _maker(network, make, inputs, lod, shrink))
    rows = (slice(i, i + minibatch) for i in range(0, n, minibatch))
    return run_all(functions, (tuple(array[some] for array in inputs) for some in rows), calls)


def check_options(Gs, options):
    """The options, {name: value}; ValueError for one that the architecture's `generate` does not take, or not so."""
    known = [name for name, parameter in inspect.signature(Gs.generate).parameters.items()
             if parameter.kind is parameter.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            raise ValueError(f'--{name} is no option of networks of kind {Gs.kind}, which have '
                             f'{", ".join(f"--{other}" for other in known) or "none"}; leave it out.')
    Gs.check_options(**options)
    return options


def check_inputs(Gs, latents, labels):
    """-> (latents [N, latent_size], labels [N, label_size]), float32; ValueError if they do not fit the network."""
    latents = np.asarray(latents, np.float32)
    if latents.ndim != 2 or latents.shape[1] != Gs.latent_size:
        raise ValueError(f'The latents have shape {list(latents.shape)}; this network needs [N, {Gs.latent_size}].')
    if labels is None and Gs.label_size:
        raise ValueError(f'This network was trained with labels; give labels [N, {Gs.label_size}] or a class '
                         f'from 0 to {Gs.label_size - 1}.')
    labels = np.zeros([len(latents), 0]) if labels is None else labels
    labels = np.asarray(labels, np.float32)
    if labels.shape != (len(latents), Gs.label_size):
        reason = '' if Gs.label_size else ', for it was trained without labels'
        raise ValueError(f'The labels have shape {list(labels.shape)}; these latents and this network need '
                         f'{[len(latents), Gs.label_size]}{reason}.')
    return latents, labels


def _maker(network, make, inputs, lod, shrink):
    """A traced function of rows of `inputs` -> uint8 pictures."""
    @tf.function(input_signature=[tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in inputs])
    def pictures(*rows):
        return to_uint8(downscale(make(network, lod, *rows), shrink), network.half_up)
    return pictures


def on_devices(Gs, devices, build):
    """One function per device: what `build(network)` makes, a tf.function of arrays, with arrays as its results.

    The first device has the network; each other one gets a copy of it.
    """
    def on(device, copy):
        with tf.device(device):
            function = build(copy_of(Gs) if copy else Gs)

        def run(*arrays):
            with tf.device(device):
                return tf.nest.map_structure(lambda tensor: tensor.numpy(), function(*arrays))
        return run
    return [on(device, copy=i > 0) for i, device in enumerate(devices)]


def shared_out(devices, function, images):
    """function(part) of parts of an array, one per device, one after the other in an array of NumPy's."""
    found = []
    for device, part in zip(devices, np.array_split(images, len(devices)), strict=True):
        if len(part):
            with tf.device(device):
                found.append(function(part).numpy())
    return np.concatenate(found)


def run_all(functions, minibatches, calls=1):
    """Calls the functions, one per device, in turn with the minibatches, tuples of arrays -> iterator of results, in order.

    `calls`: how many run at a time on a device. ValueError where one does not fit into the memory.
    """
    # One more minibatch in a device's queue hides what the consumer does with the first.
    pools = [concurrent.futures.ThreadPoolExecutor(calls) for _ in functions]
    largest = 0

    def submit(i, arrays):
        nonlocal largest
        largest = max(largest, len(arrays[0]))
        k = i % len(functions)
        return pools[k].submit(functions[k], *arrays)

    try:
        numbered = enumerate(minibatches)
        pending = [submit(*item) for item in itertools.islice(numbered, (calls + 1) * len(functions))]
        while pending:
            yield pending.pop(0).result()
            pending += [submit(*item) for item in itertools.islice(numbered, 1)]
    except tf.errors.ResourceExhaustedError as error:
        raise ValueError(f'A minibatch of {largest} images does not fit into the memory; '
                         f'use --minibatch={max(largest // 2, 1)} or less.') from error
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def memory_per_image(Gs):
    """Bytes of memory that generating one image takes at its peak: about 300 MB at 1024x1024, measured 260."""
    largest = max(4 ** s * Gs.fmaps(s - 1) for s in range(2, Gs.resolution_log2 + 1))
    return 4 * (4 * largest + 4 * 4 ** Gs.resolution_log2 * Gs.num_channels)


def _check_memory(Gs, minibatch, calls):
    """On a CPU, asking for too much in `calls` at a time ends in a killed process instead of an error: refuse before."""
    try:
        with open('/proc/meminfo') as file:
            free = 1024 * int(re.search(r'MemAvailable:\s*(\d+) kB', file.read())[1])
    except (OSError, TypeError):
        return  # Not a Linux: nothing to compare with.
    fits = free // memory_per_image(Gs) // calls
    if minibatch > fits:
        need = minibatch * calls * memory_per_image(Gs)
        raise ValueError(f'Minibatches of {minibatch} images of {Gs.resolution}x{Gs.resolution} need about '
                         f'{need / 2**30:.0f} GB of memory, {free / 2**30:.0f} GB are free; use '
                         f'--minibatch={max(fits, 1)}.')
