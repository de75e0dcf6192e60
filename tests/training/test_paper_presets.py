"""ProGAN's experiments by name: their settings, schedules at the paper's size, and a few steps of each at a tiny one."""
import dataclasses

import numpy as np
import pytest
from in_process import check_resumed, iterate

from config import describe, resolve
from networks.snapshot import load_snapshot
from presets import mnist1k, paper
from presets.datasets import SHAPES
from training.describe import plan
from training.loop import check_groups
from training.schedule import Schedule

ROWS = [f'table1-{row}' for row in ('a', 'b', 'c', 'd', 'e-star', 'e', 'f', 'g', 'h')]
OTHERS = [['paper-celebahq'], ['lsun-cat-100k', 'paper-lsun'], ['cifar10-paper'], *[[name] for name in mnist1k.PRESETS]]
RUNS = [*[[data, row] for row in ROWS for data in ('celeba', 'lsun-bedroom-100k')], *OTHERS]


def schedule_of(config):
    resolution = config.data.resolution or SHAPES[config.data.name][2]
    return Schedule(resolution, 1, **dataclasses.asdict(config.schedule), Gs_decay=config.train.Gs_decay)


@pytest.mark.parametrize('names', RUNS, ids='-'.join)
def test_every_experiment_has_a_schedule_at_its_size(names):
    config = resolve(names)
    schedule = schedule_of(config)
    phases = schedule.phases(config.train.total_kimg * 1000)
    for _, _, phase in phases:
        check_groups(phase, 1, 2 ** 16)
    grows = config.schedule.lod_initial_resolution is not None
    assert [phase.level for _, _, phase in phases][-1] == 0 and (len(phases) > 1) == grows
    assert {phase.minibatch for _, _, phase in phases} == (
        {16, 14, 6, 3} if 'paper-celebahq' in names else {config.schedule.minibatch_base})
    assert (config.train.minibatch_repeats, config.train.devices, config.train.reset_optimizers) == (1, 1, True)


@pytest.mark.parametrize('names', [*[['celeba', row] for row in ROWS], *OTHERS], ids='-'.join)
def test_every_experiment_is_planned_with_its_networks_at_its_size(names, tmp_path):
    config = resolve(names, [f'data.dir={tmp_path}'])
    num_images, _, resolution, _ = SHAPES[config.data.name]
    lines = plan(config).splitlines()
    assert lines[0].startswith(f'{num_images} images of {resolution}x{resolution} are assumed')
    assert sum(line.startswith('total') for line in lines) == 2  # The parameters of G and D.


def test_rows_of_table_1_differ_as_the_paper_says():
    rows = {name.removeprefix('table1-'): resolve(['celeba', name]) for name in ROWS}
    facts = {row: (config.train.D_repeats, config.schedule.minibatch_base, round(config.train.Gs_decay ** (
        config.train.D_repeats), 6), config.schedule.G_learning_rate, config.optimizer.beta2, config.train.total_kimg)
        for row, config in rows.items()}
    assert facts == {
        'a': (5, 64, round(0.999 ** 20, 6), 1e-4, 0.9, 10000), 'b': (5, 64, round(0.999 ** 20, 6), 1e-4, 0.9, 10000),
        'c': (5, 16, round(0.999 ** 5, 6), 1e-4, 0.9, 10000), 'd': (1, 16, 0.999, 1e-4, 0.99, 10000),
        'e-star': (1, 16, 0.999, 1e-4, 0.99, 10000), 'e': (1, 16, 0.999, 1e-4, 0.99, 10000),
        'f': (1, 16, 0.999, 1e-3, 0.99, 10000), 'g': (1, 16, 0.999, 1e-3, 0.99, 10000),
        'h': (1, 16, 0.999, 1e-3, 0.99, 15000)}
    names = list(rows)
    changed = {}
    for before, row in (('a', 'b'), ('b', 'c'), ('c', 'd'), ('d', 'e-star'), ('d', 'e'), ('e', 'f'), ('f', 'g'), ('g', 'h')):
        old, new = (dataclasses.asdict(rows[name].network) | dataclasses.asdict(rows[name].loss) for name in (before, row))
        changed[row] = {key for key in new if new[key] != old[key]}
    assert changed == {
        'b': set(), 'c': set(), 'e-star': {'mbdisc_kernels'}, 'e': {'mbstd_group_size'}, 'f': {'use_wscale'},
        'g': {'use_pixelnorm'}, 'h': {'fmap_base'}, 'd': {
            'latent_size', 'normalize_latents', 'use_leakyrelu', 'use_batchnorm', 'use_tanh', 'use_layernorm',
            'wgan_epsilon'}}
    assert schedule_of(rows['a']).lod_at(0) == 0 and schedule_of(rows['b']).lod_at(0) == 5
    assert not any(config.network.fused_scale or config.schedule.rampup_kimg for config in rows.values()) and len(names) == 9


