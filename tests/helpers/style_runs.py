"""What tests of runs of style-based networks share: a run stopped and resumed, what is served of it, and steps alone."""
import dataclasses
import json

import numpy as np
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from small_inception import small_graph
from step_setup import cpus

from config import resolve
from data.pipeline import batches
from data.tfrecords import Dataset
from networks.snapshot import NAMES, load_snapshot
from training.objectives.table import OBJECTIVES
from training.schedule import Phase, Schedule
from training.state import make_state
from training.step import Iteration

NETWORK = ['network.fmap_base=64', 'network.fmap_max=8', 'network.latent_size=8', 'network.dlatent_size=8',
           'network.mapping_fmaps=8', 'network.mapping_layers=2', 'optimizer.initial_loss_scale=1024.0']
SMALL = ['--set=data.name=blobs', '--set=schedule.minibatch_base=8', '--set=data.resolution=8',
         '--set=schedule.tick_kimg=0.1', '--set=schedule.tick_kimg_dict={}', '--set=train.deterministic=true',
         '--set=train.grid=1080p', *(f'--set={setting}' for setting in NETWORK)]


def values(snapshot):
    """{name: array} of all variables of a Snapshot or a TrainState."""
    return {f'{prefix}/{name}': variable.numpy() for prefix in NAMES
            for name, variable in getattr(snapshot, prefix).named_variables().items()}


def train_whole_and_resumed(command, arguments, data_dir, folder, kimg):
    """Trains for `kimg`, and again in two halves, to the same bytes. -> (run folder of either, variables)"""
    where = [f'--data_dir={data_dir}', f'--results_dir={folder}']
    command('train.py', *arguments, *where, f'--set=train.total_kimg={kimg}')
    command('train.py', *arguments, *where, f'--set=train.total_kimg={kimg / 2}')
    command('train.py', '--resume=1', *where, f'--set=train.total_kimg={kimg}')
    whole, resumed = sorted(folder.iterdir())
    trained, again = (values(load_snapshot(run / 'network-final.h5')) for run in (whole, resumed))
    for name, value in trained.items():
        assert_array_equal(again[name], value, err_msg=name)
    return whole, resumed, trained


def check_served(command, run, folder, *export):
    """A run of four classes is exported, makes pictures, by its options others, and the served model makes the same."""
    network = f'--network={run}'
    command('export.py', network, *export, f'--out={folder / "model"}')
    for name, options in (('default', ['--noise=stored']), ('open', ['--truncation=1', '--noise=random'])):
        command('generate.py', 'images', network, '--seeds=0-3', '--class=1', f'--out={folder / name}.npz', *options)
    assert np.any(np.load(folder / 'default.npz')['images'] != np.load(folder / 'open.npz')['images'])
    latents = np.concatenate([np.random.RandomState(seed).randn(1, 8) for seed in range(4)]).astype(np.float32)
    served = tf.saved_model.load(folder / 'model' / '1').signatures['serving_default'](
        latents=tf.constant(latents), labels=tf.one_hot([1] * 4, 4))['images']
    assert_allclose(np.load(folder / 'default.npz')['images'].astype(int), served.numpy().astype(int), atol=1)


def check_scored(command, run, folder):
    """FID of a run's two snapshots, by the small graph: SWD and MS-SSIM see no patches in 8x8."""
    (folder / 'graph.pb').write_bytes(small_graph().SerializeToString())
    command('evaluate.py', f'--run={run}', '--metrics=fid', '--num_images=32', f'--inception={folder / "graph.pb"}',
            f'--cache={folder / "cache"}')
    lines = [json.loads(line) for line in (run / 'metrics.jsonl').read_text().splitlines()]
    assert lines and all(np.isfinite(value) for line in lines for value in line['values'].values())


def check_imported(command, data, average, folder):
    """The official file `data` is imported, with this average of w, and makes a grid. -> --network=FILE"""
    path = folder / 'official.pkl'
    path.write_bytes(data)
    command('import_official.py', path, folder / 'out.h5', '--verify')
    command('generate.py', 'grid', f'--network={path}', '--seeds=0-3', f'--out={folder / "grid.png"}')
    assert_array_equal(load_snapshot(folder / 'out.h5').Gs.dlatent_avg, average)
    return f'--network={path}'


class Setup:
    """A small run on 'blobs' under a strategy, without the loop; a minibatch of 16, one round at a time."""

    def __init__(self, data_dir, names, resolution, devices=1, precision='float32', overrides=(), strategy=None):
        self.config = config = resolve([*names, 'cond'], [*NETWORK, *overrides])
        self.strategy = strategy or cpus(devices)
        self.dataset = Dataset(data_dir / 'blobs', resolution)
        self.schedule = Schedule(resolution, devices, Gs_decay=0.9, **dataclasses.asdict(config.schedule))
        with self.strategy.scope():
            self.state = make_state(self.dataset, config.network, precision, 7, **dataclasses.asdict(config.optimizer),
                                    lazy_intervals=config.loss.lazy_intervals)
            self.objective = OBJECTIVES[config.loss.kind](config.loss, self.state.D.num_logits)
        self.iteration = Iteration(self.strategy, self.state, self.objective, seed=3, rounds=1)

    def rounds(self, count, level, fade, slices):
        """-> [Sums of each]; `values` are the variables after them."""
        stream = iter(self.strategy.distribute_datasets_from_function(lambda context: batches(
            self.dataset, level, 16, 1, 0, 5, True, context)))
        phase = Phase(level + fade, level, self.dataset.resolution >> level, 16, 0.001, 0.001, 1, Gs_decay=0.9,
                      slices=slices)
        told = [self.iteration(next(stream), 16 * i, phase) for i in range(count)]
        self.values = values(self.state)
        return told
