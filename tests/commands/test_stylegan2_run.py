"""StyleGAN2 from training to pictures: trains, resumes in the lazy cycle, exports, imports; devices, slices, precisions."""
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from reference_pickles import tiny_stylegan2

from config import resolve
from data.pipeline import batches
from data.tfrecords import Dataset
from networks.snapshot import NAMES, Snapshot, load_snapshot
from training.loop import check_fit
from training.objectives.table import OBJECTIVES
from training.schedule import Phase, Schedule
from training.start import start_from
from training.state import make_state
from training.step import Iteration

NETWORK = ['network.fmap_base=64', 'network.fmap_max=8', 'network.latent_size=8', 'network.dlatent_size=8',
           'network.mapping_fmaps=8', 'network.mapping_layers=2', 'optimizer.initial_loss_scale=1024.0']
SMALL = ['--config=stylegan2-f,cond', '--set=data.name=blobs', '--set=schedule.minibatch_base=8',
         '--set=schedule.tick_kimg=0.1', '--set=schedule.tick_kimg_dict={}', '--set=train.deterministic=true',
         '--set=train.grid=1080p', '--set=data.resolution=8', '--set=schedule.minibatch_per_device_base=8',
         '--set=loss.G_reg_interval=8', '--set=loss.D_reg_interval=8', *(f'--set={setting}' for setting in NETWORK)]


def values(snapshot):
    return {f'{prefix}/{name}': variable.numpy() for prefix in NAMES
            for name, variable in getattr(snapshot, prefix).named_variables().items()}


def test_a_run_trains_resumes_in_the_lazy_cycle_bit_for_bit_and_exports(run_command, data_dir, tmp_path):
    where = [f'--data_dir={data_dir}', f'--results_dir={tmp_path / "results"}']

    def command(*arguments):
        done = run_command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    command('train.py', *SMALL, *where, '--set=train.total_kimg=0.32')
    command('train.py', *SMALL, *where, '--set=train.total_kimg=0.16')  # 20 rounds, of which 0, 8, 16 regularize.
    command('train.py', '--resume=1', *where, '--set=train.total_kimg=0.32')
    whole, resumed = (tmp_path / 'results' / f'00{number}-blobs-stylegan2-f-cond' for number in (0, 1))
    trained, again = (values(load_snapshot(run / 'network-final.h5')) for run in (whole, resumed))
    for name, value in trained.items():
        assert_array_equal(again[name], value, err_msg=name)
    assert np.any(trained['G/dlatent_avg']) and 'D/lod' not in trained
    means = [tf.train.load_checkpoint(run / 'checkpoints').get_tensor('objective/pl_mean/.ATTRIBUTES/VARIABLE_VALUE')
             for run in (whole, resumed)]
    assert means[0] == means[1] > 0
    lines = [json.loads(line) for line in (whole / 'stats.jsonl').read_text().splitlines()]
    assert {'pl_lengths', 'pl_penalty', 'gradient_penalty', 'G_reg', 'D_reg'} <= lines[0].keys()

    done = run_command('train.py', '--resume=1', *where, '--set=loss.D_reg_interval=16')
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('train.py: loss.D_reg_interval cannot change when a run is resumed')

    network = f'--network={whole}'
    command('export.py', network, '--formats=saved_model,keras,tflite', f'--out={tmp_path / "model"}')
    for name, options in (('default', []), ('open', ['--truncation=1', '--noise=random'])):
        command('generate.py', 'images', network, '--seeds=0-3', '--class=1', f'--out={tmp_path / name}.npz', *options)
    assert np.any(np.load(tmp_path / 'default.npz')['images'] != np.load(tmp_path / 'open.npz')['images'])
    latents = np.concatenate([np.random.RandomState(seed).randn(1, 8) for seed in range(4)]).astype(np.float32)
    served = tf.saved_model.load(tmp_path / 'model' / '1').signatures['serving_default'](
        latents=tf.constant(latents), labels=tf.one_hot([1] * 4, 4))['images']
    assert_allclose(np.load(tmp_path / 'default.npz')['images'].astype(int), served.numpy().astype(int), atol=1)


def test_an_official_file_is_taken_by_commands(run_command, tmp_path):
    data, (G, _) = tiny_stylegan2()
    (tmp_path / 'stylegan2.pkl').write_bytes(data)
    network = f'--network={tmp_path / "stylegan2.pkl"}'
    for arguments in (['import_official.py', tmp_path / 'stylegan2.pkl', tmp_path / 'out.h5', '--verify'],
                      ['generate.py', 'grid', network, '--seeds=0-3', f'--out={tmp_path / "grid.png"}']):
        done = run_command(*arguments)
        assert done.returncode == 0, done.stderr
    assert_array_equal(load_snapshot(tmp_path / 'out.h5').Gs.dlatent_avg, G.dlatent_avg)


