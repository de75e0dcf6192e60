"""Runs of training in this process, without a command of their own: quicker where only their result matters."""
import json
import warnings

import numpy as np
import tensorflow as tf
from numpy.testing import assert_array_equal
from style_runs import values

import config as configs
from networks.snapshot import load_snapshot
from training import loop
from training.objectives.table import OBJECTIVES
from training.start import initialize
from training.step import Iteration
from training.stream import Stream

TINY = ['data.name=blobs', 'data.resolution=8', 'network.fmap_base=32', 'network.fmap_max=4', 'schedule.minibatch_base=8',
        'schedule.minibatch_dict={}', 'schedule.tick_kimg=0.05', 'schedule.tick_kimg_dict={}']


def train(names, overrides, data_dir, run_dir, kimg):
    """Trains, or goes on, until `kimg` -> {variable: array} of the snapshot at the end."""
    config = configs.resolve(names, [*TINY, f'data.dir={data_dir}', *overrides, f'train.total_kimg={kimg}'])
    run_dir.mkdir(parents=True, exist_ok=True)
    strategy = tf.distribute.get_strategy()
    assert loop.train(config, str(run_dir), strategy, *loop.build(config, strategy))
    return values(load_snapshot(run_dir / 'network-final.h5'))


def statistics(run_dir):
    """The records of a run's ticks."""
    return [json.loads(line) for line in (run_dir / 'stats.jsonl').read_text().splitlines()]


def check_resumed(names, overrides, data_dir, folder, kimg):
    """A run in two halves ends with the bytes of one that was never stopped -> the run folder."""
    whole = train(names, overrides, data_dir, folder / 'whole', kimg)
    train(names, overrides, data_dir, folder / 'resumed', kimg / 2)
    again = train(names, overrides, data_dir, folder / 'resumed', kimg)
    for name, value in whole.items():
        assert_array_equal(again[name], value, err_msg=name)
        assert np.all(np.isfinite(value)), name
    return folder / 'whole'


def iterate(names, overrides, data_dir, count):
    """Runs `count` iterations from the start, without a run folder -> (state, {variable that moved}, last statistics).

    No graphs are traced, which takes longer than a few iterations of tiny networks.
    """
    config = configs.resolve(names, [*TINY, f'data.dir={data_dir}', *overrides])
    strategy, options = tf.distribute.get_strategy(), config.train
    dataset, schedule, state, _ = loop.build(config, strategy)
    initialize(state.D, dataset, schedule)
    before = values(state)
    objective = OBJECTIVES[config.loss.kind](config.loss, state.D.num_logits, options.D_repeats)
    iteration = Iteration(strategy, state, objective, seed=1, rounds=options.minibatch_repeats)
    minibatches = options.minibatch_repeats * iteration.minibatches
    stream, nimg = Stream(strategy, dataset, minibatches, 1, config.data.mirror), 0
    tf.config.run_functions_eagerly(True)
    try:
        for _ in range(count):
            phase = schedule.at(nimg)
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # That tf.data traces all the same.
                batch = stream.next(phase, nimg)
            sums = iteration(batch, nimg, phase)
            nimg += minibatches * phase.minibatch
    finally:
        tf.config.run_functions_eagerly(False)
    moved = {name for name, value in values(state).items() if np.any(value != before[name])}
    return state, moved, dict(zip(iteration.names, sums.values.numpy() / np.maximum(sums.counts, 1), strict=True))
