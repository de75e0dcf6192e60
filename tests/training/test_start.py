"""Where a run begins, and how much disk it takes."""
import dataclasses
import os
import types

import numpy as np
import pytest

import config as configs
from networks.snapshot import Snapshot, save_snapshot
from presets.progan import Network
from training import disk
from training.schedule import Schedule
from training.start import find_start, start_from
from training.state import Checkpoints, Position, make_state


def schedule(*overrides, resolution=16):
    config = configs.resolve(['v2-1gpu'], overrides)
    return Schedule(resolution, 1, **dataclasses.asdict(config.schedule), Gs_decay=0.999)


def state_of(resolution=16, num_channels=1, label_size=0, seed=1, **settings):
    dataset = types.SimpleNamespace(resolution=resolution, num_channels=num_channels, label_size=label_size,
                                    class_names=None)
    return make_state(dataset, Network(**{'fmap_base': 64, 'fmap_max': 8} | settings), 'float32', seed=seed, beta1=0.0,
                      beta2=0.99, epsilon=1e-8, initial_loss_scale=1.0)


def saved(state, lod, nimg):
    for network in state.networks.values():
        network.lod.assign(lod)
    return Snapshot(**state.networks, nimg=nimg)


@pytest.mark.parametrize('overrides', [[], ['schedule.lod_transition_kimg=0'], ['schedule.lod_training_kimg=0'],
                                       ['schedule.lod_training_kimg=0.3', 'schedule.lod_transition_kimg=0.7']])
def test_a_schedule_finds_the_first_image_of_each_lod(overrides):
    made = schedule(*overrides, resolution=1024)
    for lod in (8, 7, 3, 1, 0) if 'schedule.lod_transition_kimg=0' in overrides else (8, 7.75, 6.5, 3, 0.25, 0):
        nimg = made.nimg_at(lod)
        assert made.lod_at(nimg) == pytest.approx(lod, abs=0.002)
        assert nimg == 0 or made.lod_at(nimg - 10) > lod


@pytest.mark.parametrize('lod, nimg, expected', [
    (0.0, 3_000_000, 3_000_000), (2.0, 600_001, 600_001),  # The schedule agrees: where it was saved.
    (0.0, 60_000, 2_400_000), (2.0, 2_400_000, 0),         # Another schedule's.
    (0.0, 0, 2_400_000), (1.5, 0, 900_000)])               # An official file.
def test_networks_go_on_where_they_were(lod, nimg, expected):
    assert find_start(schedule(), lod, nimg)[0] == expected


def test_a_start_takes_the_networks_and_says_where_and_why():
    given, state = state_of(seed=7), state_of()
    start = start_from(state, schedule(), saved(given, 0, 0), 'x.pkl', 12_000_000)
    assert start.nimg == 2_400_000
    assert 'x.pkl, saved at lod 0.00: at 2400 kimg, where this schedule reaches' in start.remarks[0]
    for name, variable in given.D.named_variables().items():
        np.testing.assert_array_equal(state.D.named_variables()[name], variable)
    assert start_from(state, schedule(), saved(given, 0, 0), 'x.pkl', 12_000_000, start_kimg=0).nimg == 0
    with pytest.raises(ValueError, match=r'at 2400 kimg, .*, and end at train.total_kimg, 100; raise .*--start_kimg=50\.$'):
        start_from(state, schedule(), saved(given, 0, 0), 'x.pkl', 100_000)


def test_partial_takes_what_fits_by_resolution_and_lists_the_rest():
    given, state = state_of(8, seed=7), state_of(16, label_size=3)
    with pytest.raises(ValueError, match='networks of resolution 8, .*; to take over what fits, add --partial.$'):
        start_from(state, schedule(), saved(given, 0, 0), 'x', 12_000_000)
    start = start_from(state, schedule(), saved(given, 0, 0), 'x', 12_000_000, partial=True)
    assert start.nimg == schedule().nimg_at(1)  # 8x8 is lod 1 of 16x16.
    ours, theirs = state.G.named_variables(), given.G.named_variables()
    for our, their in (('8x8/Conv1/weight', '8x8/Conv1/weight'), ('ToRGB_lod1/weight', 'ToRGB_lod0/weight')):
        np.testing.assert_array_equal(ours[our], theirs[their])
    assert all('4x4/Dense/weight' in line or '4x4/Dense1/weight' in line for line in start.remarks[1:])
    assert '16x16/Conv1/weight' in start.remarks[1] and '8x8/' not in start.remarks[1] and len(start.remarks) == 4
    with pytest.raises(ValueError, match='networks of use_wscale False'):
        start_from(state, schedule(), saved(state_of(use_wscale=False), 0, 0), 'x', 12_000_000, partial=True)


def test_the_size_of_a_run_is_that_of_its_files(tmp_path):
    state, made = state_of(fmap_base=512, fmap_max=64), schedule('schedule.tick_kimg=100', 'schedule.tick_kimg_dict={}')
    save_snapshot(tmp_path / 'network.h5', **state.networks)
    Checkpoints(str(tmp_path), state, {}, Position()).save()
    options = configs.resolve(['v2-1gpu'], ['train.network_snapshot_ticks=3']).train
    snapshots, checkpoints, pictures = disk.run_folder(state, made, 0, 3_000_000, options)
    assert snapshots.size == pytest.approx(os.path.getsize(tmp_path / 'network.h5'), rel=0.2)
    assert checkpoints.size == pytest.approx(sum(f.stat().st_size for f in (tmp_path / 'checkpoints').iterdir()), rel=0.2)
    assert (snapshots.count, checkpoints.count, pictures.count) == (11, 2, 64)
    kept = dataclasses.replace(options, keep_snapshots=4)
    assert disk.run_folder(state, made, 0, 3_000_000, kept)[0].count == 5