class Setup:
    """A small run on 'blobs' under a strategy, without the loop."""

    def __init__(self, data_dir, devices=1, names=('stylegan2-f',), precision='float32', overrides=()):
        self.config = config = resolve([*names, 'cond'], [*NETWORK, *overrides])
        cpus = [f'CPU:{i}' for i in range(devices)]
        self.strategy = tf.distribute.MirroredStrategy(cpus, tf.distribute.ReductionToOneDevice())
        self.dataset = Dataset(data_dir / 'blobs', 8)
        self.schedule = Schedule(8, devices, Gs_decay=0.9, **dataclasses.asdict(config.schedule))
        with self.strategy.scope():
            self.state = make_state(self.dataset, config.network, precision, 7, **dataclasses.asdict(config.optimizer),
                                    lazy_intervals=config.loss.lazy_intervals)
            self.objective = OBJECTIVES[config.loss.kind](config.loss, self.state.D.num_logits)
        self.iteration = Iteration(self.strategy, self.state, self.objective, seed=3, rounds=1)

    def run(self, slices=1, level=0, fade=0.0):
        """-> {statistic: value}"""
        stream = iter(self.strategy.distribute_datasets_from_function(lambda context: batches(
            self.dataset, level, 16, 1, 0, 5, True, context)))
        phase = Phase(level + fade, level, 8 >> level, 16, 0.001, 0.001, 1, Gs_decay=0.9, slices=slices)
        sums = self.iteration(next(stream), 0, phase)  # Of the first round, in which all is due.
        self.values = values(self.state)
        return dict(zip(self.iteration.names, sums.values.numpy() / np.maximum(sums.counts, 1), strict=True))


ALONE = ['network.mbstd_group_size=1', 'loss.pl_decay=0']  # The mean of path lengths in a loss is that of the part.


@pytest.fixture(scope='module')
def whole(data_dir):
    setup = Setup(data_dir, overrides=ALONE)
    return setup.run(), setup.values


@pytest.mark.parametrize('devices, slices', [(2, 1), (1, 4)])
def test_devices_and_slices_train_as_one_whole(data_dir, whole, devices, slices):
    other, (told, expected) = Setup(data_dir, devices, overrides=ALONE), whole
    assert_allclose([*other.run(slices).values()], [*told.values()], rtol=1e-4, atol=1e-4)
    for name, value in expected.items():
        assert_allclose(other.values[name], value, atol=2e-5, err_msg=name)


def test_the_mean_of_path_lengths_follows_all_devices_and_slices_and_only_where_it_is_due(data_dir):
    setup = Setup(data_dir, devices=2)
    lengths = setup.run(slices=2)['pl_lengths']  # The mean over all.
    assert_allclose(setup.objective.variables['pl_mean'].numpy(), 0.01 * lengths, rtol=1e-5)
    assert [setup.iteration._due(i) for i in (0, 4, 5, 16)] == [(0, 1, 2, 3), (0, 1, 2), (0, 2), (0, 1, 2, 3)]


@pytest.mark.parametrize('names', [['stylegan2-a'], ['stylegan2-d']], ids=str)
def test_configurations_that_grow_train_while_they_fade(data_dir, names):
    setup = Setup(data_dir, names=names)
    assert np.all(np.isfinite([*setup.run(level=1, fade=0.5).values()]))
    check_fit(setup.config, setup.schedule, setup.state.G)


@pytest.mark.parametrize('precision', ['mixed_float16', 'mixed_bfloat16'])
def test_lower_precision_trains_close_to_float32(data_dir, whole, precision):
    rounded = Setup(data_dir, precision=precision, overrides=ALONE)
    (expected, _), found = whole, rounded.run()
    assert np.all(np.isfinite([*found.values()])) and found['G_skipped'] == found['D_skipped'] == 0
    for name in ('D_loss', 'G_loss', 'gradient_penalty', 'pl_lengths'):
        assert_allclose(found[name], expected[name], rtol=0.1, atol=0.02, err_msg=name)


def test_equally_named_variables_start_networks_of_another_architecture(data_dir):
    given = Setup(data_dir)
    other = Setup(data_dir, names=['stylegan2-e-Gresnet-Dorig'], overrides=['train.seed=5'])
    snapshot = Snapshot(*given.state.networks.values(), nimg=0)
    with pytest.raises(ValueError, match='networks of G_architecture skip, but this run builds them with resnet'):
        start_from(other.state, other.schedule, snapshot, 'given', 10 ** 9)
    start = start_from(other.state, other.schedule, snapshot, 'given', 10 ** 9, partial=True)
    assert 'G_synthesis/8x8/Skip/weight' in start.remarks[1]
    assert_array_equal(other.state.G.named_variables()['G_synthesis/8x8/Conv1/weight'],
                       given.state.G.named_variables()['G_synthesis/8x8/Conv1/weight'])


@pytest.mark.parametrize('names, overrides, sentence', [
    (['v2-1gpu'], ['loss.kind=stylegan2'], 'loss.pl_weight is 2, but networks of kind progan have no w'),
    (['stylegan2-f', 'BENCHMARK'], [], 'The schedule starts at 4x4, but networks of kind stylegan2 do not grow')])
def test_networks_that_do_not_fit_are_one_sentence(run_command, names, overrides, sentence):
    settings = [f'--set={text}' for text in overrides]
    done = run_command('train.py', f'--config=digits,{",".join(names)}', '--dry_run', *settings)
    assert done.returncode == 1 and sentence in done.stderr.splitlines()[-1]
