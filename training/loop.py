"""The training loop: looks up the schedule, runs iterations, and at every tick reports and saves."""
import dataclasses
import math
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf

import runs
from data.pipeline import batches
from data.tfrecords import open_dataset
from metrics.run_evaluation import during_training
from metrics.table import parse_specs
from networks.growth import split_lod
from networks.snapshot import save_snapshot
from official.locate import load_network
from pictures.pictures import save_png
from training.devices import POLICIES, sum_over_workers, worker
from training.grid import Grid
from training.report import Averages, Reporter, Silence
from training.schedule import Schedule
from training.state import Checkpoints, Position, make_state, start_from
from training.step import Iteration, statistic_names

HEALTH_INTERVAL = 50  # Iterations between looks at the optimizers: each look waits for the device.


def build(config, strategy, init_from=None):
    """What a config describes -> (dataset, schedule, state), before any training.

    `init_from` names a snapshot, an official .pkl or a run whose networks the state starts with.
    """
    data, sections = config.data, dataclasses.asdict(config)
    dataset = open_dataset(data.dir, data.name, data.resolution, data.label_size)
    if data.label_size and not dataset.label_size:
        raise ValueError(f"The run trains with labels, but data set '{data.name}' has none; drop cond from --config.")
    parse_specs(config.train.metrics)
    schedule = Schedule(dataset.resolution, strategy.num_replicas_in_sync, **sections['schedule'])
    for _, _, phase in schedule.phases(config.train.total_kimg * 1000):
        share, group = phase.minibatch // strategy.num_replicas_in_sync, config.network.mbstd_group_size
        if share % min(group, share):
            raise ValueError(f'At {phase.resolution}x{phase.resolution} each device gets {share} images, which minibatch '
                             f'stddev cannot divide into groups of {group}; change schedule.minibatch_dict, the number '
                             f'of devices or network.mbstd_group_size.')
    with strategy.scope():
        state = make_state(dataset, sections['network'], sections['optimizer'], config.train.precision,
                           POLICIES[config.train.precision], config.train.seed)
    if init_from:
        start_from(state, load_network(init_from), init_from)
    return dataset, schedule, state


def train(config, run_dir, strategy, dataset, schedule, state):
    """Trains from the last checkpoint in `run_dir`, or from the start, until done or told to stop -> whether it is done.

    SIGINT and SIGTERM end the iteration, write a checkpoint and return. FloatingPointError when training has broken
    down, MemoryError when a device is full.
    """
    options = config.train
    networks = {'G': state.G, 'D': state.D, 'Gs': state.Gs}
    worker_index, num_workers = worker(strategy)
    chief = worker_index == 0
    with strategy.scope():
        position = Position()
        checkpoints = Checkpoints(run_dir, state, position)
        resumed = checkpoints.restore()

    total_nimg = round(options.total_kimg * 1000)
    minibatches = options.minibatch_repeats * options.D_repeats
    iteration = Iteration(
        strategy, state, seed=options.seed, rounds=options.minibatch_repeats, D_repeats=options.D_repeats,
        Gs_decay=options.Gs_decay, loss_kwargs=dataclasses.asdict(config.loss), jit=options.jit)
    averages = Averages(statistic_names(dataset.label_size))
    report = Reporter(run_dir, position.nimg, total_nimg, options.graph) if chief else Silence()
    if chief:
        grid = Grid(state.Gs, dataset, options.grid, options.grid_layout, options.seed)
        save_png(grid.reals, os.path.join(run_dir, 'reals.png'))
        evaluation = during_training(run_dir, dataset, config.data.mirror, options.metrics, options.inception)
    report.say(f'{"Resuming" if resumed else "Training"} {run_dir}: {dataset.name}, {dataset.num_images} images of '
               f'{dataset.resolution}x{dataset.resolution}, {strategy.num_replicas_in_sync} device(s), '
               f'{num_workers} worker(s), {options.precision}, {position.nimg / 1000:g} of {options.total_kimg:g} kimg')

    def reals(phase, context):
        return batches(dataset, phase.level, phase.minibatch, minibatches, position.nimg, options.seed, config.data.mirror,
                       context)

    def new_stream(phase):
        return iter(strategy.distribute_datasets_from_function(lambda context: reals(phase, context)))

    def prepare_next():
        """Compiles the graph of the next stretch of the schedule."""
        following = [phase for start, _, phase in schedule.phases(total_nimg) if start > position.nimg]
        if following:
            context = tf.distribute.InputContext(num_replicas_in_sync=strategy.num_replicas_in_sync)
            iteration.prepare(reals(following[0], context).element_spec, following[0].level, following[0].fading)

    def save_fakes(lod):
        picture = grid.fakes(lod)
        save_png(picture, os.path.join(run_dir, f'fakes{position.nimg // 1000:06d}.png'))
        report.picture('fakes', picture, position.nimg)

    def end_tick(phase, done):
        def due(interval):
            return done or position.tick % interval == 0

        report.tick(position, phase, averages.take())
        if due(options.image_snapshot_ticks):
            save_fakes(phase.lod)
        if due(options.network_snapshot_ticks):
            path = runs.final_path(run_dir) if done else runs.snapshot_path(run_dir, position.nimg)
            save_snapshot(path, **networks, nimg=position.nimg)
            found = evaluation.measure_network(os.path.basename(path), position.nimg, state.Gs)
            if found:
                report.say('metrics  ' + '  '.join(f'{name} {value:.4f}' for name, value in found.items()))
        if options.histograms:
            report.histograms(networks, position.nimg)

    if chief and not resumed:
        save_fakes(schedule.at(0).lod)
    stream_of = graph_of = None
    with StopSignal(strategy, num_workers) as stop, ThreadPoolExecutor(1) as background:
        while position.nimg < total_nimg and not stop.requested():
            phase = schedule.at(position.nimg)
            if options.reset_optimizers and blocks_change(position.lod, phase.lod):
                state.G_optimizer.reset()
                state.D_optimizer.reset()
            if stream_of != (phase.level, phase.minibatch):
                stream, stream_of = new_stream(phase), (phase.level, phase.minibatch)
            averages.add(run(iteration, next_batch(stream), position.nimg, phase))
            position.nimg += minibatches * phase.minibatch
            # Of several workers each would have to trace at the same moment, for their reductions find each other by order.
            if graph_of != (*stream_of, phase.fading) and num_workers == 1:
                graph_of = (*stream_of, phase.fading)
                background.submit(prepare_next)
            position.lod = phase.lod
            report.progress(position.nimg)
            if options.verbose:
                report.say(f'nimg {position.nimg} lod {phase.lod:.4f} minibatch {phase.minibatch}')
            done = position.nimg >= total_nimg
            tick = done or position.nimg >= position.tick_start_nimg + phase.tick_nimg
            if tick or averages.count % HEALTH_INTERVAL == 0:
                check_health(state, options.max_skipped_steps)
            if not tick:
                continue
            for network in networks.values():
                network.lod.assign(phase.lod)
            if chief:
                end_tick(phase, done)
            position.tick += 1
            position.tick_start_nimg = position.nimg
            if chief and (done or position.tick % options.checkpoint_ticks == 0):
                checkpoints.save()
            report.end_of_tick()

    done = position.nimg >= total_nimg
    if chief and done:
        runs.mark_finished(run_dir)
    elif chief:
        checkpoints.save()
    report.say(f'Finished {run_dir}.' if done else f'Stopped at {position.nimg / 1000:.3f} kimg; continue with '
               f'--resume={os.path.basename(run_dir)}.')
    report.close()
    return done


