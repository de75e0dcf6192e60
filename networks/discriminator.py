"""The discriminator that grows, as ProGAN and StyleGAN have it."""
import tensorflow as tf

from networks.growth import downscale, fading, lerp
from networks.layers import MinibatchStd, WScaleConv, WScaleDense, run_layer
from networks.network import DiscriminatorNetwork


class GrowingDiscriminator(DiscriminatorNetwork):
    """Images [N, r, r, C] -> (scores [N], label logits [N, num_logits]), both float32.

    Block of resolution 2^s: two 3x3 convolutions to nf(s - 1) and nf(s - 2) maps, the second with a 2x downscale; at 4x4
    minibatch stddev, a convolution and two dense layers (ProGAN, section 2 and table 2). A subclass names its `activation`
    and says how it downscales.
    """
    activation: str

    def build_downscaling(self, name, level, filters, **how):
        """Adds the second layer of block `name`; `how` are the arguments of an equalized layer."""
        raise NotImplementedError

    def downscaled(self, layer, x, run):
        """What that layer makes of x at half the size."""
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

    def build_layers(self):
        how = {'use_wscale': self.settings.use_wscale}
        act = how | {'activation': self.activation}
        blocks, from_rgb = [], []

        for s in range(self.resolution_log2, 1, -1):
            level, size, fmaps = self.resolution_log2 - s, 2 ** s, self.fmaps(s - 1)
            name, shape = f'{size}x{size}', [size, size, fmaps]
            from_rgb.append(self._add(f'FromRGB_lod{level}', level, WScaleConv, fmaps, kernel_size=1, **act,
                                      input_shape=[size, size, self.num_channels]))
            if s > 2:
                blocks.append((self._add(f'{name}/Conv0', level, WScaleConv, fmaps, **act, input_shape=shape),
                               self.build_downscaling(name, level, self.fmaps(s - 2), **act, input_shape=shape)))

        self.blocks, self.from_rgb = tuple(blocks), tuple(from_rgb)  # By level: from full resolution down.

        self.mbstd, stddev_channels = None, 0
        if self.group_size > 1:
            stddev_channels = getattr(self.settings, 'mbstd_num_features', 1)
            self.mbstd = MinibatchStd(self.group_size, stddev_channels, dtype=self.dtype_policy, name='minibatch_std')
        self.head = (
            self._add('4x4/Conv', level, WScaleConv, fmaps, **act, input_shape=[4, 4, fmaps + stddev_channels]),
            self._add('4x4/Dense0', level, WScaleDense, self.fmaps(0), **act, input_shape=shape),
            self._add('4x4/Dense1', level, WScaleDense, self.num_outputs, gain=1.0, **how, input_shape=[self.fmaps(0)]))

    def call(self, images, labels=None, level=0, fade=0.0, num_batches=1, run=run_layer):
        self.check_level(level)
        x = run(self.from_rgb[level], images)
        for i, (first, second) in enumerate(self.blocks[level:]):
            x = self.downscaled(second, run(first, x), run)
            if i == 0 and fading(fade):
                x = lerp(x, run(self.from_rgb[level + 1], downscale(images)), fade)
        if self.mbstd:
            x = self.mbstd(x, num_batches=num_batches)
        *hidden, last = self.head
        for layer in hidden:
            x = run(layer, x)
        # One minibatch at a time: the gradient of the score's bias is a difference of sums near 1, and keeps more digits
        # when reals and fakes are summed apart.
        x = tf.concat([run(last, part) for part in tf.split(x, num_batches)], 0) if num_batches > 1 else run(last, x)
        return self.judged(tf.cast(x, tf.float32), labels)
