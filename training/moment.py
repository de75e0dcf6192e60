"""The networks as a loss sees them: bound to a level, a fade and shared kernels, in halves where that is faster."""
import copy

import tensorflow as tf

from networks.layers import sharing_kernels


class Moment:
    """at.G(draws, labels) -> images, at.D(images, labels) -> (scores, label logits), at one moment of training.

    `means`: per call of G, the means that averages of its network follow.
    `loss_scale` multiplies the loss later on. A network in `halves` ('G', 'D') takes two halves of its minibatch at the
    same time, which keeps two cores busy where each kernel waits for the one before; the same result, but for rounding.
    Without halves, which is where kernels are large, D waits for the images that G was asked for before: its kernels are
    not in memory beside G's.
    """

    def __init__(self, G, D, level, fade, loss_scale=1.0, halves=''):
        self.level, self.fade, self.loss_scale = level, fade, loss_scale
        self._G, self._D, self._halves = G, D, halves
        self.means = []
        self._how = {'level': level, 'fade': fade, 'run': sharing_kernels()}
        self._D_inputs = None
        self._made = []  # Images of G so far.

    def G(self, draws, labels):
        """Images [N, r, r, C] of the draws' latents [N, latent_size] and labels [N, label_size]."""
        halves = [(draws, labels)]
        if 'G' in self._halves and draws.latents.shape[0] % 2 == 0 and self._G.group_size == 1:
            halves = [(draws.part(i, 2), half) for i, half in enumerate(tf.split(labels, 2))]
        images, means = zip(*(self._G.training_images(*half, **self._how) for half in halves), strict=True)
        self.means.append({name: tf.add_n([mean[name] for mean in means]) / len(halves) for name in means[0]})
        self._made.append(images[0] if len(images) == 1 else tf.concat(images, 0))
        return self._made[-1]

    def w(self, draws, labels):
        """w [N, layers, dlatent_size] of the draws' latents, of the layers that the level needs; see `num_layers`."""
        w, means = self._G.training_w(draws, labels, self.level, self._how['run'])
        self.means.append(means)
        return w

    def images(self, w, draws):
        """Images [N, r, r, C] of w."""
        self._made.append(self._G.training_synthesis(w, draws, **self._how))
        return self._made[-1]

    @property
    def num_layers(self):
        """Layers of w at full resolution."""
        return self._G.num_layers

    def with_D_inputs(self, change):
        """The same moment, but each layer of D sees change(layer, x) in place of x."""
        changed = copy.copy(self)
        changed._D_inputs = change
        return changed

    def D(self, images, labels, num_batches=1):
        """(scores [N], logits [N, label_size]); `num_batches` minibatches stacked along N are judged apart."""
        with tf.control_dependencies([] if self._halves else self._made):
            return self._judged(images, labels, num_batches)

    def _judged(self, images, labels, num_batches):
        if self._D_inputs:  # Whose rows are those of the whole minibatch.
            def run(layer, x, **others):
                return self._how['run'](layer, self._D_inputs(layer, x), **others)
            return self._D(images, labels, num_batches=num_batches, **self._how | {'run': run})
        n = images.shape[0]
        group_size = min(self._D.group_size, n)
        if 'D' not in self._halves or num_batches > 1 or n // group_size % 2:
            return self._D(images, labels, num_batches=num_batches, **self._how)
        # Each half has half of the groups that are judged together; a group holds images i, i + N/g, i + 2N/g, ...
        pairs = [self._D(*half, **self._how) for half in zip(
            _half_groups(images, group_size), _half_groups(labels, group_size), strict=True)]
        scores, logits = (
            tf.concat([tf.reshape(part, [group_size, -1, *part.shape[1:]]) for part in parts], axis=1)  # [g, N/g, ...]
            for parts in zip(*pairs, strict=True))
        return tf.reshape(scores, [n]), tf.reshape(logits, [n, *logits.shape[2:]])


def _half_groups(x, group_size):
    """[N, ...] -> two of [N / 2, ...], each with every other group whole; None -> two of it."""
    if x is None or 0 in x.shape:
        return [None, None]
    n, *shape = x.shape
    return [tf.reshape(half, [n // 2, *shape]) for half in tf.split(tf.reshape(x, [group_size, -1, *shape]), 2, axis=1)]
