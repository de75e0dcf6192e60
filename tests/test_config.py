import dataclasses
import re

import pytest

import config as configs
from config import Config, from_json, override, resolve, to_json
from presets import datasets


def test_every_name_composes_and_survives_json():
    for name, preset in configs.PRESETS.items():
        names = [name, 'cond'] if name == 'row_per_class' else [name]
        config = resolve(names)
        for key, value in preset.values.items():
            section, field = key.split('.')
            assert getattr(getattr(config, section), field) == value, key
        assert from_json(to_json(config)) == config


def test_names_apply_in_order():
    config = resolve(['v2-8gpus', 'celebahq', 'fp16', 'nogrowing'])
    assert (config.data.name, config.data.mirror, config.train.devices) == ('celebahq', True, 8)
    assert config.train.total_kimg == 10000
    assert config.schedule.max_minibatch_per_gpu == {512: 16, 1024: 8}
    assert config.description == 'v2-8gpus-celebahq-fp16-nogrowing'


def test_nothing_means_the_demo_and_a_data_set_alone_means_v2_1gpu_in_fp32():
    assert resolve([]) == resolve(['demo'])
    assert dataclasses.replace(resolve(['celeba']), description='') == dataclasses.replace(
        resolve(['celeba', 'v2-1gpu', 'fp32']), description='')


def test_stylegan_composes_with_losses_rows_and_progans_networks():
    config = resolve(['ffhq', 'stylegan-8gpus'])
    assert (config.network.kind, config.loss.kind, config.loss.r1_gamma) == ('stylegan', 'logistic', 10.0)
    assert (config.data.mirror, config.train.total_kimg, config.train.grid, config.train.devices) == (True, 25000, '4k', 8)
    assert not any(resolve([name, 'stylegan-1gpu']).data.mirror for name in (
        'lsun-bedroom-full', 'lsun-car-512x384', 'lsun-cat-full'))
    row = resolve(['ffhq', 'stylegan-8gpus', 'traditional', 'wgan-gp'])
    assert (row.network.use_styles, row.network.mapping_layers, row.loss.kind) == (False, 0, 'wgan_gp')
    old = resolve(['ffhq', 'stylegan-8gpus', 'progan-networks'])
    assert (old.network.kind, old.loss.kind, old.schedule.lod_initial_resolution) == ('progan', 'wgan_gp', 8)


def test_stylegan2s_configurations_are_those_of_the_paper():
    facts = {}
    for letter in 'abcdef':
        config = resolve(['ffhq', f'stylegan2-{letter}', '4gpus'])
        train = config.train
        assert (train.total_kimg, train.grid, train.devices, config.data.mirror) == (25000, '8k', 4, True)
        facts[letter] = (config.network.kind, config.network.fmap_base, config.loss.lazy, config.loss.pl_weight,
                         config.loss.gamma)
    assert facts == {
        'a': ('stylegan', 8192, False, 0, 10), 'b': ('stylegan_revised', 8192, False, 0, 10),
        'c': ('stylegan_revised', 8192, True, 0, 10), 'd': ('stylegan_revised', 8192, True, 2, 10),
        'e': ('stylegan2', 8192, True, 2, 100), 'f': ('stylegan2', 16384, True, 2, 10)}
    pairs = {(pair.network.G_architecture, pair.network.D_architecture, pair.network.fmap_base) for pair in (
        resolve([f'stylegan2-e-G{G}-D{D}']) for G in ('orig', 'skip', 'resnet') for D in ('orig', 'skip', 'resnet'))}
    assert len(pairs) == 9 and {base for _, _, base in pairs} == {8192}


def test_data_sets_tell_stylegan2_how_long_it_trains_and_its_gamma_in_any_order():
    told = {name: [(config.train.total_kimg, config.loss.gamma, config.data.mirror) for config in (
        resolve([name, 'stylegan2-f']), resolve(['stylegan2-f', name]), resolve([name, 'stylegan2-e']))]
        for name in ('lsun-car', 'lsun-cat', 'lsun-church', 'lsun-horse')}
    assert told == {name: [(kimg, gamma, False)] * 2 + [(kimg, 100.0, False)] for name, kimg, gamma in (
        ('lsun-car', 57000, 10.0), ('lsun-cat', 88000, 10.0), ('lsun-church', 88000, 100.0), ('lsun-horse', 100000, 100.0))}
    assert resolve(['lsun-church', 'stylegan2-f'], ['loss.gamma=5']).loss.gamma == 5.0
    assert resolve(['lsun-church', 'v2-1gpu']).train.total_kimg == 12000


