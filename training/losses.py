"""The paper's losses: WGAN-GP with the drift penalty, and AC-GAN label terms. Per example, float32, no optimizer.

Every function returns `(loss [N], terms)`: `terms` holds the named statistics [N], before their weights.
"""
import tensorflow as tf

from networks.growth import lerp
from networks.layers import sharing_kernels


def generator_loss(G, D, latents, labels, level, fade, cond_weight=1.0, in_halves=False):
    """-score(G(z, y)) + cond_weight * xent(y, logits).

    `in_halves`: two halves of the minibatch take their way at the same time, which keeps two cores busy where each kernel
    waits for the one before; the same result, but for rounding.
    """
    where = {'level': level, 'fade': fade, 'run': sharing_kernels()}
    scores, logits = _judge(D, _generate(G, latents, labels, where, in_halves), where, in_halves)
    loss, terms = -scores, {}
    if D.label_size:
        terms['G_label_penalty_fakes'] = _xent(labels, logits)
        loss += cond_weight * terms['G_label_penalty_fakes']
    return loss, terms


def discriminator_loss(G, D, reals, labels, latents, mixing_factors, level, fade, cond_weight=1.0, wgan_lambda=10.0,
                       wgan_epsilon=0.001, wgan_target=1.0, loss_scale=1.0, in_halves=False):
    """fake - real + lambda/target^2 (|grad| - target)^2 + epsilon real^2 + cond_weight (xent(reals) + xent(fakes)).

    reals: [N, r, r, C] in [-1, 1] at `level`, `mixing_factors`: [N] in [0, 1), where the gradient of the score is taken
    between each real (0) and fake (1) image. `loss_scale` keeps that inner gradient from underflowing in float16;
    `in_halves`: see generator_loss.
    """
    where = {'level': level, 'fade': fade, 'run': sharing_kernels()}
    fakes = tf.cast(_generate(G, latents, labels, where, in_halves), reals.dtype)
    # One pass for both: their stddev groups stay apart. Larger matrices, half the calls.
    scores, logits = D(tf.concat([reals, fakes], 0), num_batches=2, **where)
    real_scores, fake_scores = tf.split(scores, 2)
    mixed = lerp(reals, fakes, mixing_factors[:, None, None, None])
    mixed_scores, mixed_norms = _score_and_gradient_norm(D, mixed, where, loss_scale)
    terms = {'real_scores': real_scores, 'fake_scores': fake_scores, 'mixed_scores': mixed_scores,
             'mixed_norms': mixed_norms, 'epsilon_penalty': tf.square(real_scores)}
    loss = (fake_scores - real_scores
            + wgan_lambda / wgan_target ** 2 * tf.square(mixed_norms - wgan_target)
            + wgan_epsilon * terms['epsilon_penalty'])
    if D.label_size:
        real_logits, fake_logits = tf.split(logits, 2)
        terms['label_penalty_reals'] = _xent(labels, real_logits)
        terms['label_penalty_fakes'] = _xent(labels, fake_logits)
        loss += cond_weight * (terms['label_penalty_reals'] + terms['label_penalty_fakes'])
    return loss, terms


def _generate(G, latents, labels, where, in_halves):
    if not in_halves or latents.shape[0] % 2:
        return G(latents, labels, **where)
    labels = tf.split(labels, 2) if G.label_size else [None, None]
    return tf.concat([G(*half, **where) for half in zip(tf.split(latents, 2), labels, strict=True)], 0)


def _judge(D, images, where, in_halves):
    n, *shape = images.shape
    group_size = min(D.mbstd_group_size, n)
    if not in_halves or n // group_size % 2:
        return D(images, **where)
    # Each half has half of the groups of minibatch stddev; a group holds images i, i + N/g, i + 2N/g, ...
    halves = tf.split(tf.reshape(images, [group_size, -1, *shape]), 2, axis=1)  # 2 x [g, N/2g, H, W, C]
    judged = [D(tf.reshape(half, [n // 2, *shape]), **where) for half in halves]
    scores, logits = (
        tf.concat([tf.reshape(part, [group_size, -1, *part.shape[1:]]) for part in parts], axis=1)  # [g, N/g, ...]
        for parts in zip(*judged, strict=True))
    return tf.reshape(scores, [n]), tf.reshape(logits, [n, D.label_size])


def _score_and_gradient_norm(D, images, where, loss_scale):
    """Scores [N] and the norms [N] of their gradients with respect to the images at full resolution."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        scores, _ = D(images, **where)
        total = tf.reduce_sum(scores) * loss_scale
    gradients = tape.gradient(total, images) / loss_scale
    squares = tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])
    # At a zero gradient sqrt has an infinite slope, which would skip the update; it gets the slope 0 instead.
    nonzero = squares > 0
    norms = tf.where(nonzero, tf.sqrt(tf.where(nonzero, squares, 1.0)), 0.0)
    # The norm is that of the full-resolution gradient: a pixel here spreads over 4^level pixels, 1/4^level to each.
    return scores, norms / 2 ** where['level']


def _xent(labels, logits):
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)
