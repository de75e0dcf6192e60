"""The configuration: frozen dataclasses, named presets composed in order, typed overrides, JSON in and out.

The sections `network` and `loss` are of the kind that their field `kind` names: those of presets/table.py.
`resolve(['celebahq', 'v2-8gpus', 'fp16'], ['train.total_kimg=8000'])` -> Config. Names are applied in the order given,
later ones win; overrides come last.
"""
import ast
import dataclasses
import json
import os
import re
import typing
from dataclasses import dataclass, field

import files
from presets import progan
from presets.fields import check_range, typed
from presets.preset import LossSection, NetworkSection, or_zero, ruled
from presets.table import LOSSES, NETWORKS, PRESETS
from wording import did_you_mean


@dataclass(frozen=True)
class DataConfig:
    dir: str = 'datasets'                # Folder that holds the data sets.
    name: str = 'digits'                 # Folder of the data set in it, or 'syn1024rgb': black images, no files.
    resolution: int | None = ruled(None, most=2 ** 14)  # Train at a lower resolution than the data set holds; None: its own.
    label_size: int | str = or_zero(0)   # Label components to train with: 0 none, 1 the first, 'full' all.
    max_images: int | None = ruled(None, most=2 ** 30)  # Train with only so many, the first of the files; None: all.
    mirror: bool = False                 # Flip each image left-right with probability 0.5.


@dataclass(frozen=True)
class ScheduleConfig:
    lod_initial_resolution: int | None = ruled(4, most=2 ** 14)  # Resolution to start at; None: the full one, no growing.
    lod_training_kimg: float = or_zero(600)    # Thousands of real images before each transition.
    lod_transition_kimg: float = or_zero(600)  # Thousands of real images to fade in the next resolution.
    minibatch_base: int = ruled(16, most=65536)  # Global minibatch where minibatch_dict has no entry.
    minibatch_dict: dict[int, int] = ruled({}, most=65536)  # Global minibatch by resolution.
    max_minibatch_per_gpu: dict[int, int] = field(default_factory=dict)  # Upper limit per device by resolution.
    G_learning_rate: float = 0.001       # Learning rate of G where the next field has no entry.
    G_learning_rate_dict: dict[int, float] = field(default_factory=dict)  # Learning rate of G by resolution.
    D_learning_rate: float = 0.001       # Learning rate of D where the next field has no entry.
    D_learning_rate_dict: dict[int, float] = field(default_factory=dict)  # Learning rate of D by resolution.
    rampup_kimg: float = or_zero(0)      # Learning rates rise linearly over the first so many thousands of images.
    Gs_half_life_kimg: float | None = None  # Half-life of Gs in thousands of images; None: train.Gs_decay per update.
    minibatch_per_device: dict[int, int] = field(default_factory=dict)  # A larger share of a device goes in slices so large.
    minibatch_per_device_base: int | None = ruled(None, most=65536)  # The same where that has no entry; with it slices and
    #                                      devices have to divide the minibatch.
    tick_kimg: float = 160               # Thousands of real images per tick where the next field has no entry.
    tick_kimg_dict: dict[int, float] = field(default_factory=lambda: {
        4: 160, 8: 140, 16: 120, 32: 100, 64: 80, 128: 60, 256: 40, 512: 20, 1024: 10})  # The same by resolution.


@dataclass(frozen=True)
class OptimizerConfig:
    beta1: float = or_zero(0.0)          # Adam's decay of the mean.
    beta2: float = or_zero(0.99)         # Adam's decay of the mean square.
    epsilon: float = 1e-8                # Added to the root of the mean square.
    initial_loss_scale: float = 65536.0  # fp16 only: where loss scaling starts.