def blocks_change(last_lod, lod):
    """Whether floor(lod) or ceil(lod) changed since the last iteration, that is, whether blocks came in or went out."""
    return last_lod is not None and (math.floor(lod), math.ceil(lod)) != (math.floor(last_lod), math.ceil(last_lod))


def next_batch(stream):
    """The stream's next element; what tf.data makes of the reader's errors becomes their sentence again."""
    try:
        return next(stream)
    except tf.errors.OpError as error:
        sentences = [line for line in str(error.message).splitlines() if line.startswith(('ValueError: ', 'OSError: '))]
        raise ValueError(sentences[0].partition(': ')[2] if sentences else error.message) from error


def run(iteration, batch, nimg, phase):
    """One iteration of `phase` from nimg on -> statistics."""
    _, fade = split_lod(phase.lod)
    try:
        return iteration(batch, tf.constant(nimg, tf.int64), fade and tf.constant(fade), tf.constant(phase.G_learning_rate),
                         tf.constant(phase.D_learning_rate), phase.level)
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError(
            f'Out of memory at {phase.resolution}x{phase.resolution} with minibatch {phase.minibatch}; set a smaller '
            f'one, e.g. --set=schedule.max_minibatch_per_gpu={{{phase.resolution}:{max(phase.minibatch // 2, 1)}}}, or '
            f'use fp16, and continue with --resume.') from error


def check_health(state, max_skipped_steps):
    """FloatingPointError when an optimizer has skipped too many updates in a row."""
    for name, optimizer in (('D', state.D_optimizer), ('G', state.G_optimizer)):
        skipped = int(optimizer.skipped_steps.numpy())
        if skipped >= max_skipped_steps:
            raise FloatingPointError(
                f'The last {skipped} updates of {name} had gradients that are not finite and were skipped; training has '
                f'broken down. Go back to an earlier snapshot with --init_from, with a lower schedule.'
                f'{name}_learning_rate or in fp32.')


class StopSignal:
    """Turns SIGINT and SIGTERM, of any worker, into a request to stop; a second one kills as usual."""

    def __init__(self, strategy, num_workers):
        self._received = False
        self._num_workers = num_workers
        self._strategy = strategy

    def __enter__(self):
        self._previous = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def requested(self):
        """Whether to stop; all workers get the same answer, since none can go on alone."""
        if self._num_workers == 1:
            return self._received
        return sum_over_workers(self._strategy, float(self._received)) > 0

    def _receive(self, number, frame):
        self._received = True
        self.__exit__()
