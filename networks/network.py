"""What every network shares, whatever its architecture: layers by name and level, settings, the stored lod."""
import functools
import math

import keras
import tensorflow as tf

from networks.growth import downscale, split_lod, upscale
from presets.fields import checked
from presets.preset import Images, NetworkSection


class Network(keras.Model):
    """A network whose blocks all exist from the start; `level` selects those that run.

    A subclass names its section of settings (`Settings`, see presets/) and its `role`, 'G' or 'D', and makes its layers
    with `_add` in `build_layers`. `settings` are the fields of the section that concern its role. ValueError for those that
    its schema (presets/fields.py) refuses, and for more than `max_parameters`: no file may ask for any size.
    """
    Settings: type[NetworkSection]
    role: str
    group_size = 1      # Examples that are looked at together; see DiscriminatorNetwork.
    class_names = None  # A tuple of the names of the label's components, where the data set has them; for people alone.

    def __init__(self, resolution=1024, num_channels=3, label_size=0, seed=None, name=None, dtype=None,
                 max_parameters=math.inf, **settings):
        super().__init__(autocast=False, name=name, dtype=dtype)  # lod arithmetic stays float32, layers cast for themselves.
        checked(Images, {'resolution': resolution, 'num_channels': num_channels, 'label_size': label_size})
        if resolution < 4 or resolution & (resolution - 1):
            raise ValueError(f'The resolution is {resolution}; the networks need a power of two, 4 or more.')
        unknown = settings.keys() - set(self.Settings.names_of(self.role))
        if unknown:
            raise TypeError(f'{type(self).__name__} of {self.Settings.kind} has no setting {min(unknown)!r}.')
        self.resolution = resolution
        self.resolution_log2 = int(math.log2(resolution))
        self.num_channels = num_channels
        self.label_size = label_size
        self.seed = seed
        self.settings = self.Settings(**checked(self.Settings, settings)).for_dtype(self.compute_dtype)
        if min(self.fmaps(stage) for stage in range(self.resolution_log2)) < 1:
            raise ValueError(f'fmap_base {self.settings.fmap_base}, fmap_decay {self.settings.fmap_decay} and fmap_max '
                             f'{self.settings.fmap_max} leave a layer without feature maps; raise fmap_base or fmap_max.')
        self.named_layers = {}  # E.g. '8x8/Conv0_up'; in the order of creation.
        self._max_parameters = self._parameters_left = max_parameters
        self._prefixes = {}     # What the names of each layer's variables start with.
        self._levels = {}       # The level of each layer's resolution: training has reached it at this level and below.
        self.build()

    def build(self, input_shape=None):
        self.lod = self.add_weight(name='lod', shape=(), initializer='zeros', trainable=False, autocast=False)
        self.build_layers()
        self.built = True

    def build_layers(self):
        """Makes the layers."""
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """The architecture's name in networks/architectures.py."""
        return self.settings.kind

    @property
    def max_level(self) -> int:
        """The level of the lowest resolution that the network works at by itself: 4x4 where it grows."""
        return self.resolution_log2 - 2

    def fmaps(self, stage: int) -> int:
        """nf(stage) = fmap_base / 2^(stage * fmap_decay), at most fmap_max, at least fmap_min if there is one."""
        maps = min(int(self.settings.fmap_base / 2.0 ** (stage * self.settings.fmap_decay)), self.settings.fmap_max)
        return max(maps, getattr(self.settings, 'fmap_min', 0))

    def _add(self, name, level, layer_class, *args, input_shape, under=None, **kwargs):
        """Makes and builds a layer of the resolution of `level`; Keras forbids the slash of the reference's names.

        Its variables are named after the layer, or after another one that they lie `under` in the reference.
        """
        seed = None if self.seed is None else self.seed + len(self.named_layers)
        layer = layer_class(*args, seed=seed, dtype=self.dtype_policy, name=name.replace('/', '_'), **kwargs)
        layer.add_weight = functools.partial(self._within_limit, layer.add_weight)
        layer.build([None, *input_shape])
        del layer.add_weight
        self.named_layers[name] = layer
        self._levels[name] = level
        self._prefixes[name] = under or name
        return layer

    def add_weight(self, *args, **kwargs):
        return self._within_limit(super().add_weight, *args, **kwargs)

    def _within_limit(self, add_weight, *args, shape=(), **kwargs):
        """`add_weight` of the network or of a layer, unless it would be too much, before anything is allocated."""
        self._parameters_left -= math.prod(shape)
        if self._parameters_left < 0:
            raise ValueError(f'the arguments describe a {type(self).__name__} of more than {self._max_parameters} '
                             'parameters, far more than there are.')
        return add_weight(*args, shape=shape, **kwargs)

    def named_variables(self) -> dict[str, keras.Variable]:
        """{reference name: keras.Variable}, 'lod' first, e.g. '8x8/Conv0_up/weight'."""
        return self.own_variables() | {f'{self._prefixes[name]}/{variable.name}': variable
                                       for name, layer in self.named_layers.items() for variable in layer.variables}

    def own_variables(self) -> dict[str, keras.Variable]:
        """{reference name: keras.Variable} of those that belong to no layer, none of them trainable."""
        return {'lod': self.lod}

    def variables_at(self, level: int) -> dict[str, keras.Variable]:
        """{reference name: keras.Variable} of the trainables that training has reached at `level`."""
        return {f'{self._prefixes[name]}/{variable.name}': variable for name, layer in self.named_layers.items()
                if self._levels[name] >= level for variable in layer.trainable_variables}

    def check_level(self, level: int) -> None:
        """ValueError if the network has no such level."""
        if not 0 <= level <= self.max_level:
            raise ValueError(f'Level {level} was asked for; this {self.resolution}x{self.resolution} network has '
                             f'levels 0 (full resolution) to {self._lowest}.')

    def check_lod(self, lod: float) -> float:
        """The lod as a float; ValueError if the network has no such level."""
        if not 0 <= lod <= self.max_level:
            raise ValueError(f'lod {lod} was asked for; this network of resolution {self.resolution} has 0 (full '
                             f'resolution) to {self._lowest}.')
        return float(lod)

    @property
    def _lowest(self):
        side = self.resolution >> self.max_level
        return f'{self.max_level} ({side}x{side})'

    @property
    def stored_lod(self) -> float:
        """The lod that the network was saved at, as a float."""
        return float(self.lod.numpy())

    def build_arguments(self) -> dict:
        """The arguments that build the same network again, without those that only matter to a run."""
        return {'resolution': self.resolution, 'num_channels': self.num_channels, 'label_size': self.label_size} | {
            name: getattr(self.settings, name) for name in self.settings.names_of(self.role)}

    def get_config(self):
        # Not keras.Model's: it would record the arguments of the outermost constructor a second time.
        return {'name': self.name, 'dtype': keras.saving.serialize_keras_object(self.dtype_policy), 'seed': self.seed,
                **self.build_arguments()}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class GeneratorNetwork(Network):
    """call(latents [N, latent_size], labels [N, label_size] or None, level, fade, run) -> images [N, r, r, C].

    r = resolution >> level, values about [-1, 1]; `run`: see layers.sharing_kernels. Keyword-only arguments of `generate`
    beyond these are the architecture's options, which generate.py offers as flags.
    """
    role = 'G'
    measured_with = {}  # The options with which metrics look at the images.
    has_w = False       # Whether it maps latents to w first: see networks/style_generator.py.
    noise_by_seed = False  # Whether pictures of seeds draw noise by them too, as the method's own script does.
    half_up = False     # How halves of a level are rounded in uint8 pictures: up, or to even.
    averages = {}       # {name of a variable: decay} of the averages that training keeps: see `training_images`.

    def generate(self, latents, labels=None, lod=0.0):
        """Images at full resolution as the network of `lod` makes them. -> float32 [N, R, R, C], about [-1, 1]."""
        self.check_labels(labels)
        level, fade = split_lod(lod)
        return self.at_full_resolution(self(latents, labels, level=level, fade=fade), level)

    def check_labels(self, labels):
        """ValueError where labels are missing, or there where the network knows none."""
        if self.label_size and labels is None:
            raise ValueError(f'This network was trained with labels; give labels [N, {self.label_size}].')
        if labels is not None and labels.shape[-1] != self.label_size:
            wanted = f'labels [N, {self.label_size}]' if self.label_size else 'no labels: it was trained without'
            raise ValueError(f'The labels have shape {list(labels.shape)}; this network needs {wanted}.')

    def at_full_resolution(self, images, level):
        """Images of `level` -> float32 [N, R, R, C]."""
        return tf.cast(upscale(images, 2 ** level), tf.float32)

    def check_options(self, **options):
        """ValueError for values of the options of `generate` that this network cannot follow."""

    def training_images(self, draws, labels, level, fade, run):
        """Images for a loss, with all that is random in training taken from `draws` (training/draws.py).

        -> (images, {name: mean over the minibatch}), of what `averages` follow.
        """
        return self(draws.latents, labels, level=level, fade=fade, run=run), {}


