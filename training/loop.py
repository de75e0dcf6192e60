"""The training loop: looks up the schedule, runs iterations, and at every tick reports and saves."""
import dataclasses
import math
import shlex
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf

import runs
from data.tfrecords import open_dataset
from metrics.table import check_network, parse_specs
from official.locate import load_network
from stopping import StopRequest
from training import disk
from training.devices import POLICIES, sum_over_workers, worker
from training.maintenance import Maintenance, NoMaintenance
from training.objectives.table import OBJECTIVES
from training.report import Averages, Clock
from training.schedule import Schedule
from training.start import Start, initialize, start_from
from training.state import Checkpoints, Position, make_state
from training.step import Iteration
from training.stream import Stream
from wording import counted

HEALTH_INTERVAL = 50  # Iterations between looks at the optimizers: each look waits for the device.


def build(config, strategy, init_from=None, dataset=None, devices=None):
    """What a config describes -> (dataset, schedule, state, start), before any training.

    `init_from` names a snapshot, an official .pkl or a run whose networks the state starts with. `dataset` and the number
    of `devices` of a plan stand for those of the config and the strategy.
    """
    data, options = config.data, config.train
    dataset = dataset or open_dataset(data.dir, data.name, data.resolution, data.label_size, data.max_images)
    devices = devices or strategy.num_replicas_in_sync
    if data.label_size and not dataset.label_size:
        raise ValueError(f"The run trains with labels, but data set '{data.name}' has none; drop cond from --config.")
    specs = parse_specs(options.metrics)
    schedule = Schedule(dataset.resolution, devices, **dataclasses.asdict(config.schedule),
                        Gs_decay=options.Gs_decay)
    phases = schedule.phases(options.total_kimg * 1000)
    with strategy.scope():
        state = make_state(dataset, config.network, POLICIES[options.precision], options.seed,
                           **dataclasses.asdict(config.optimizer), lazy_intervals=config.loss.lazy_intervals)
    check_fit(config, schedule, state.G)
    check_network(specs, state.Gs)
    for _, _, phase in phases:
        check_groups(phase, devices, state.D.group_size)
    start = Start()
    if init_from:
        start = start_from(state, schedule, load_network(init_from), init_from, round(options.total_kimg * 1000),
                           options.start_kimg, options.partial)
    return dataset, schedule, state, start


def check_fit(config, schedule, G):
    """ValueError where networks cannot do what the loss or the schedule asks of them."""
    if config.loss.needs_w and not G.has_w:
        raise ValueError(f'loss.pl_weight is {config.loss.pl_weight:g}, but networks of kind {G.kind} have no w whose path '
                         f'lengths could be regularized; set loss.pl_weight=0.')
    if schedule.lod_at(0) > G.max_level:
        raise ValueError(f'The schedule starts at {schedule.lod_initial_resolution}x{schedule.lod_initial_resolution}, but '
                         f'networks of kind {G.kind} do not grow; set schedule.lod_initial_resolution=none.')


def check_groups(phase, devices, group_size):
    """ValueError where a device's images cannot be judged in whole groups of minibatch stddev."""
    share = phase.minibatch // devices // phase.slices
    if share % min(group_size, share):
        raise ValueError(f'At {phase.resolution}x{phase.resolution} each device gets {share} images, which minibatch '
                         f'stddev cannot divide into groups of {group_size}; change schedule.minibatch_dict, the number '
                         f'of devices or network.mbstd_group_size.')


