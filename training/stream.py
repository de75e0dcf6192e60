"""The real images of a run, distributed over its devices."""
import tensorflow as tf

from data.pipeline import batches


class Stream:
    """The batches that follow nimg, for the level and minibatch of a phase. `minibatches`: those of one iteration."""

    def __init__(self, strategy, dataset, minibatches, seed, mirror):
        self._strategy, self._dataset, self._minibatches = strategy, dataset, minibatches
        self._seed, self._mirror = seed, mirror
        self._of, self._iterator = None, None

    def next(self, phase, nimg):
        """The batch of the iteration at nimg; what tf.data makes of the reader's errors becomes their sentence again."""
        if self._of != (phase.level, phase.minibatch):
            self._of = phase.level, phase.minibatch
            self._iterator = iter(self._strategy.distribute_datasets_from_function(
                lambda context: self._batches(phase, nimg, context)))
        try:
            return next(self._iterator)
        except tf.errors.OpError as error:
            lines = str(error.message).splitlines()
            sentences = [line for line in lines if line.startswith(('ValueError: ', 'OSError: '))]
            if not sentences and (isinstance(error, tf.errors.ResourceExhaustedError) or 'MemoryError: ' in error.message):
                raise MemoryError(f'Out of memory for reading minibatches of {phase.minibatch} at {phase.resolution}x'
                                  f'{phase.resolution}; set a smaller one, e.g. --set=schedule.max_minibatch_per_gpu='
                                  f'{{{phase.resolution}:{max(phase.minibatch // 2, 1)}}}, in a new run with --init_from '
                                  'of this one.') from error
            raise ValueError(sentences[0].partition(': ')[2] if sentences else lines[0]) from error

    def spec(self, phase):
        """What one replica's batch looks like in a phase."""
        context = tf.distribute.InputContext(num_replicas_in_sync=self._strategy.num_replicas_in_sync)
        return self._batches(phase, 0, context).element_spec

    def _batches(self, phase, nimg, context):
        return batches(self._dataset, phase.level, phase.minibatch, self._minibatches, nimg, self._seed, self._mirror,
                       context)
