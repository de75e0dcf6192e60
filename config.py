"""The configuration: frozen dataclasses, named presets composed in order, typed overrides, JSON in and out.

`resolve(['celebahq', 'v2-8gpus', 'fp16'], ['train.total_kimg=8000'])` -> Config. Names are applied in the order given,
later ones win; overrides come last.
"""
import ast
import dataclasses
import json
import os
import types
import typing
from dataclasses import dataclass, field

from wording import did_you_mean


@dataclass(frozen=True)
class DataConfig:
    dir: str = 'datasets'                # Folder that holds the data sets.
    name: str = 'digits'                 # Folder of the data set in it, or 'syn1024rgb': black images, no files.
    resolution: int | None = None        # Train at a lower resolution than the data set holds; None: its own.
    label_size: int | str = 0            # Label components to train with: 0 none, 1 the first, 'full' all.
    mirror: bool = False                 # Flip each image left-right with probability 0.5.


@dataclass(frozen=True)
class NetworkConfig:
    fmap_base: int = 8192                # Feature maps of a block: min(fmap_base / 2^(stage * fmap_decay), fmap_max).
    fmap_decay: float = 1.0              # See fmap_base.
    fmap_max: int = 512                  # See fmap_base.
    latent_size: int | None = None       # Components of a latent; None: the feature maps of stage 0.
    normalize_latents: bool = True       # Pixel-norm the latents before the first layer.
    use_wscale: bool = True              # Equalized learning rate; False: He's initialization alone.
    use_pixelnorm: bool = True           # Pixel norm after each layer of G.
    use_leakyrelu: bool = True           # Leaky ReLU in G; False: ReLU (D is always leaky).
    fused_scale: bool = True             # One strided convolution instead of a convolution and a rescaling.
    mbstd_group_size: int = 4            # Group size of minibatch stddev in D; 1: none.


@dataclass(frozen=True)
class LossConfig:
    wgan_lambda: float = 10.0            # Weight of the gradient penalty.
    wgan_epsilon: float = 0.001          # Weight of the drift penalty real_score^2.
    wgan_target: float = 1.0             # Gradient norm that the penalty aims at.
    cond_weight: float = 1.0             # Weight of the label terms (AC-GAN).


@dataclass(frozen=True)
class ScheduleConfig:
    lod_initial_resolution: int | None = 4  # Resolution to start at; None: the full one, that is, no growing.
    lod_training_kimg: float = 600       # Thousands of real images before each transition.
    lod_transition_kimg: float = 600     # Thousands of real images to fade in the next resolution.
    minibatch_base: int = 16             # Global minibatch where minibatch_dict has no entry.
    minibatch_dict: dict[int, int] = field(default_factory=dict)  # Global minibatch by resolution.
    max_minibatch_per_gpu: dict[int, int] = field(default_factory=dict)  # Upper limit per device by resolution.
    G_learning_rate: float = 0.001       # Learning rate of G where the next field has no entry.
    G_learning_rate_dict: dict[int, float] = field(default_factory=dict)  # Learning rate of G by resolution.
    D_learning_rate: float = 0.001       # Learning rate of D where the next field has no entry.
    D_learning_rate_dict: dict[int, float] = field(default_factory=dict)  # Learning rate of D by resolution.
    tick_kimg: float = 160               # Thousands of real images per tick where the next field has no entry.
    tick_kimg_dict: dict[int, float] = field(default_factory=lambda: {
        4: 160, 8: 140, 16: 120, 32: 100, 64: 80, 128: 60, 256: 40, 512: 20, 1024: 10})  # The same by resolution.


@dataclass(frozen=True)
class OptimizerConfig:
    beta1: float = 0.0                   # Adam's decay of the mean.
    beta2: float = 0.99                  # Adam's decay of the mean square.
    epsilon: float = 1e-8                # Added to the root of the mean square.
    initial_loss_scale: float = 65536.0  # fp16 only: where loss scaling starts.