def train(config, run_dir, strategy, dataset, schedule, state, start):
    """Trains from the last checkpoint in `run_dir`, or from `start`, until done or told to stop -> whether it is done.

    SIGINT and SIGTERM end the iteration, write a checkpoint and return; a data set that cannot be read does too, and raises
    its ValueError. FloatingPointError when training has broken down, MemoryError when a device is full.
    """
    options, total_nimg = config.train, round(config.train.total_kimg * 1000)
    index, num_workers = worker(strategy)
    chief = index == 0
    with strategy.scope():
        objective = OBJECTIVES[config.loss.kind](config.loss, state.D.num_logits, options.D_repeats)
        position = Position(nimg=start.nimg, tick_start_nimg=start.nimg)
        checkpoints = Checkpoints(run_dir, state, objective.variables, position)
        resumed, remarks = checkpoints.restore()
        if not resumed and not options.init_from:
            initialize(state.D, dataset, schedule)
    iteration = Iteration(strategy, state, objective, seed=options.seed, rounds=options.minibatch_repeats, jit=options.jit)
    minibatches = options.minibatch_repeats * iteration.minibatches
    stream = Stream(strategy, dataset, minibatches, options.seed, config.data.mirror)
    averages, clock = Averages(iteration.names, position.sums), Clock(position.tick_seconds)
    position.sums, position.tick_seconds = None, 0.0
    maintenance = NoMaintenance() if not chief else Maintenance(
        run_dir, options, config.data.mirror, dataset, state, position, total_nimg)
    maintenance.say(f'{"Resuming" if resumed else "Training"} {run_dir}: {dataset.name}, '
                    f'{counted(dataset.num_images, "image")} of {dataset.resolution}x{dataset.resolution}, '
                    f'{counted(strategy.num_replicas_in_sync, "device")}, {counted(num_workers, "worker")}, '
                    f'{options.precision}, {position.nimg / 1000:g} of {options.total_kimg:g} kimg')
    parts = disk.run_folder(state, schedule, position.nimg, total_nimg, options)
    for remark in [*remarks, *(() if resumed else start.remarks), disk.describe(parts)]:
        maintenance.say(remark)

    def prepare_next():
        """Compiles the graph of the next stretch of the schedule."""
        following = [phase for start, _, phase in schedule.phases(total_nimg) if start > position.nimg]
        if following:
            iteration.prepare(stream.spec(following[0]), following[0])

    prepared_after, failure = None, None
    with StopSignal(strategy, num_workers) as stop, ThreadPoolExecutor(1) as background:
        if not resumed:
            maintenance.save_fakes(schedule.at(position.nimg).lod)
            if chief:
                checkpoints.save()  # From here on the run has one, or has lost it.
        while position.nimg < total_nimg and not stop.requested():
            phase = schedule.at(position.nimg)
            if options.reset_optimizers and blocks_change(position.lod, phase.lod):
                state.G_optimizer.reset()
                state.D_optimizer.reset()
            try:
                batch = stream.next(phase, position.nimg)
            except (ValueError, MemoryError) as error:  # A damaged data set is mended, and the run goes on from here.
                failure = error
                break
            averages.add(run(iteration, batch, position.nimg, phase, run_dir))
            position.nimg += minibatches * phase.minibatch
            position.lod = phase.lod
            # Of several workers each would have to trace at the same moment, for their reductions find each other by order.
            if prepared_after != (phase.level, phase.minibatch, phase.fading) and num_workers == 1:
                prepared_after = phase.level, phase.minibatch, phase.fading
                background.submit(prepare_next)
            maintenance.after_iteration(phase, iteration.num_graphs)
            done = position.nimg >= total_nimg
            tick = done or position.nimg >= position.tick_start_nimg + phase.tick_nimg
            if tick or averages.iterations % HEALTH_INTERVAL == 0:
                check_health(state, options.max_skipped_steps)
            if not tick:
                continue
            for network in state.networks.values():
                network.lod.assign(phase.lod)
            statistics = averages.take()  # Waits for the steps.
            position.seconds += clock.end_steps()
            maintenance.after_tick(phase, statistics, clock, done)
            position.tick += 1
            position.tick_start_nimg = position.nimg
            if chief and (done or position.tick % options.checkpoint_ticks == 0):
                checkpoints.save()
            clock.end_maintenance()

    done = position.nimg >= total_nimg
    if done:
        maintenance.at_the_end()
    if chief and done:
        runs.mark_finished(run_dir)
    elif chief:
        position.seconds += clock.maintenance
        position.tick_seconds, position.sums = clock.end_steps() - clock.maintenance, averages.stop()
        checkpoints.save()
    maintenance.say(f'Finished {run_dir}.' if done else f'Stopped at {position.nimg / 1000:.3f} kimg; to go on: '
                    f'{runs.resume_command(run_dir)}')
    maintenance.close()
    if failure:
        raise failure
    return done


def blocks_change(last_lod, lod):
    """Whether floor(lod) or ceil(lod) changed since the last iteration, that is, whether blocks came in or went out."""
    return last_lod is not None and (math.floor(lod), math.ceil(lod)) != (math.floor(last_lod), math.ceil(last_lod))


def run(iteration, batch, nimg, phase, run_dir):
    """One iteration of `phase` from nimg on -> Sums of its statistics."""
    try:
        return iteration(batch, nimg, phase)
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError(
            f'Out of memory at {phase.resolution}x{phase.resolution} with minibatch {phase.minibatch}; set a smaller '
            f'one, e.g. --set=schedule.max_minibatch_per_gpu={{{phase.resolution}:{max(phase.minibatch // 2, 1)}}}, or '
            f'use fp16, in a new run with --init_from={shlex.quote(run_dir)}.') from error


def check_health(state, max_skipped_steps):
    """FloatingPointError when an optimizer has skipped too many updates in a row."""
    for name, optimizer in (('D', state.D_optimizer), ('G', state.G_optimizer)):
        skipped = int(optimizer.skipped_steps.numpy())
        if skipped >= max_skipped_steps:
            raise FloatingPointError(
                f'The last {skipped} updates of {name} had gradients that are not finite and were skipped; training has '
                f'broken down. Go back to an earlier snapshot with --init_from, with a lower schedule.'
                f'{name}_learning_rate or in fp32.')


class StopSignal(StopRequest):
    """A request to stop of any worker."""

    def __init__(self, strategy, num_workers):
        super().__init__()
        self._num_workers = num_workers
        self._strategy = strategy

    def requested(self):
        """Whether to stop; all workers get the same answer, since none can go on alone."""
        if self._num_workers == 1:
            return self.received
        return sum_over_workers(self._strategy, float(self.received)) > 0
