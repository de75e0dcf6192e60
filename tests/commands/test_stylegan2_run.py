"""StyleGAN2 from training to pictures: trains, resumes in the lazy cycle, exports, imports; devices, slices, precisions."""
import json

import numpy as np
import pytest
import style_runs
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from reference_pickles import tiny_stylegan2
from style_runs import SMALL, check_imported, check_scored, check_served, train_whole_and_resumed
from workers import check_workers

from networks.snapshot import Snapshot, load_snapshot
from serving.generate import generate_images
from training.loop import check_fit
from training.start import start_from

ARGUMENTS = ['--config=stylegan2-f,cond', *SMALL, '--set=schedule.minibatch_per_device_base=8',
             '--set=loss.G_reg_interval=8', '--set=loss.D_reg_interval=8']


def test_a_run_trains_resumes_in_the_lazy_cycle_bit_for_bit_exports_and_is_scored(command, run_command, data_dir, tmp_path):
    results = tmp_path / 'results'  # Stopped after 20 rounds, of which 0, 8, 16 regularize.
    whole, resumed, trained = train_whole_and_resumed(command, ARGUMENTS, data_dir, results, 0.32)
    assert whole.name == '000-blobs-stylegan2-f-cond'
    assert np.any(trained['G/dlatent_avg']) and 'D/lod' not in trained
    means = [tf.train.load_checkpoint(run / 'checkpoints').get_tensor('objective/pl_mean/.ATTRIBUTES/VARIABLE_VALUE')
             for run in (whole, resumed)]
    assert means[0] == means[1] > 0
    lines = [json.loads(line) for line in (whole / 'stats.jsonl').read_text().splitlines()]
    assert {'pl_lengths', 'pl_penalty', 'gradient_penalty', 'G_reg', 'D_reg'} <= lines[0].keys()

    done = run_command('train.py', '--resume=1', f'--results_dir={results}', '--set=loss.D_reg_interval=16')
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('train.py: loss.D_reg_interval cannot change when a run is resumed')

    check_served(command, whole, tmp_path, '--formats=saved_model,keras,tflite')
    check_scored(command, whole, tmp_path)

    command('generate.py', 'images', f'--network={whole}', '--seeds=7', '--class=1', f'--out={tmp_path / "seed.npz"}')
    Gs, random = load_snapshot(whole / 'network-final.h5').Gs, np.random.RandomState(7)
    latents = random.randn(1, Gs.latent_size)
    for noise in Gs.noise:
        noise.assign(random.randn(*noise.shape))
    assert_allclose(np.load(tmp_path / 'seed.npz')['images'].astype(int),
                    next(generate_images(Gs, latents, np.eye(4)[[1]])).astype(int), atol=1)


def test_an_official_file_is_taken_by_commands(command, tmp_path):
    data, (G, _) = tiny_stylegan2()
    check_imported(command, data, G.dlatent_avg, tmp_path)


class Setup(style_runs.Setup):
    """At 8x8."""

    def __init__(self, data_dir, devices=1, names=('stylegan2-f',), precision='float32', overrides=(), strategy=None):
        super().__init__(data_dir, names, 8, devices, precision, overrides, strategy)

    def run(self, slices=1, level=0, fade=0.0):
        """-> {statistic: value} of the first round, in which all is due."""
        sums, = self.rounds(1, level, fade, slices)
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


def test_two_worker_processes_train_as_one_whole(data_dir, whole, tmp_path):
    check_workers('from tests.commands.test_stylegan2_run import ALONE, Setup; setup = Setup(data_dir, strategy=strategy, '
                  'overrides=ALONE); setup.run(); found = setup.values', whole[1], data_dir, tmp_path, atol=2e-5)


def test_the_mean_of_path_lengths_follows_all_devices_and_slices_and_only_where_it_is_due(data_dir):
    setup = Setup(data_dir, devices=2)
    lengths = setup.run(slices=2)['pl_lengths']  # The mean over all.
    assert_allclose(setup.objective.variables['pl_mean'].numpy(), 0.01 * lengths, rtol=1e-5)
    assert [setup.iteration._due(i) for i in (0, 4, 5, 16)] == [
        [(0,), (1,), (2,), (3,)], [(0,), (1,), (2,)], [(0,), (2,)], [(0,), (1,), (2,), (3,)]]


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