@dataclass(frozen=True)
class TrainConfig:
    total_kimg: float = 12000            # Real images to show D, in thousands.
    devices: int = ruled(1, most=4096)        # Devices (GPUs) of this machine, or of each worker.
    precision: str = 'fp32'              # 'fp32', 'fp16' or 'bf16' activations; weights are always float32.
    minibatch_repeats: int = ruled(4, most=1024)  # Rounds of (D steps, G step) per look at the schedule.
    D_repeats: int = ruled(1, most=1024)      # D steps per G step.
    Gs_decay: float = or_zero(0.999)     # Decay of the moving average of G's weights; 0: Gs is G.
    reset_optimizers: bool = True        # Reset Adam's moments and step count when blocks come in.
    image_snapshot_ticks: int = 1        # Ticks between picture grids.
    network_snapshot_ticks: int = 10     # Ticks between network snapshots.
    keep_snapshots: int | None = None    # Network snapshots to keep, the newest, beside the final one; None: all.
    checkpoint_ticks: int = 1            # Ticks between checkpoints, from which a run resumes.
    grid: str = '1080p'                  # Size of the picture grid: '1080p', '4k' or '8k'.
    grid_layout: str = 'random'          # 'random' reals and latents, or 'row_per_class'.
    histograms: bool = False             # Histograms of all weights to TensorBoard.
    metrics: str = ''                    # Metrics at every network snapshot, e.g. 'swd-1000,msssim'; '': none.
    inception: str | None = None         # Local file of the Inception graph, for metrics that need it.
    vgg16: str | None = None             # The same of VGG16 (vgg16-397923af.pth), for ppl and pr_vgg16.
    lpips: str | None = None             # The same of LPIPS (vgg16_zhang_perceptual.pkl, or vgg.pth), for ppl.
    classifiers: str | None = None       # Folder of the pickled classifiers of attributes, for ls.
    mnist: str | None = None             # Folder of MNIST's four files, for modes of 32x32.
    graph: bool = False                  # The graph of the training step to TensorBoard.
    verbose: bool = False                # Log a line every iteration, not just every tick.
    jit: bool = False                    # Compile losses and gradients with XLA.
    deterministic: bool = False          # Only deterministic kernels: the same bytes in every run.
    max_skipped_steps: int = 200         # Stop after so many updates in a row with gradients that are not finite.
    init_from: str | None = None         # Start from the networks of a snapshot, an official .pkl or a run.
    start_kimg: float | None = ruled(None, zero=True)  # Where networks of init_from go on; None: where their training was.
    partial: bool = False                # Of networks of init_from take what fits by name and shape.
    seed: int = ruled(1000, most=2 ** 31, zero=True)  # Seeds weights, latents, order of images, everything.


@dataclass(frozen=True)
class Config:
    description: str = ''                # The composed names; becomes part of the run folder's name.
    data: DataConfig = DataConfig()
    network: NetworkSection = progan.Network()
    loss: LossSection = progan.Loss()
    schedule: ScheduleConfig = ScheduleConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    train: TrainConfig = TrainConfig()


_CHOICES = {'train.precision': ('fp32', 'fp16', 'bf16'), 'train.grid': ('1080p', '4k', '8k'),
            'train.grid_layout': ('random', 'row_per_class')}
# Sections of which each method has its own.
_KINDS = {'network': NETWORKS, 'loss': LOSSES}


def resolve(names, overrides=()):
    """Composes preset names in order, then `section.key=value` overrides -> Config. ValueError says what is wrong."""
    names = [name for name in names if name] or ['demo']
    _check_names(names)
    groups = {PRESETS[name].group for name in names}
    # What the reference takes for granted comes first: one GPU, float32.
    base = [n for n, group in (('v2-1gpu', 'preset'), ('fp32', 'precision')) if group not in groups]
    values = {}
    for name in base + names:
        values |= PRESETS[name].values
    for name in names:
        values |= {key: value for other in names for key, value in PRESETS[name].beside.get(other, {}).items()}
    config = _of_kinds(Config(description='-'.join(names)), values | _kinds_of(overrides))
    types_ = dict(_fields(config))
    for name in names:
        for key in PRESETS[name].values.keys() - types_.keys():
            if PRESETS[name].group != 'data set':  # A data set's hint for a loss is for that loss alone.
                raise ValueError(f'{name!r} cannot be composed: {_unknown(key, config)}')
    config = _replace(config, {key: value for key, value in values.items() if key in types_})
    config = override(config, overrides)
    return dataclasses.replace(config, description=_describe_run(names, config.data.name))