def test_a_filter_is_a_list_in_configs_and_files():
    config = resolve(['stylegan2-f'], ['network.resample_kernel=[1, 2, 1]', 'network.fmap_min=4'])
    assert config.network.resample_kernel == [1.0, 2.0, 1.0] and from_json(to_json(config)) == config
    assert resolve(['stylegan2-f'], ['network.resample_kernel=none']).network.resample_kernel is None


def test_overrides_are_typed():
    config = override(Config(), ['schedule.lod_training_kimg=300', 'train.jit=true', 'data.resolution=None',
                                 'schedule.minibatch_dict={4: 32, 8:16}', 'data.label_size=full', 'data.name=7'])
    assert config.schedule.lod_training_kimg == 300.0 and type(config.schedule.lod_training_kimg) is float
    assert config.train.jit is True and config.data.resolution is None and config.data.label_size == 'full'
    assert config.schedule.minibatch_dict == {4: 32, 8: 16} and config.data.name == '7'


@pytest.mark.parametrize('names, overrides, sentence', [
    (['celebahq', 'v2-8gpu'], [], "unknown name 'v2-8gpu' in --config; did you mean 'v2-8gpus'? --list"),
    (['fp16', 'bf16'], [], "'fp16' and 'bf16', but takes one precision"),
    (['mnist', 'svhn'], [], "'mnist' and 'svhn', but takes one data set"),
    (['v1-1gpu', 'demo'], [], "'v1-1gpu' and 'demo', but takes one preset"),
    (['cond', 'cond1'], [], "'cond' and 'cond1'"),
    (['nogrowing', 'BENCHMARK'], [], "'nogrowing' and 'BENCHMARK'"),
    (['stylegan-1gpu', 'hinge', 'wgan'], [], "'hinge' and 'wgan', but takes one loss"),
    (['stylegan-1gpu'], ['network.fused_scale=often'], "is 'often'; it must be one of 'auto', False, True"),
    (['stylegan2-f'], ['network.resample_kernel=[]'], 'resample_kernel has 0 elements; a filter has 1 to 64'),
    (['stylegan2-f'], ['network.resample_kernel=[1,"x"]'], 'must be of type float'),
    (['stylegan2-f'], ['network.resample_kernel=3'], 'must be of type list[float] or None'),
    (['stylegan2-f'], ['loss.gamma=-1'], 'loss.gamma is -1.0; it must be positive or 0'),
    (['stylegan2-f'], ['loss.G_reg_interval=0'], 'must be positive'),
    (['stylegan2-f'], ['loss.pl_decay=2'], 'must be at most 1'),
    (['stylegan2-e', 'wgan-gp'], [], "'stylegan2-e' cannot be composed: loss.gamma belongs to stylegan2"),
    (['stylegan2-f', '2gpus', '8gpus'], [], "'2gpus' and '8gpus', but takes one number of devices"),
    (['stylegan-1gpu'], ['network.nonlinearity=swish'], "must be one of 'lrelu', 'relu'"),
    (['mnist', 'row_per_class'], [], "uses no labels; add 'cond'"),
    ([], ['train.totl_kimg=3'], "unknown key 'train.totl_kimg'; did you mean 'train.total_kimg'?"),
    ([], ['train.total_kimg=many'], "train.total_kimg is 'many', a str; it must be of type float"),
    ([], ['train.devices=2.5'], 'train.devices is 2.5, a float; it must be of type int'),
    ([], ['train.jit=1'], 'must be of type bool'),
    ([], ['schedule.minibatch_dict={4:"x"}'], "must be of type int"),
    ([], ['schedule.minibatch_dict=16'], 'must be of type dict'),
    ([], ['train.devices'], 'sets nothing; write it as train.devices=VALUE'),
    ([], ['train.precision=fp8'], "must be one of 'fp32', 'fp16', 'bf16'"),
    ([], ['train.total_kimg=0'], 'must be positive'),
    ([], ['schedule.minibatch_dict={4:-8}'], 'must be positive'),
    ([], ['data.resolution=20'], 'must be a power of two'),
    ([], ['data.label_size=3'], "must be 0, 1 or 'full'"),
    ([], ['optimizer.beta2=1.0'], 'must be below 1'),
    ([], ['train.Gs_decay=1.5'], 'between 0 and 1'),
])
def test_what_is_wrong_is_said_in_one_sentence(names, overrides, sentence):
    with pytest.raises(ValueError) as error:
        resolve(names, overrides)
    assert sentence in str(error.value) and '\n' not in str(error.value)