def test_the_others_have_the_numbers_of_the_page():
    cifar = resolve(['cifar10-paper'])
    assert (cifar.loss.kind, cifar.loss.wgan_target, cifar.loss.wgan_lambda) == ('wgan_gp_joint', 750, 10)
    assert (cifar.network.fmap_base, cifar.network.fmap_max, cifar.network.latent_size) == (4096, 128, 128)
    assert (cifar.train.total_kimg, cifar.schedule.lod_training_kimg, cifar.data.mirror) == (20000, 400, False)
    large = resolve(['paper-celebahq'])
    assert (large.train.total_kimg, large.schedule.rampup_kimg, large.data.mirror) == (19000, 40, True)
    assert schedule_of(large).at(20000).G_learning_rate == 0.0005 and schedule_of(large).at(40000).D_learning_rate == 0.001
    mirrored = {category: resolve([f'lsun-{category}-100k', 'paper-lsun']).data.mirror
                for category in ('bedroom', 'cat', 'dog')}
    assert mirrored == {'bedroom': False, 'cat': True, 'dog': False}
    for K in (2, 4):
        plain, *_, last = (resolve([f'mnist1k-k{K}{suffix}']) for suffix in ('', '-norm', '-mbstd', '-progressive'))
        assert (plain.network.D_divisor, plain.train.D_repeats, plain.loss.wgan_epsilon) == (K, 5, 0)
        assert (plain.schedule.minibatch_base, plain.train.total_kimg, last.train.total_kimg) == (64, 10000, 15000)
        assert (last.schedule.lod_training_kimg, last.schedule.lod_transition_kimg) == (500, 2000)
        assert plain.network.use_batchnorm and not plain.network.use_wscale
        assert last.network.use_wscale and last.network.use_pixelnorm and not last.network.use_batchnorm
    text = describe()
    assert all(name in text for name in [*paper.PRESETS, *mnist1k.PRESETS])
    assert resolve(['celeba', 'table1-g', 'lsgan']).loss.kind == resolve(['lsgan', 'paper-celebahq']).loss.kind == 'lsgan'


TINY = ['schedule.lod_initial_resolution=none', 'schedule.lod_training_kimg=0', 'schedule.lod_transition_kimg=0',
        'network.latent_size=4', 'train.D_repeats=1']


@pytest.mark.parametrize('name', [*ROWS, 'cifar10-paper', *mnist1k.PRESETS])
def test_every_experiment_trains_what_it_has_at_a_tiny_size(name, data_dir):
    state, moved, told = iterate([name], TINY, data_dir, 3)
    assert all(np.isfinite(value) for value in told.values()), told
    assert told['D_skipped'] == told['G_skipped'] == 0
    for role in 'GD':
        variables = state.networks[role].variables_at(0)
        idle = {key for key in variables if f'{role}/{key}' not in moved}
        # Those that only fading reaches, and biases of which the loss, a difference of scores, knows nothing.
        assert idle <= {f'{rgb}RGB_lod1/{what}' for rgb in ('To', 'From') for what in ('weight', 'bias')} | {
            f'4x4/{last}/bias' for last in ('Dense', 'Dense1')}, idle
        assert {key for key in state.networks[role].own_variables() if key != 'lod'} <= {
            key.removeprefix(f'{role}/') for key in moved if key.startswith(f'{role}/')}
    assert {f'Gs/{key}' for key in state.G.averages} <= moved


def test_a_resumed_run_keeps_its_averages_and_is_not_initialized_again(data_dir, tmp_path):
    run = check_resumed(['table1-e-star'], [*TINY, 'network.use_batchnorm=true', 'network.mbdisc_kernels=3',
                                            'schedule.tick_kimg=0.1', 'data.resolution=4'], data_dir, tmp_path, 0.2)
    snapshot = load_snapshot(run / 'network-final.h5')
    assert np.all(np.abs(snapshot.D.discrimination.log_scale.numpy()) > 0.1)  # Adam takes it 1e-4 per step.
    for layer in (snapshot.G, snapshot.Gs):
        assert np.all(layer.named_variables()['4x4/Conv/variance'].numpy() != 1)
