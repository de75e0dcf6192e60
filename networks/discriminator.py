"""What discriminators share: the end at 4x4, scores of images with their labels, growing as in ProGAN and StyleGAN."""
import tensorflow as tf

from networks.growth import downscale, fading, lerp
from networks.layers import MinibatchStd, WScaleConv, WScaleDense, run_layer
from networks.network import DiscriminatorNetwork


class EndingDiscriminator(DiscriminatorNetwork):
    """Ends at 4x4 in minibatch stddev, a convolution and two dense layers (ProGAN, section 2 and table 2).

    A subclass says of what kind its layers are: `layer_arguments`.
    """
    output_name = '4x4/Dense1'
    conv_class, dense_class = WScaleConv, WScaleDense  # Of all layers but those on images and the last.

    @property
    def layer_arguments(self) -> dict:
        """Arguments of an equalized layer with bias and activation."""
        raise NotImplementedError

    @property
    def num_outputs(self):
        """Outputs of the last layer: the score and the label logits."""
        return 1 + self.num_logits

    def judged(self, outputs, labels):
        """outputs [N, num_outputs], float32, and labels -> (scores [N], label logits)."""
        return outputs[:, 0], outputs[:, 1:]

    @property
    def group_size(self):
        return max(self.settings.mbstd_group_size, 1)

    def build_end(self, level, fmaps):
        """Makes the layers at 4x4, on images [N, 4, 4, fmaps]."""
        self.mbstd, stddev_channels = None, 0
        if self.group_size > 1:
            stddev_channels = getattr(self.settings, 'mbstd_num_features', 1)
            self.mbstd = MinibatchStd(self.group_size, stddev_channels, dtype=self.dtype_policy, name='minibatch_std')
        how = self.layer_arguments
        self.hidden = (
            self._add('4x4/Conv', level, self.conv_class, fmaps, **how, input_shape=[4, 4, fmaps + stddev_channels]),
            self._add('4x4/Dense0', level, self.dense_class, self.fmaps(0), **how, input_shape=[4, 4, fmaps]))
        features = self.build_features(level, self.fmaps(0))
        self.last = self._add(self.output_name, level, WScaleDense, self.num_outputs, gain=1.0,
                              use_wscale=self.settings.use_wscale, input_shape=[features])

    def build_features(self, level, features):
        """Makes what comes before the last layer, of so many features -> the number of features that that sees."""
        return features

    def features(self, x, num_batches, run):
        """Images [N, 4, 4, fmaps] -> features [N, nf(0)]."""
        if self.mbstd:
            x = self.mbstd(x, num_batches=num_batches)
        for layer in self.hidden:
            x = run(layer, x)
        return x

    def compared(self, x, num_batches):
        """Features [N, nf(0)] with what `build_features` made of the whole minibatch."""
        return x

    def end(self, x, labels, num_batches, run):
        """Images [N, 4, 4, fmaps] -> (scores [N], label logits)."""
        x, last = self.compared(self.features(x, num_batches, run), num_batches), self.last
        # One minibatch at a time: the gradient of the score's bias is a difference of sums near 1, and keeps more digits
        # when reals and fakes are summed apart.
        x = tf.concat([run(last, part) for part in tf.split(x, num_batches)], 0) if num_batches > 1 else run(last, x)
        return self.judged(tf.cast(x, tf.float32), labels)


class JudgesLabels:
    """The score is that of an image with its labels [N, label_size]: the sum of the outputs times the labels."""
    judges_labels = True

    @property
    def num_outputs(self):
        return max(self.label_size, 1)

    def judged(self, outputs, labels):
        if self.label_size:
            if labels is None:
                raise ValueError(f'This discriminator judges images with their labels; give labels [N, {self.label_size}].')
            outputs = tf.reduce_sum(outputs * tf.cast(labels, tf.float32), axis=1, keepdims=True)
        return outputs[:, 0], outputs[:, 1:]


class GrowingDiscriminator(EndingDiscriminator):
    """Images [N, r, r, C] -> (scores [N], label logits [N, num_logits]), both float32.

    Block of resolution 2^s: two 3x3 convolutions to nf(s - 1) and nf(s - 2) maps, the second with a 2x downscale. A subclass
    says how it downscales.
    """

    def build_downscaling(self, name, level, filters, **how):
        """Adds the second layer of block `name`; `how` are the arguments of an equalized layer."""
        raise NotImplementedError

    def downscaled(self, layer, x, run):
        """What that layer makes of x at half the size."""
        raise NotImplementedError

    def build_layers(self):
        how, blocks, from_rgb = self.layer_arguments, [], []

        for s in range(self.resolution_log2, 1, -1):
            level, size, fmaps = self.resolution_log2 - s, 2 ** s, self.fmaps(s - 1)
            name, shape = f'{size}x{size}', [size, size, fmaps]
            from_rgb.append(self._add(f'FromRGB_lod{level}', level, WScaleConv, fmaps, kernel_size=1, **how,
                                      input_shape=[size, size, self.num_channels]))
            if s > 2:
                blocks.append((self._add(f'{name}/Conv0', level, self.conv_class, fmaps, **how, input_shape=shape),
                               self.build_downscaling(name, level, self.fmaps(s - 2), **how, input_shape=shape)))

        self.blocks, self.from_rgb = tuple(blocks), tuple(from_rgb)  # By level: from full resolution down.
        self.build_end(level, fmaps)

    def call(self, images, labels=None, level=0, fade=0.0, num_batches=1, run=run_layer):
        self.check_level(level)
        return self.end(self.at_4x4(images, level, fade, run), labels, num_batches, run)

    def at_4x4(self, images, level, fade=0.0, run=run_layer):
        """Images [N, r, r, C] -> [N, 4, 4, fmaps]."""
        x = run(self.from_rgb[level], images)
        for i, (first, second) in enumerate(self.blocks[level:]):
            x = self.downscaled(second, run(first, x), run)
            if i == 0 and fading(fade):
                x = lerp(x, run(self.from_rgb[level + 1], downscale(images)), fade)
        return x