def _describe_run(names, data_name):
    """The names, with that of the data set in place of a preset's or, where none stands for it, at the beginning."""
    told = {PRESETS[name].values.get('data.name') for name in names}
    if data_name not in told:
        own = re.sub(r'[^\w.-]+', '_', os.path.basename(os.path.normpath(data_name)))
        names = [own, *(name for name in names if PRESETS[name].group != 'data set')]
    return '-'.join(names)


def _check_names(names):
    taken = {}
    for name in names:
        if name not in PRESETS:
            raise ValueError(f'unknown name {name!r} in --config{did_you_mean(name, PRESETS) or ";"} --list names them all.')
        group = PRESETS[name].group or name
        if group in taken:
            raise ValueError(f'--config names {taken[group]!r} and {name!r}, but takes one {group}; drop one.')
        taken[group] = name


def override(config, overrides):
    """Applies `section.key=value` strings, each checked against the field's type, and checks the whole -> Config."""
    config = _of_kinds(config, _kinds_of(overrides))
    types_ = dict(_fields(config))
    values = {}
    for text in overrides:
        key, equals, value = text.partition('=')
        if key not in types_:
            raise ValueError(_unknown(key, config))
        if not equals:
            raise ValueError(f'{text!r} sets nothing; write it as {key}=VALUE.')
        values[key] = _parse(key, value, types_[key])
    config = _replace(config, values)
    _check(config)
    return config


def to_json(config):
    """Config -> JSON text; `from_json` reads it back to an equal Config."""
    return json.dumps(dataclasses.asdict(config), indent=2) + '\n'


def load(path):
    """Reads a config.json of a run folder -> Config."""
    try:
        return from_json(files.read(path, most=2 ** 20).decode())
    except FileNotFoundError:
        raise FileNotFoundError(f'{os.path.dirname(path) or "."} is not a run folder: it has no config.json.') from None
    except ValueError as error:
        raise ValueError(f'{path} cannot be used: {error}') from error


