"""StyleGAN from training to pictures: trains, resumes bit for bit, exports, is scored, imports; on one device and on two."""
import numpy as np
import pytest
import style_runs
from numpy.testing import assert_allclose, assert_array_equal
from reference_pickles import tiny_stylegan
from style_runs import SMALL, check_imported, check_scored, check_served, train_whole_and_resumed, values
from workers import check_workers

from networks.snapshot import Snapshot
from training.start import start_from

ARGUMENTS = ['--config=stylegan-1gpu,cond', *SMALL, '--set=schedule.minibatch_dict={}', '--set=train.minibatch_repeats=2']


def test_a_run_trains_resumes_bit_for_bit_exports_and_is_scored(command, data_dir, tmp_path):
    whole, _, trained = train_whole_and_resumed(command, ARGUMENTS, data_dir, tmp_path / 'results', 0.4)
    assert whole.name == '000-blobs-stylegan-1gpu-cond'
    assert np.any(trained['G/dlatent_avg']) and not np.array_equal(trained['Gs/dlatent_avg'], np.zeros(8))
    assert_array_equal(trained['G/G_synthesis/noise0'], trained['Gs/G_synthesis/noise0'])
    assert '"r1_penalty"' in (whole / 'stats.jsonl').read_text()

    check_served(command, whole, tmp_path)
    check_scored(command, whole, tmp_path)


def test_a_run_starts_from_networks_that_are_used_in_another_way_but_not_built_in_one(data_dir):
    given, other = Setup(data_dir), Setup(data_dir, overrides=['network.style_mixing_prob=0.5', 'train.seed=5'])
    start_from(other.state, other.schedule, Snapshot(*given.state.networks.values(), nimg=0), 'given', 10 ** 9)
    for name, value in values(given.state).items():
        assert_array_equal(values(other.state)[name], value, err_msg=name)
    unflipped = Setup(data_dir, overrides=['network.fused_scale=true'])
    with pytest.raises(ValueError, match='given holds networks of fused_scale auto, but this run builds them with True'):
        start_from(unflipped.state, other.schedule, Snapshot(*given.state.networks.values(), nimg=0), 'given', 10 ** 9)


def test_an_official_file_is_taken_by_commands(command, run_command, tmp_path):
    data, (G, _) = tiny_stylegan(resolution=16)
    network = check_imported(command, data, G.dlatent_avg, tmp_path)
    done = run_command('generate.py', 'images', network, '--truncation_cutoff=9', f'--out={tmp_path / "out"}')
    assert done.returncode == 1 and not (tmp_path / 'out').exists()
    assert done.stderr.splitlines()[-1] == ('generate.py: truncation_cutoff is 9, but this network has 6 style layers; use '
                                            '0 to 6.')


class Setup(style_runs.Setup):
    """At 16x16; of a constant image, which instance norm makes 0, and of no noise most gradients would be rounding."""

    def __init__(self, data_dir, devices=1, loss='logistic', precision='float32', overrides=(), strategy=None):
        super().__init__(data_dir, ['stylegan-1gpu', loss], 16, devices, precision, overrides, strategy)
        with self.strategy.scope():
            for name, variable in self.state.G.variables_at(0).items():
                if name.endswith(('const', 'Noise/weight')):
                    variable.assign(np.random.RandomState(len(name)).randn(*variable.shape))

    def run(self, count, level=1, fade=0.5, slices=1):
        return [sums.values.numpy() / sums.counts for sums in self.rounds(count, level, fade, slices)]


ALONE = ['network.mbstd_group_size=1']


@pytest.fixture(scope='module')
def whole(data_dir):
    setup = Setup(data_dir, overrides=ALONE)
    return setup.run(2), setup.values


@pytest.mark.parametrize('devices, slices', [(2, 1), (1, 2)])
def test_devices_and_slices_train_as_one_whole(data_dir, whole, devices, slices):
    other, (told, expected) = Setup(data_dir, devices, overrides=ALONE), whole
    assert_allclose(other.run(2, slices=slices), told, rtol=1e-4, atol=1e-4)
    for name, value in expected.items():
        assert_allclose(other.values[name], value, atol=2e-5, err_msg=name)
    assert_array_equal(expected['Gs/G_synthesis/noise3'], expected['G/G_synthesis/noise3'])


def test_two_worker_processes_train_as_one_whole(data_dir, whole, tmp_path):
    check_workers('from tests.commands.test_stylegan_run import ALONE, Setup; setup = Setup(data_dir, strategy=strategy, '
                  'overrides=ALONE); setup.run(2); found = setup.values', whole[1], data_dir, tmp_path, atol=2e-5)


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
