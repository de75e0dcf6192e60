import dataclasses
import json

import pytest

from config import resolve
from training.schedule import Schedule


def schedule(names, resolution=1024, devices=1, overrides=(), **changes):
    config = resolve(names, overrides)
    values = {**dataclasses.asdict(config.schedule), 'Gs_decay': config.train.Gs_decay}
    return Schedule(resolution, devices, **{**values, **changes})


def test_schedule_equals_reference_for_the_golden_presets_and_precisions(goldens):
    golden = json.loads((goldens / 'training_schedule.json').read_text())
    assert len(golden) == 9
    for key, expected in golden.items():
        preset, precision = key.removeprefix('preset-').split('/')
        if precision == 'none':
            ours = schedule([preset], devices=expected['num_gpus'], max_minibatch_per_gpu={})
        else:
            ours = schedule([preset, precision], devices=expected['num_gpus'])
        for nimg, *row in expected['rows']:
            phase = ours.at(nimg)
            assert [phase.lod, phase.resolution, phase.minibatch, phase.G_learning_rate, phase.D_learning_rate,
                    phase.tick_nimg / 1000] == row, (key, nimg)


def test_schedule_equals_reference_for_stylegans_golden_presets(goldens):
    golden = json.loads((goldens / 'stylegan' / 'schedule.json').read_text())
    for key, (preset, devices, resolution) in {'1gpu-1024': ('stylegan-1gpu', 1, 1024),
                                               '8gpu-256': ('stylegan-8gpus', 8, 256)}.items():
        ours = schedule([preset], resolution, devices)
        for kimg, *row in golden[key]:
            phase = ours.at(kimg * 1000)
            assert [phase.lod, phase.resolution, phase.minibatch, phase.G_learning_rate, phase.D_learning_rate,
                    phase.tick_nimg / 1000] == row, (key, kimg)


@pytest.mark.parametrize('key, presets, resolution', [
    ('config-e-f-1024', ['stylegan2-e', 'stylegan2-f', 'stylegan2-e-Gorig-Dskip'], 1024),
    ('config-a-d-256', ['stylegan2-a', 'stylegan2-b', 'stylegan2-c', 'stylegan2-d'], 256)])
def test_schedule_equals_reference_for_every_configuration_of_stylegan2(goldens, key, presets, resolution):
    golden = json.loads((goldens / 'stylegan' / 'v2_schedule.json').read_text())
    for preset in presets:
        ours = schedule([preset], resolution, 8)
        for kimg, *row in golden[key]:
            phase = ours.at(kimg * 1000)
            assert [phase.lod, phase.resolution, phase.minibatch, phase.minibatch // 8 // phase.slices,
                    phase.G_learning_rate, phase.D_learning_rate, phase.tick_nimg / 1000] == row, (preset, kimg)
        assert phase.Gs_decay == 0.5 ** (32 / 10_000)


def test_one_device_takes_stylegan2s_minibatch_in_slices_and_three_do_not_divide_it():
    assert [schedule(['stylegan2-f', 'fp16'], devices=n).at(0).slices for n in (1, 2, 4, 8)] == [8, 4, 2, 1]
    for devices, overrides in ((3, []), (1, ['schedule.minibatch_base=30'])):
        with pytest.raises(ValueError, match=r'is 3., no multiple of . device\(s\) times 4 images at a time'):
            schedule(['stylegan2-f'], devices=devices, overrides=overrides).at(0)


@pytest.mark.parametrize('names, devices, minibatches, learning_rates', [
    (['stylegan-1gpu'], 1, [128, 128, 64, 32, 16, 8, 4, 4], [.001] * 4 + [.0015, .002, .003, .003]),
    (['stylegan-2gpus'], 2, [256, 128, 64, 32, 16, 8, 8, 8], [.001] * 4 + [.0015, .002, .003, .003]),
    (['stylegan-4gpus'], 4, [256, 128, 64, 32, 16, 16, 16, 16], [.001] * 4 + [.0015, .002, .003, .003]),
    (['stylegan-8gpus', 'wgan-gp'], 8, [256, 128, 64, 32, 32, 32, 32, 32], [.001] * 4 + [.0015, .002, .002, .002])])
def test_stylegans_presets_start_at_8_with_the_table_of_their_devices(names, devices, minibatches, learning_rates):
    phases = [schedule(names, devices=devices).at(i * 1_200_000) for i in range(8)]
    assert [phase.resolution for phase in phases] == [8, 16, 32, 64, 128, 256, 512, 1024]
    assert [phase.minibatch for phase in phases] == minibatches
    assert [phase.G_learning_rate for phase in phases] == learning_rates
    assert phases[0].Gs_decay == pytest.approx(0.5 ** (minibatches[0] / 10_000))
    assert schedule([*names, 'nosmoothing'], devices=devices).at(0).Gs_decay == 0