def test_json_of_another_shape_is_refused():
    text = to_json(resolve([]))
    with pytest.raises(ValueError, match="unknown key 'train.sead'; did you mean 'train.seed'"):
        from_json(text.replace('"seed"', '"sead"'))
    with pytest.raises(ValueError, match='must be of type int'):
        from_json(text.replace('"devices": 1', '"devices": "one"'))


@pytest.mark.parametrize('text, sentence', [
    ('[]', "holds 'something else' where the sections"), ('5', 'where the sections'), ('null', 'where the sections'),
    ('{', 'is no JSON'), pytest.param('[' * 100_000, 'is no JSON', id='deep'),
    ('{"data": 5}', "holds 'data' where"), ('{"foo": {}}', "holds 'foo'"),
    ('{"description": 5, "data": {}}', 'where the sections'), ('{"network": null}', "holds 'network'"),
    ('{"network": {"kind": []}}', 'network.kind is [], a list'),
    ('{"loss": {"kind": "x"}}', "loss.kind is 'x'; it must be one"),
    ('{"schedule": {"minibatch_dict": {"a": 1}}}', "schedule.minibatch_dict resolution is 'a'"),
    ('{"schedule": {"minibatch_dict": {"7": 1}}}', 'powers of two'), ('{"train": {"total_kimg": 1e999}}', 'must be finite')])
def test_a_config_file_of_another_shape_is_one_sentence(text, sentence):
    with pytest.raises(ValueError) as error:
        from_json(text)
    assert sentence in str(error.value) and str(error.value).endswith('.')


def test_a_kind_chooses_the_section_and_files_without_one_mean_the_first():
    config = resolve([], ['network.kind="progan"', 'loss.kind=wgan_gp'])
    assert (config.network.kind, config.loss.kind) == ('progan', 'wgan_gp')
    text = to_json(config).replace('"kind": "progan",', '').replace('"kind": "wgan_gp",', '')
    assert '"kind"' not in text and from_json(text) == config


def test_a_key_of_another_kind_is_told(monkeypatch):
    monkeypatch.setitem(configs.LOSSES, 'other', type('Loss', (), {'__dataclass_fields__': {'weight': None}}))
    with pytest.raises(ValueError, match="^loss.weight belongs to other; this run's loss is wgan_gp.$"):
        resolve([], ['loss.weight=1'])


def test_describe_names_everything():
    text = configs.describe()
    assert all(name in text for name in configs.PRESETS)
    assert sum(name.startswith('lsun-') and name.endswith('-100k') for name in configs.PRESETS) == 30


def test_every_data_set_by_name_has_a_shape_as_its_help_says():
    described = {name: preset.help for name, preset in datasets.PRESETS.items()}
    assert described.keys() == datasets.SHAPES.keys()
    for name, (num_images, _, resolution, label_size) in datasets.SHAPES.items():
        assert f'{resolution}x{resolution}' in described[name]
        assert f'{num_images} ' in described[name] or name == 'syn1024rgb'
        assert label_size == int((re.findall(r'(\d+) classes', described[name]) or [label_size])[0])


@pytest.mark.parametrize('names, overrides, description', [
    (['small'], ['data.name=mine'], 'mine-small'), ([], [], 'demo'), (['v2-1gpu'], [], 'digits-v2-1gpu'),
    (['celeba', 'fp16'], ['data.name=sets/my faces'], 'my_faces-fp16'), (['fp16', 'celeba'], [], 'fp16-celeba')])
def test_a_run_is_named_by_its_data_set(names, overrides, description):
    assert resolve(names, overrides).description == description
