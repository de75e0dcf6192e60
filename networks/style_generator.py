"""What style-based generators share: the mapping to w, its average, truncation, mixing, and where noise comes from."""
import keras
import tensorflow as tf

from networks import style_layers as styles
from networks.growth import split_lod
from networks.layers import WScaleDense, run_layer
from networks.network import GeneratorNetwork

_MIXING, _CUTOFF, _NOISE = 1000, 1001, 1002  # Streams of random numbers: second latents, cutoff, noise.
NOISES = ('stored', 'random', 'none')


class StyleGenerator(GeneratorNetwork):
    """Latents z [N, latent_size] -> w [N, num_layers, dlatent_size] -> images [N, r, r, C], r = resolution >> level.

    `map` and `synthesize` are the two networks. `call` is the network itself: w is not truncated, noise is the stored one.
    A subclass builds its layers in `build_synthesis`, and makes images of w in `synthesize`.
    """
    measured_with = {'truncation': 1.0, 'noise': 'random'}
    has_w = half_up = True
    grows = True  # Whether it has levels.

    @property
    def noise_sizes(self) -> list[int]:
        """Sides of the noise maps, in the order in which they are added."""
        raise NotImplementedError

    @property
    def mapping_arguments(self) -> dict:
        """Arguments of an equalized layer that those of the mapping have."""
        raise NotImplementedError

    @property
    def default_cutoff(self) -> int:
        """How many layers are truncated where nothing else is said."""
        raise NotImplementedError

    def build_synthesis(self):
        """Makes the layers that make images of w."""
        raise NotImplementedError

    def synthesize(self, w, level=0, fade=0.0, run=run_layer, noise=()):
        """w [N, layers, dlatent_size], layers of `level` or more -> images [N, r, r, C].

        `noise` has a map [N or 1, size, size, 1] for each of `noise_sizes`, or None for none; () is none in any. ValueError
        for w or noise of other shapes.
        """
        raise NotImplementedError

    def check_synthesis(self, w, noise, level):
        """ValueError for what `synthesize` cannot take."""
        self.check_level(level)
        styles.check_w(w, self.layers_at(level), self.dlatent_size)
        styles.check_noise(noise, self.noise_sizes_at(level))

    def build_layers(self):
        settings = self.settings
        self.latent_size, self.dlatent_size = settings.latent_size, settings.dlatent_size
        self.num_layers = styles.style_layers(self.resolution_log2)
        inputs = self.latent_size * (2 if self.label_size else 1)
        if settings.mapping_layers == 0 and self.dlatent_size != inputs:
            raise ValueError(f'Without mapping layers w has the {inputs} components of the latent and its labels, but '
                             f'dlatent_size is {self.dlatent_size}; make them equal.')
        self.dlatent_avg = self.add_weight(name='dlatent_avg', shape=[self.dlatent_size], initializer='zeros',
                                           trainable=False, autocast=False)
        self.noise = tuple(self._stored_noise(index, size) for index, size in enumerate(self.noise_sizes))
        self.build_synthesis()
        self._build_mapping(inputs)

    def _stored_noise(self, index, size):
        seed = None if self.seed is None else self.seed + 1000 + index
        return self.add_weight(name=f'noise{index}', shape=[1, 1, size, size], trainable=False, autocast=False,
                               initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed))

    def _build_mapping(self, inputs):
        settings, level = self.settings, self.max_level
        self.label_concat = None
        if self.label_size:
            self.label_concat = self._add('G_mapping/LabelConcat', level, styles.LabelConcat, self.latent_size,
                                          input_shape=[self.label_size])
        mapping = []
        for i in range(settings.mapping_layers):
            width = self.dlatent_size if i == settings.mapping_layers - 1 else settings.mapping_fmaps
            mapping.append(self._add(f'G_mapping/Dense{i}', level, WScaleDense, width, lrmul=settings.mapping_lrmul,
                                     **self.mapping_arguments, input_shape=[inputs]))
            inputs = width
        self.mapping = tuple(mapping)

    def own_variables(self):
        # Of networks that grow the reference stores the lod twice and copies the first to the second: here they are one.
        lods = {'G_synthesis/lod': self.lod} if self.grows else {}
        return {'lod': self.lod, 'dlatent_avg': self.dlatent_avg} | lods | {
            f'G_synthesis/{variable.name}': variable for variable in self.noise}

    @property
    def averages(self):
        beta = self.settings.dlatent_avg_beta
        return {} if beta is None else {'dlatent_avg': beta}

    def layers_at(self, level):
        """Layers of w that images of `level` need."""
        return self.num_layers - 2 * level

    def noise_sizes_at(self, level):
        """Those of `noise_sizes` that images of `level` need."""
        return self.noise_sizes[:max(len(self.noise_sizes) - 2 * level, 0)]

    def map(self, latents, labels=None, run=run_layer):
        """Latents [N, latent_size] and labels -> w float32 [N, layers, dlatent_size], alike in all layers.

        ValueError where labels are missing or of another shape.
        """
        self.check_labels(labels)
        return tf.repeat(self._mapped(latents, labels, run)[:, None], self.layers_at(0), axis=1)

    def _mapped(self, latents, labels, run):
        x = tf.cast(latents, self.compute_dtype)
        if self.label_concat:
            x = self.label_concat(tf.cast(labels, self.compute_dtype), latents=x)
        if self.settings.normalize_latents:
            x = styles.pixel_norm(x)
        for layer in self.mapping:
            x = run(layer, x)
        return tf.cast(x, tf.float32)  # [N, dlatent_size]

    def call(self, latents, labels=None, level=0, fade=0.0, run=run_layer):
        """-> images [N, r, r, C] of `level`; `labels` may be None when label_size is 0. `run`: see sharing_kernels."""
        return self.synthesize(self.map(latents, labels, run), level, fade, run, self.noise_of('stored', latents, level))

    def generate(self, latents, labels=None, lod=0.0, *, truncation=None, truncation_cutoff=None, noise='stored'):
        """As every generator's; w is truncated, and the noise what `noise_of` takes.

        `truncation` is psi, how far w goes from its average (1: all the way), in the first `truncation_cutoff` layers; by
        default what the network was trained with says. 'random' noise is a function of the latents.
        """
        level, fade = split_lod(lod)
        w = self.truncate(self.map(latents, labels), truncation, truncation_cutoff)
        images = self.synthesize(w, level, fade, noise=self.noise_of(noise, latents, level))
        return self.at_full_resolution(images, level)

    def truncate(self, w, psi=None, cutoff=None):
        """w [N, layers, dlatent_size] nearer to its average, as `generate` says; ValueError where there is no average."""
        if psi is not None and not self.averages and not (isinstance(psi, int | float) and psi == 1):
            raise ValueError('This network was trained without an average of w (network.dlatent_avg_beta), so w cannot be '
                             'truncated; leave psi out.')
        psi = self.settings.truncation_psi if psi is None else psi
        cutoff = self.default_cutoff if cutoff is None else cutoff
        if psi is None or cutoff <= 0 or isinstance(psi, int | float) and psi == 1:
            return w
        return styles.truncated(w, tf.convert_to_tensor(self.dlatent_avg.value), psi, cutoff)

    def check_options(self, truncation=None, truncation_cutoff=None, noise='stored'):
        if truncation_cutoff is not None and not 0 <= truncation_cutoff <= self.num_layers:
            raise ValueError(f'truncation_cutoff is {truncation_cutoff}, but this network has {self.num_layers} style '
                             f'layers; use 0 to {self.num_layers}.')
        if truncation not in (None, 1) and self.settings.dlatent_avg_beta is None:
            raise ValueError(f'truncation is {truncation:g}, but this network was trained without an average of w '
                             f'(network.dlatent_avg_beta); leave it out.')
        if truncation not in (None, 1) and not (truncation_cutoff or self.default_cutoff):
            raise ValueError(f'truncation is {truncation:g}, but this network truncates no layer by itself; give '
                             f'truncation_cutoff too, e.g. {self.num_layers} for all.')
        if noise not in NOISES:
            raise ValueError(f'noise is {noise!r}; it must be one of {", ".join(NOISES)}.')

    def noise_of(self, kind, latents, level=0):
        """The noise of `synthesize` by its name in NOISES, or of numbers [N, sum of r^2 of `noise_sizes`], map after map."""
        sizes = self.noise_sizes_at(level)
        if not sizes:
            return ()
        if not isinstance(kind, str):
            return styles.noise_maps(kind, sizes)
        if kind == 'none':
            return ()
        if kind == 'random':
            return styles.one_noise_each(latents, sizes)
        return [tf.transpose(tf.convert_to_tensor(noise.value), [0, 2, 3, 1]) for noise in self.noise[:len(sizes)]]

    def training_w(self, draws, labels, level, run):
        """Mixed styles as `draws` say -> (w [n, layers, dlatent_size], the mean of the first w, for the average)."""
        layers = self.layers_at(level)
        mixing = layers > 1 and self.settings.style_mixing_prob > 0
        latents = draws.latents
        if mixing:
            latents = tf.concat([latents, draws.normal(_MIXING, [self.latent_size])], 0)
            labels = tf.concat([labels, labels], 0) if self.label_size else labels
        first, *other = tf.split(self._mapped(latents, labels, run), 2 if mixing else 1)
        w = tf.repeat(first[:, None], layers, axis=1)
        if mixing:
            w = styles.mixed(w, other[0][:, None], self._mixing_cutoff(draws, layers))
        return w, {name: tf.reduce_mean(tf.stop_gradient(first), axis=0) for name in self.averages}

    def training_synthesis(self, w, draws, level, fade, run):
        """Images of w with fresh noise as `draws` say."""
        sizes = self.noise_sizes_at(level)
        # Drawn at once: a call for each map took a sixteenth of the graph.
        numbers = draws.normal(_NOISE, [sum(size ** 2 for size in sizes)]) if sizes else None
        return self.synthesize(w, level, fade, run, styles.noise_maps(numbers, sizes) if sizes else ())

    def training_images(self, draws, labels, level, fade, run):
        """Mixed styles and fresh noise, both as `draws` say; the mean of the first w, for the average."""
        w, means = self.training_w(draws, labels, level, run)
        return self.training_synthesis(w, draws, level, fade, run), means

    def _mixing_cutoff(self, draws, layers):
        """The first layer of the second w: uniform in [1, layers) with style_mixing_prob, else `layers`, none."""
        chosen, place = tf.unstack(draws.shared(_CUTOFF, [2]))
        cutoff = 1 + tf.cast(place * (layers - 1), tf.int32)
        return tf.where(chosen < self.settings.style_mixing_prob, tf.minimum(cutoff, layers - 1), layers)