@dataclass(frozen=True)
class TrainConfig:
    total_kimg: float = 12000            # Real images to show D, in thousands.
    devices: int = 1                     # Devices (GPUs) of this machine, or of each worker.
    precision: str = 'fp32'              # 'fp32', 'fp16' or 'bf16' activations; weights are always float32.
    minibatch_repeats: int = 4           # Rounds of (D steps, G step) per look at the schedule.
    D_repeats: int = 1                   # D steps per G step.
    Gs_decay: float = 0.999              # Decay of the moving average of G's weights; 0: Gs is G.
    reset_optimizers: bool = True        # Reset Adam's moments and step count when blocks come in.
    image_snapshot_ticks: int = 1        # Ticks between picture grids.
    network_snapshot_ticks: int = 10     # Ticks between network snapshots.
    checkpoint_ticks: int = 1            # Ticks between checkpoints, from which a run resumes.
    grid: str = '1080p'                  # Size of the picture grid: '1080p' or '4k'.
    grid_layout: str = 'random'          # 'random' reals and latents, or 'row_per_class'.
    histograms: bool = False             # Histograms of all weights to TensorBoard.
    metrics: str = ''                    # Metrics at every network snapshot, e.g. 'swd-1000,msssim'; '': none.
    inception: str | None = None         # Local file of the Inception graph, for metrics that need it.
    graph: bool = False                  # The graph of the training step to TensorBoard.
    verbose: bool = False                # Log a line every iteration, not just every tick.
    jit: bool = False                    # Compile losses and gradients with XLA.
    deterministic: bool = False          # Only deterministic kernels: the same bytes in every run.
    max_skipped_steps: int = 200         # Stop after so many updates in a row with gradients that are not finite.
    init_from: str | None = None         # Start from the networks of a snapshot, an official .pkl or a run.
    seed: int = 1000                     # Seeds weights, latents, order of images, everything.


@dataclass(frozen=True)
class Config:
    description: str = ''                # The composed names; becomes part of the run folder's name.
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    train: TrainConfig = TrainConfig()


class Preset(typing.NamedTuple):
    """What one name of `--config` sets. Of each group at most one name may be given; '' is no group."""
    group: str
    help: str
    values: dict


def _learning_rates(by_resolution):
    return {'schedule.G_learning_rate_dict': by_resolution, 'schedule.D_learning_rate_dict': by_resolution}


def _gpus(devices, minibatch_base, minibatch_dict, learning_rates):
    return Preset('preset', f'the reference\'s settings for {devices} GPU{"s" if devices > 1 else ""}', {
        'train.devices': devices, 'schedule.minibatch_base': minibatch_base,
        'schedule.minibatch_dict': minibatch_dict, **_learning_rates(learning_rates)})


def _dataset(name, help, mirror=False, **values):
    return Preset('data set', help, {'data.name': name, 'data.mirror': mirror, **values})


_LSUN_CATEGORIES = (
    'airplane', 'bedroom', 'bicycle', 'bird', 'boat', 'bottle', 'bridge', 'bus', 'car', 'cat', 'chair', 'churchoutdoor',
    'classroom', 'conferenceroom', 'cow', 'diningroom', 'diningtable', 'dog', 'horse', 'kitchen', 'livingroom',
    'motorbike', 'person', 'pottedplant', 'restaurant', 'sheep', 'sofa', 'tower', 'train', 'tvmonitor')

