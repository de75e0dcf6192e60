"""StyleGAN from training to pictures: trains, resumes bit for bit, exports, is scored, imports; on one device and on two."""
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from reference_pickles import tiny_stylegan

from config import resolve
from data.pipeline import batches
from data.tfrecords import Dataset
from networks.snapshot import NAMES, Snapshot, load_snapshot
from training.objectives.table import OBJECTIVES
from training.schedule import Phase, Schedule
from training.start import start_from
from training.state import make_state
from training.step import Iteration

NETWORK = ['network.fmap_base=64', 'network.fmap_max=8', 'network.latent_size=8', 'network.dlatent_size=8',
           'network.mapping_fmaps=8', 'network.mapping_layers=2', 'optimizer.initial_loss_scale=1024.0']
SMALL = ['--config=stylegan-1gpu,cond', '--set=data.name=blobs', '--set=schedule.minibatch_dict={}',
         '--set=schedule.minibatch_base=8', '--set=data.resolution=8', '--set=train.minibatch_repeats=2',
         '--set=schedule.tick_kimg=0.1', '--set=schedule.tick_kimg_dict={}', '--set=train.deterministic=true',
         '--set=train.grid=1080p', *(f'--set={setting}' for setting in NETWORK)]


def values(snapshot):
    return {f'{prefix}/{name}': variable.numpy() for prefix in NAMES
            for name, variable in getattr(snapshot, prefix).named_variables().items()}


def test_a_run_trains_resumes_bit_for_bit_exports_and_is_scored(run_command, data_dir, tmp_path):
    where = [f'--data_dir={data_dir}', f'--results_dir={tmp_path / "results"}']

    def command(*arguments):
        done = run_command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    command('train.py', *SMALL, *where, '--set=train.total_kimg=0.4')
    command('train.py', *SMALL, *where, '--set=train.total_kimg=0.2')
    command('train.py', '--resume=1', where[1], where[0], '--set=train.total_kimg=0.4')
    whole, resumed = (tmp_path / 'results' / f'00{number}-blobs-stylegan-1gpu-cond' for number in (0, 1))
    trained, again = (values(load_snapshot(run / 'network-final.h5')) for run in (whole, resumed))
    for name, value in trained.items():
        assert_array_equal(again[name], value, err_msg=name)
    assert np.any(trained['G/dlatent_avg']) and not np.array_equal(trained['Gs/dlatent_avg'], np.zeros(8))
    assert_array_equal(trained['G/G_synthesis/noise0'], trained['Gs/G_synthesis/noise0'])
    assert '"r1_penalty"' in (whole / 'stats.jsonl').read_text()

    network = f'--network={whole}'
    command('export.py', network, f'--out={tmp_path / "model"}')
    for name, options in (('default', []), ('open', ['--truncation=1', '--noise=random'])):
        command('generate.py', 'images', network, '--seeds=0-3', '--class=1', f'--out={tmp_path / name}.npz', *options)
    assert np.any(np.load(tmp_path / 'default.npz')['images'] != np.load(tmp_path / 'open.npz')['images'])
    latents = np.concatenate([np.random.RandomState(seed).randn(1, 8) for seed in range(4)]).astype(np.float32)
    served = tf.saved_model.load(tmp_path / 'model' / '1').signatures['serving_default'](
        latents=tf.constant(latents), labels=tf.one_hot([1] * 4, 4))['images']
    assert_allclose(np.load(tmp_path / 'default.npz')['images'].astype(int), served.numpy().astype(int), atol=1)
    assert 'swd' in command('evaluate.py', f'--run={whole}', '--metrics=swd-32', '--num_images=32').lower()


def test_a_run_starts_from_networks_that_are_used_in_another_way_but_not_built_in_one(data_dir):
    given, other = Setup(data_dir), Setup(data_dir, overrides=['network.style_mixing_prob=0.5', 'train.seed=5'])
    start_from(other.state, other.schedule, Snapshot(*given.state.networks.values(), nimg=0), 'given', 10 ** 9)
    for name, value in values(given.state).items():
        assert_array_equal(values(other.state)[name], value, err_msg=name)
    unflipped = Setup(data_dir, overrides=['network.fused_scale=true'])
    with pytest.raises(ValueError, match='given holds networks of fused_scale auto, but this run builds them with True'):
        start_from(unflipped.state, other.schedule, Snapshot(*given.state.networks.values(), nimg=0), 'given', 10 ** 9)