class DiscriminatorNetwork(Network):
    """call(images [N, r, r, C], labels or None, level, fade, num_batches, run) -> (scores [N], label logits), float32.

    The label logits [N, num_logits] are those of AC-GAN. `num_batches` minibatches may be stacked along N: what looks at a
    whole minibatch keeps them apart. `group_size` images are judged together; a device's share of a minibatch is a multiple
    of it, or smaller.
    """
    role = 'D'
    initial_images = 0  # Reals that `initialize` is to see before training; 0: nothing depends on them.
    judges_labels = False  # Whether the score is that of an image with its labels; then there are no label logits.

    @property
    def num_logits(self) -> int:
        """Label logits beside the score."""
        return 0 if self.judges_labels else self.label_size

    def initialize(self, images, level):
        """Sets what depends on reals [N, r, r, C] of `level`, before training."""

    def discriminate(self, images, lod=0.0, labels=None):
        """Judges full-resolution images [N, R, R, C] as the network of `lod` sees them."""
        level, fade = split_lod(lod)
        return self(downscale(images, 2 ** level), labels, level=level, fade=fade)

    def judge(self, images, labels=None, lod=0.0):
        """The same of any number of pictures uint8 [N, R, R, C]: in full groups, where the first repeat for missing ones."""
        n = tf.shape(images)[0]
        group = tf.minimum(self.group_size, n)
        padded = -(-n // tf.maximum(group, 1)) * group
        rows = tf.range(padded) % tf.maximum(n, 1)
        images, labels = tf.gather(images, rows), None if labels is None else tf.gather(labels, rows)
        scores, logits = self.discriminate(tf.cast(images, tf.float32) / 127.5 - 1.0, lod, labels)
        return scores[:n], logits[:n]