PRESETS = {
    'demo': Preset('preset', 'handwritten digits at 16x16 by class, in minutes on two CPU cores', {
        'data.name': 'digits', 'data.label_size': 'full', 'network.fmap_base': 128, 'network.fmap_max': 32,
        'schedule.minibatch_base': 16, 'schedule.minibatch_dict': {}, 'schedule.lod_training_kimg': 4.0,
        'schedule.lod_transition_kimg': 4.0, 'schedule.G_learning_rate': 0.003, 'schedule.D_learning_rate': 0.003,
        'schedule.tick_kimg': 4.0, 'schedule.tick_kimg_dict': {}, 'train.total_kimg': 60.0, 'train.Gs_decay': 0.99,
        'train.network_snapshot_ticks': 5, 'train.grid_layout': 'row_per_class'}),
    'v1-1gpu': Preset('preset', 'the paper: one GPU, minibatch 16', {
        'train.devices': 1, 'train.total_kimg': 19000.0, 'network.mbstd_group_size': 16,
        'schedule.minibatch_base': 16, 'schedule.minibatch_dict': {256: 14, 512: 6, 1024: 3},
        'schedule.lod_training_kimg': 800.0, 'schedule.lod_transition_kimg': 800.0}),
    'v2-1gpu': _gpus(1, 4, {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4}, {1024: 0.0015}),
    'v2-2gpus': _gpus(2, 8, {4: 256, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8}, {512: 0.0015, 1024: 0.002}),
    'v2-4gpus': _gpus(4, 16, {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16},
                      {256: 0.0015, 512: 0.002, 1024: 0.003}),
    'v2-8gpus': _gpus(8, 32, {4: 512, 8: 256, 16: 128, 32: 64, 64: 32},
                      {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}),

    'fp32': Preset('precision', 'float32 throughout (the default)', {
        'train.precision': 'fp32', 'schedule.max_minibatch_per_gpu': {256: 16, 512: 8, 1024: 4}}),
    'fp16': Preset('precision', 'float16 activations and loss scaling', {
        'train.precision': 'fp16', 'schedule.max_minibatch_per_gpu': {512: 16, 1024: 8}}),
    'bf16': Preset('precision', 'bfloat16 activations', {
        'train.precision': 'bf16', 'schedule.max_minibatch_per_gpu': {512: 16, 1024: 8}}),

    'celebahq': _dataset('celebahq', '30000 faces at 1024x1024', mirror=True),
    'celeba': _dataset('celeba', '202599 faces at 128x128', mirror=True),
    # For CIFAR-10 the paper raises the target of the gradient norm to 750.
    'cifar10': _dataset('cifar10', '50000 pictures at 32x32, 10 classes', **{'loss.wgan_target': 750.0}),
    'cifar100': _dataset('cifar100', '50000 pictures at 32x32, 100 classes'),
    'svhn': _dataset('svhn', '73257 house numbers at 32x32, 10 classes'),
    'mnist': _dataset('mnist', '60000 digits at 32x32, 10 classes'),
    'mnistrgb': _dataset('mnistrgb', '1000000 triples of digits at 32x32'),
    'digits': _dataset('digits', '1797 digits at 16x16, 10 classes, in scikit-learn'),
    'syn1024rgb': _dataset('syn1024rgb', 'synthetic black images at 1024x1024, no files'),
    **{f'lsun-{category}-100k': _dataset(f'lsun-{category}-100k', '100000 pictures at 256x256', mirror=True)
       for category in _LSUN_CATEGORIES},

    'cond': Preset('labels', 'train with all label components', {'data.label_size': 'full'}),
    'cond1': Preset('labels', 'train with the first label component', {'data.label_size': 1}),
    'nogrowing': Preset('growing', 'start at the full resolution', {
        'schedule.lod_initial_resolution': None, 'schedule.lod_training_kimg': 0.0,
        'schedule.lod_transition_kimg': 0.0, 'train.total_kimg': 10000.0}),
    'nopixelnorm': Preset('', 'no pixel norm in G', {'network.use_pixelnorm': False}),
    'nowscale': Preset('', 'no equalized learning rate', {'network.use_wscale': False}),
    'noleakyrelu': Preset('', 'ReLU in G', {'network.use_leakyrelu': False}),
    'nosmoothing': Preset('', 'no moving average: Gs is G', {'train.Gs_decay': 0.0}),
    'norepeat': Preset('', 'look at the schedule every round', {'train.minibatch_repeats': 1}),
    'noreset': Preset('', 'keep the optimizers\' state when blocks come in', {'train.reset_optimizers': False}),
    'grid4k': Preset('', 'picture grids for 3840x2160', {'train.grid': '4k'}),
    'row_per_class': Preset('', 'picture grids with one row per class', {'train.grid_layout': 'row_per_class'}),

    'BENCHMARK': Preset('growing', 'phases of 3 + 3 kimg through all resolutions', {
        'schedule.lod_initial_resolution': 4, 'schedule.lod_training_kimg': 3.0,
        'schedule.lod_transition_kimg': 3.0, 'schedule.tick_kimg': 1.0, 'schedule.tick_kimg_dict': {},
        'train.total_kimg': 51.0, 'train.image_snapshot_ticks': 1000, 'train.network_snapshot_ticks': 1000}),
    'BENCHMARK0': Preset('growing', '10 kimg at the full resolution', {
        'schedule.lod_initial_resolution': None, 'schedule.lod_training_kimg': 0.0,
        'schedule.lod_transition_kimg': 0.0, 'schedule.tick_kimg': 1.0, 'schedule.tick_kimg_dict': {},
        'train.total_kimg': 10.0, 'train.image_snapshot_ticks': 1000, 'train.network_snapshot_ticks': 1000}),
    'VERBOSE': Preset('', 'ticks of 1 kimg, a line per iteration, snapshots every 100 ticks', {
        'schedule.tick_kimg': 1.0, 'schedule.tick_kimg_dict': {}, 'train.verbose': True,
        'train.network_snapshot_ticks': 100}),
    'GRAPH': Preset('', 'the training graph to TensorBoard', {'train.graph': True}),
    'HIST': Preset('', 'weight histograms to TensorBoard', {'train.histograms': True}),
}