def test_an_official_file_is_taken_by_commands(run_command, tmp_path):
    data, (G, _) = tiny_stylegan(resolution=16)
    (tmp_path / 'stylegan.pkl').write_bytes(data)
    network = f'--network={tmp_path / "stylegan.pkl"}'
    for arguments in (['import_official.py', tmp_path / 'stylegan.pkl', tmp_path / 'out.h5', '--verify'],
                      ['generate.py', 'grid', network, '--seeds=0-3', f'--out={tmp_path / "grid.png"}']):
        done = run_command(*arguments)
        assert done.returncode == 0, done.stderr
    assert_array_equal(load_snapshot(tmp_path / 'out.h5').Gs.dlatent_avg, G.dlatent_avg)
    done = run_command('generate.py', 'images', network, '--truncation_cutoff=9', f'--out={tmp_path / "out"}')
    assert done.returncode == 1 and not (tmp_path / 'out').exists()
    assert done.stderr.splitlines()[-1] == ('generate.py: truncation_cutoff is 9, but this network has 6 style layers; use '
                                            '0 to 6.')


class Setup:
    """A small run on 'blobs' under a strategy, without the loop."""

    def __init__(self, data_dir, devices=1, loss='logistic', precision='float32', overrides=()):
        config = resolve(['stylegan-1gpu', loss, 'cond'], [*NETWORK, *overrides])
        names = [f'CPU:{i}' for i in range(devices)]
        self.strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())
        self.dataset = Dataset(data_dir / 'blobs')
        self.schedule = Schedule(16, devices, Gs_decay=0.9, **dataclasses.asdict(config.schedule))
        with self.strategy.scope():
            self.state = make_state(self.dataset, config.network, precision, 7, **dataclasses.asdict(config.optimizer))
            # Of a constant image, which instance norm makes 0, and of no noise most gradients are rounding.
            for name, variable in self.state.G.variables_at(0).items():
                if name.endswith(('const', 'Noise/weight')):
                    variable.assign(np.random.RandomState(len(name)).randn(*variable.shape))
            objective = OBJECTIVES[config.loss.kind](config.loss, self.state.D.num_logits)
        self.iteration = Iteration(self.strategy, self.state, objective, seed=3, rounds=1)

    def run(self, count, level=1, fade=0.5, slices=1):
        stream = iter(self.strategy.distribute_datasets_from_function(lambda context: batches(
            self.dataset, level, 16, 1, 0, 5, True, context)))
        phase = Phase(level + fade, level, 16 >> level, 16, 0.001, 0.001, 1, Gs_decay=0.9, slices=slices)
        told = [self.iteration(next(stream), 16 * i, phase) for i in range(count)]
        self.values = values(self.state)
        return [sums.values.numpy() / sums.counts for sums in told]


@pytest.mark.parametrize('devices, slices', [(2, 1), (1, 2)])
def test_devices_and_slices_train_as_one_whole(data_dir, devices, slices):
    one, other = Setup(data_dir, overrides=['network.mbstd_group_size=1']), Setup(
        data_dir, devices, overrides=['network.mbstd_group_size=1'])
    assert_allclose(other.run(2, slices=slices), one.run(2), rtol=1e-4, atol=1e-4)
    for name, value in one.values.items():
        assert_allclose(other.values[name], value, atol=2e-5, err_msg=name)
    assert_array_equal(one.values['Gs/G_synthesis/noise3'], one.values['G/G_synthesis/noise3'])


@pytest.mark.parametrize('precision', ['mixed_float16', 'mixed_bfloat16'])
def test_lower_precision_trains_close_to_float32(data_dir, precision):
    exact, rounded = (Setup(data_dir, precision=name) for name in ('float32', precision))
    expected, found = np.mean(exact.run(50), axis=0), np.mean(rounded.run(50), axis=0)
    of = {name: i for i, name in enumerate(exact.iteration.names)}
    assert np.all(np.isfinite(found))
    for name in ('D_loss', 'G_loss', 'r1_penalty'):
        assert_allclose(found[of[name]], expected[of[name]], rtol=0.1, atol=0.02, err_msg=name)


def test_wgan_gp_trains_networks_that_judge_labels(data_dir):
    setup = Setup(data_dir, loss='wgan-gp')
    assert np.all(np.isfinite(setup.run(1)[0])) and 'label_penalty_reals' not in setup.iteration.names