@pytest.mark.parametrize('preset, devices, minibatches, learning_rates', [
    ('v1-1gpu', 1, [16, 16, 16, 16, 16, 16, 14, 6, 3], [.001] * 9),
    ('v2-1gpu', 1, [128, 128, 128, 64, 32, 16, 8, 4, 4], [.001] * 8 + [.0015]),
    ('v2-2gpus', 2, [256, 256, 128, 64, 32, 16, 8, 8, 8], [.001] * 7 + [.0015, .002]),
    ('v2-4gpus', 4, [512, 256, 128, 64, 32, 16, 16, 16, 16], [.001] * 6 + [.0015, .002, .003]),
    ('v2-8gpus', 8, [512, 256, 128, 64, 32, 32, 32, 32, 32], [.001] * 5 + [.0015, .002, .003, .003])])
def test_presets_have_the_minibatches_and_learning_rates_of_the_table(preset, devices, minibatches, learning_rates):
    ours = schedule([preset], devices=devices, max_minibatch_per_gpu={})
    length = 1600_000 if preset.startswith('v1') else 1200_000
    phases = [ours.at(i * length) for i in range(9)]
    assert [phase.resolution for phase in phases] == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert [phase.minibatch for phase in phases] == minibatches
    assert [phase.G_learning_rate for phase in phases] == learning_rates
    assert [phase.D_learning_rate for phase in phases] == learning_rates


def test_lod_falls_by_one_per_phase_and_stays_at_zero():
    ours = schedule(['celeba'], resolution=16)
    assert [ours.lod_at(k * 1000) for k in (0, 600, 900, 1200, 1800, 2100, 2400, 9000)] == [2, 2, 1.5, 1, 1, 0.5, 0, 0]


def test_without_growing_training_starts_at_full_resolution():
    phase = schedule(['celeba', 'nogrowing'], resolution=128).at(0)
    assert (phase.lod, phase.resolution) == (0, 128)


def test_minibatch_is_rounded_to_devices_then_capped():
    ours = schedule(['celeba'], 16, 3, minibatch_dict={4: 16}, max_minibatch_per_gpu={4: 4})
    assert ours.at(0).minibatch == 12
    assert dataclasses.replace(ours, max_minibatch_per_gpu={}).at(0).minibatch == 15


def test_too_many_devices_are_refused():
    with pytest.raises(ValueError, match='minibatch at 4x4 is 2, too small for 4 devices'):
        schedule(['celeba'], 16, 4, minibatch_dict={4: 2}).at(0)


def test_starting_above_the_resolution_of_the_images_is_refused():
    with pytest.raises(ValueError, match='lod_initial_resolution is 32, but the images have 16'):
        schedule(['celeba'], 16, lod_initial_resolution=32)


def test_phases_cover_training_without_gaps_and_agree_with_the_schedule():
    ours = schedule(['demo'], 16)
    phases = ours.phases(60_000)
    assert [(start, end, phase.resolution) for start, end, phase in phases] == [
        (0, 4000, 4), (4000, 8000, 8), (8000, 12000, 8), (12000, 16000, 16), (16000, 60000, 16)]
    assert [(ours.lod_at(start), ours.lod_at(end)) for start, end, _ in phases] == [(2, 2), (2, 1), (1, 1), (1, 0), (0, 0)]
    assert len(schedule(['demo', 'nogrowing'], 16).phases(60_000)) == 1


def test_rates_ramp_up_and_the_average_has_a_half_life():
    made = schedule(['v2-1gpu'], overrides=['schedule.rampup_kimg=10', 'schedule.Gs_half_life_kimg=10',
                                            'schedule.minibatch_dict={}', 'schedule.minibatch_base=100'])
    assert [made.at(nimg).G_learning_rate for nimg in (0, 5000, 10_000, 20_000)] == [0, 0.0005, 0.001, 0.001]
    assert made.at(0).Gs_decay ** 100 == pytest.approx(0.5)  # 100 updates of 100 images are 10 kimg.
    assert schedule(['v2-1gpu']).at(0).Gs_decay == 0.999


def test_a_share_larger_than_a_device_takes_at_a_time_goes_in_slices():
    made = schedule(['v2-1gpu'], devices=2, overrides=['schedule.minibatch_dict={4: 64, 8: 32, 16: 20}',
                                                       'schedule.minibatch_per_device={4: 8, 8: 16, 16: 4}'])
    # A device's 10 images at 16x16 are taken in 5 parts: equal ones of at most 4.
    assert {made.at(nimg).resolution: made.at(nimg).slices for nimg in (0, 1_000_000, 2_000_000)} == {4: 4, 8: 1, 16: 5}