_CHOICES = {'train.precision': ('fp32', 'fp16', 'bf16'), 'train.grid': ('1080p', '4k'),
            'train.grid_layout': ('random', 'row_per_class')}
_MAY_BE_ZERO = {'lod_training_kimg', 'lod_transition_kimg', 'wgan_lambda', 'wgan_epsilon', 'cond_weight', 'beta1',
                'beta2', 'Gs_decay', 'label_size', 'seed', 'fmap_decay'}


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
    config = Config(description='-'.join(names))
    return override(_replace(config, values), overrides)


def _check_names(names):
    taken = {}
    for name in names:
        if name not in PRESETS:
            raise ValueError(f'unknown name {name!r} in --config{did_you_mean(name, PRESETS)}; --list names them all.')
        group = PRESETS[name].group or name
        if group in taken:
            raise ValueError(f'--config names {taken[group]!r} and {name!r}, but takes one {group}; drop one.')
        taken[group] = name


def override(config, overrides):
    """Applies `section.key=value` strings, each checked against the field's type, and checks the whole -> Config."""
    types_ = dict(_fields(config))
    values = {}
    for text in overrides:
        key, equals, value = text.partition('=')
        if key not in types_:
            raise ValueError(f'unknown key {key!r}{did_you_mean(key, types_)}; '
                             f'--dry_run prints all keys.')
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
        with open(path) as file:
            return from_json(file.read())
    except FileNotFoundError:
        raise FileNotFoundError(f'{os.path.dirname(path) or "."} is not a run folder: it has no config.json.') from None
    except ValueError as error:
        raise ValueError(f'{path} cannot be used: {error}') from error


def from_json(text):
    """JSON text -> Config, every key and type checked."""
    tree = json.loads(text)
    config = Config(description=tree.pop('description', ''))
    types_ = dict(_fields(config))
    values = {}
    for section, items in tree.items():
        for key, value in items.items():
            name = f'{section}.{key}'
            if name not in types_:
                raise ValueError(f'unknown key {name!r}{did_you_mean(name, types_)}.')
            if isinstance(value, dict):  # JSON knows no integer keys.
                value = {int(k): v for k, v in value.items()}
            values[name] = _checked(name, value, types_[name])
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
        except (ValueError, SyntaxError):
            literal = text
    options = typing.get_args(hint) or (hint,)
    if str in options and type(literal) not in options:
        literal = text  # E.g. a path that looks like a number.
    return _checked(key, literal, hint)


def _checked(key, value, hint):
    """The value as the type of its field; an int may stand for a float, nothing else is converted."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if typing.get_origin(option) is dict:
            of_key, of_value = typing.get_args(option)
            if isinstance(value, dict):
                return {_checked(f'{key} resolution', k, of_key): _checked(key, v, of_value) for k, v in value.items()}
        elif option is float and type(value) in (int, float):
            return float(value)
        elif type(value) is option:
            return value
    wanted = ' or '.join('None' if o is types.NoneType else str(o) if typing.get_origin(o) else o.__name__
                         for o in options)
    raise ValueError(f'{key} is {value!r}, a {type(value).__name__}; it must be of type {wanted}.')


def _check(config):
    """ValueError for values and combinations that make no sense."""
    for name, _ in _fields(config):
        section, key = name.split('.')
        value = getattr(getattr(config, section), key)
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f'{name} is {value!r}; it must be one of {", ".join(map(repr, _CHOICES[name]))}.')
        for number in value.values() if isinstance(value, dict) else [value]:
            numeric = isinstance(number, int | float) and not isinstance(number, bool)
            if numeric and not (number > 0 or (number == 0 and key in _MAY_BE_ZERO)):
                raise ValueError(f'{name} is {value}; it must be positive{" or 0" if key in _MAY_BE_ZERO else ""}.')
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
