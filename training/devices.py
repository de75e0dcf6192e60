"""Which devices a run uses: one, several of this machine, or those of several workers (TF_CONFIG)."""
import atexit
import contextlib
import functools
import os
import time

import tensorflow as tf

import runtime
from training import cluster
from training.tf_config import check_cluster

POLICIES = {'fp32': 'float32', 'fp16': 'mixed_float16', 'bf16': 'mixed_bfloat16'}  # Keras's names of the precisions.

# What TensorFlow raises when it has lost another worker.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError,
         tf.errors.FailedPreconditionError, tf.errors.InternalError, tf.errors.UnknownError)


def make_strategy(devices=1, cpu_devices=None, deterministic=False, worker_timeout=600.0):
    """The tf.distribute strategy for `devices` devices of this machine; call it before anything else touches TensorFlow.

    With TF_CONFIG set: MultiWorkerMirroredStrategy. `cpu_devices` splits the CPU into as many logical devices and uses
    them in place of GPUs. ValueError when there are not enough devices; for workers see `cluster.meet`.
    """
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    # It fuses bias and leaky ReLU, fails on the gradients inside a loop, and says so on every graph.
    tf.config.optimizer.set_experimental_options({'remapping': False})
    if cpu_devices:
        tf.config.set_visible_devices([], 'GPU')
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * cpu_devices)
    for gpu in tf.config.list_physical_devices('GPU'):
        tf.config.experimental.set_memory_growth(gpu, True)
    if 'TF_CONFIG' in os.environ:
        cluster.meet(*check_cluster(os.environ['TF_CONFIG']), worker_timeout)
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        if strategy.num_replicas_in_sync % devices or strategy.num_replicas_in_sync < devices:
            raise ValueError(f'{devices} devices per worker were asked for, but the workers of TF_CONFIG have '
                             f'{strategy.num_replicas_in_sync} in all; set --devices to what each worker has.')
        return strategy
    kind = 'GPU' if tf.config.list_logical_devices('GPU') else 'CPU'
    available = tf.config.list_logical_devices(kind)
    if devices > len(available):
        raise ValueError(f'{devices} devices were asked for, but TensorFlow sees {len(available)} {kind}; use '
                         f'--devices={len(available)} and a preset for as many, or check the GPU driver.')
    if devices == 1:
        return tf.distribute.get_strategy()  # The default: no distribution.
    return tf.distribute.MirroredStrategy([device.name for device in available[:devices]])


def worker(strategy):
    """(index of this worker, number of workers)."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or not resolver.cluster_spec():
        return 0, 1
    spec = resolver.cluster_spec().as_dict()
    chiefs = len(spec.get('chief', []))
    index = resolver.task_id + (chiefs if resolver.task_type == 'worker' else 0)
    return index, chiefs + len(spec.get('worker', []))


@contextlib.contextmanager
def together(strategy):
    """What several workers do: it ends with a sentence for each of them when one is gone. With one worker, nothing."""
    if worker(strategy)[1] == 1:
        yield
        return
    with cluster.watched(*check_cluster(os.environ['TF_CONFIG'])):
        try:
            yield
        except _LOST as error:
            time.sleep(5)  # If a worker is gone, its watch names it meanwhile and ends this process.
            raise ConnectionError(f'The workers lost touch ({str(error.message).strip().splitlines()[0]}); see what the '
                                  f'others say, then start all of them again with --resume=latest.') from error
        except BaseException:
            atexit.register(runtime.end_at_once)  # Otherwise TensorFlow waits for the others, and they for this one.
            raise
    # A worker that ended while the chief still writes would be taken for a dead one. Here nobody is watched any more: the
    # first that is through may be gone before the others know, and no work is left to lose.
    with contextlib.suppress(*_LOST):
        float(sum_over_workers(strategy, 0))


def from_chief(strategy, make_number):
    """The integer that `make_number` returns on the chief, on every worker."""
    index, num_workers = worker(strategy)
    number = make_number() if index == 0 else 0
    return number if num_workers == 1 else int(sum_over_workers(strategy, number))


def sum_over_workers(strategy, number):
    """The sum of a number that each worker has; all must call it."""
    return _summed(strategy)(tf.constant(number * worker(strategy)[1] / strategy.num_replicas_in_sync, tf.float32))


@functools.cache
def _summed(strategy):
    return tf.function(lambda share: strategy.reduce(
        tf.distribute.ReduceOp.SUM, strategy.run(tf.identity, args=(share,)), axis=None))