def from_json(text):
    """JSON text -> Config, every key and type checked."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'it is no JSON ({error}).') from error
    sections = tree if isinstance(tree, dict) else {}
    description = sections.pop('description', '')
    known = Config.__dataclass_fields__.keys() - {'description'}
    wrong = [name for name, items in sections.items() if name not in known or not isinstance(items, dict)]
    if not sections or wrong or not isinstance(description, str):
        raise ValueError(f'it holds {wrong[0] if wrong else "something else"!r} where the sections '
                         f'{", ".join(sorted(known))} of a run should be.')
    config = Config(description=description)
    # Files from before there was a choice name no kind: they mean the default.
    config = _of_kinds(config, {f'{name}.kind': tree[name]['kind'] for name in _KINDS if 'kind' in tree.get(name, {})})
    types_ = dict(_fields(config))
    values = {}
    for section, items in tree.items():
        for key, value in items.items():
            name = f'{section}.{key}'
            if name not in types_:
                raise ValueError(_unknown(name, config))
            if isinstance(value, dict):  # JSON knows no integer keys.
                value = {int(k) if k.isdecimal() and len(k) < 10 else k: v for k, v in value.items()}
            values[name] = typed(name, value, types_[name])
    config = _replace(config, values)
    _check(config)
    return config


def describe():
    """One line per name that `--config` accepts, by group."""
    lines = []
    for group in dict.fromkeys(preset.group for preset in PRESETS.values()):
        lines.append(f'{group or "switches and modes"}:')
        lines += [f'  {name:28s}{preset.help}' for name, preset in PRESETS.items() if preset.group == group]
    return '\n'.join(lines)


def _fields(config):
    """(dotted name, type) of every field in a section."""
    for section in dataclasses.fields(config):
        if section.name != 'description':
            hints = typing.get_type_hints(type(getattr(config, section.name)))
            yield from ((f'{section.name}.{name}', hint) for name, hint in hints.items())


def _kinds_of(overrides):
    """{'network.kind', 'loss.kind': value} of the overrides that choose one."""
    pairs = {key: value for key, _, value in (text.partition('=') for text in overrides)}
    return {key: _parse(key, pairs[key], str) for key in (f'{name}.kind' for name in _KINDS) if key in pairs}


def _of_kinds(config, values):
    """The config with sections of the kinds that `values` name, new ones with their defaults."""
    for name, table in _KINDS.items():
        kind = typed(f'{name}.kind', values.get(f'{name}.kind', getattr(config, name).kind), str)
        if kind not in table:
            raise ValueError(f'{name}.kind is {kind!r}; it must be one of {", ".join(map(repr, table))}.')
        if kind != getattr(config, name).kind:
            config = dataclasses.replace(config, **{name: table[kind]()})
    return config


def _unknown(key, config):
    """What to say of a key that the config does not have."""
    section, _, field_name = key.partition('.')
    owners = [kind for kind, of in _KINDS.get(section, {}).items() if field_name in of.__dataclass_fields__]
    if owners:
        return f"{key} belongs to {' and '.join(owners)}; this run's {section} is {getattr(config, section).kind}."
    hint = did_you_mean(key, [name for name, _ in _fields(config)])
    return f'unknown key {key!r}{hint or ";"} --dry_run prints all keys.'


def _replace(config, values):
    sections = {}
    for name, value in values.items():
        section, key = name.split('.')
        sections.setdefault(section, {})[key] = value
    return dataclasses.replace(config, **{
        section: dataclasses.replace(getattr(config, section), **items) for section, items in sections.items()})


def _parse(key, text, hint):
    literal = {'true': True, 'false': False, 'none': None}.get(text.lower(), text)
    if literal is text:
        try:
            literal = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            literal = text
    options = typing.get_args(hint) or (hint,)
    if str in options and type(literal) not in options:
        literal = text  # E.g. a path that looks like a number.
    return typed(key, literal, hint)


def _check(config):
    """ValueError for values and combinations that make no sense."""
    for name, _ in _fields(config):
        section, key = name.split('.')
        value = getattr(getattr(config, section), key)
        rules = getattr(config, section).__dataclass_fields__[key].metadata
        check_range(name, value, rules if name not in _CHOICES else {**rules, 'choices': _CHOICES[name]})
    for name in ('beta1', 'beta2'):
        if getattr(config.optimizer, name) >= 1:
            raise ValueError(f'optimizer.{name} is {getattr(config.optimizer, name)}; it must be below 1.')
    if config.train.Gs_decay > 1:
        raise ValueError(f'train.Gs_decay is {config.train.Gs_decay}; it must be between 0 and 1.')
    if config.data.label_size not in (0, 1, 'full'):
        raise ValueError(f"data.label_size is {config.data.label_size!r}; it must be 0, 1 or 'full'.")
    for name, size in (('data.resolution', config.data.resolution),
                       ('schedule.lod_initial_resolution', config.schedule.lod_initial_resolution)):
        if size is not None and (size < 4 or size & (size - 1)):
            raise ValueError(f'{name} is {size}; it must be a power of two, 4 or more.')
    if config.train.grid_layout == 'row_per_class' and config.data.label_size == 0:
        raise ValueError("train.grid_layout is 'row_per_class', but the run uses no labels; add 'cond' to --config.")
