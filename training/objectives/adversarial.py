"""What G against D has in common, whatever their losses of scores: ProGAN's rounds, label terms, gradients at images."""
import tensorflow as tf

from training.objectives.objective import Objective, Update


class Adversarial(Objective):
    """A subclass gives the losses of scores; AC-GAN's label terms come to them where D has label logits."""

    penalties: list[str]  # Names of what the subclass's D loss tells beside the scores.

    @property
    def statistics(self):
        labels = ['label_penalty_reals', 'label_penalty_fakes', 'G_label_penalty_fakes'] if self.num_logits else []
        return ['D_loss', 'G_loss', 'real_scores', 'fake_scores', *self.penalties, *labels]

    def round(self):
        """`D_repeats` D steps, each with reals of its own and followed by the average, then one G step."""
        return [*(Update('D', 'D_loss', self.discriminator_loss, averages=True, minibatch=i) for i in range(self.D_repeats)),
                Update('G', 'G_loss', self.generator_loss, minibatch=self.D_repeats - 1)]

    def of_fakes(self, scores):
        """G's loss of the fakes' scores. [N] -> [N]"""
        raise NotImplementedError

    def of_both(self, at, reals, fakes, labels, draws):
        """D's loss -> (loss [N], {penalty: [N]}, (real scores, real logits), (fake scores, fake logits))."""
        raise NotImplementedError

    def generator_loss(self, at, element, draws):
        """of_fakes(score(G(z, y), y)) + cond_weight * xent(y, logits)."""
        labels = element.random_labels
        return self.of_judged_fakes(labels, *at.D(at.G(draws, labels), labels))

    def of_judged_fakes(self, labels, scores, logits):
        """G's loss of fakes that D has judged -> (loss [N], terms)."""
        loss, terms = self.of_fakes(scores), {}
        if self.num_logits:
            terms['G_label_penalty_fakes'] = label_penalty(labels, logits)
            loss += self.settings.cond_weight * terms['G_label_penalty_fakes']
        return loss, terms

    def discriminator_loss(self, at, element, draws):
        """of_both(reals, fakes) + cond_weight (xent(reals) + xent(fakes)); the fakes have the labels of the reals."""
        return self.judged(at, element, draws)[:2]

    def judged(self, at, element, draws):
        """D's loss, its terms, and what D says of the fakes: (scores [N], logits)."""
        reals, labels = element.reals, element.labels
        fakes = tf.cast(at.G(draws, labels), reals.dtype)
        loss, terms, (real_scores, real_logits), (fake_scores, fake_logits) = self.of_both(at, reals, fakes, labels, draws)
        terms |= {'real_scores': real_scores, 'fake_scores': fake_scores}
        if self.num_logits:
            terms['label_penalty_reals'] = label_penalty(labels, real_logits)
            terms['label_penalty_fakes'] = label_penalty(labels, fake_logits)
            loss += self.settings.cond_weight * (terms['label_penalty_reals'] + terms['label_penalty_fakes'])
        return loss, terms, (fake_scores, fake_logits)


def label_penalty(labels, logits):
    """AC-GAN's cross entropy of label logits. [N, label_size], [N, label_size] -> [N]"""
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


def judge(at, reals, fakes, labels):
    """-> (scores [N], logits) of the reals, and of the fakes."""
    # One pass for both: their stddev groups stay apart. Larger matrices, half the calls.
    scores, logits = at.D(tf.concat([reals, fakes], 0), tf.concat([labels, labels], 0), num_batches=2)
    return zip(tf.split(scores, 2), tf.split(logits, 2), strict=True)


def judge_with_gradient(at, images, labels):
    """-> (scores [N], logits, [N]): the last the squared norm of the score's gradient at the images at full resolution."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        scores, logits = at.D(images, labels)
        total = tf.reduce_sum(scores) * at.loss_scale  # Which keeps the gradient from underflowing in float16.
    gradients = tape.gradient(total, images) / at.loss_scale
    squares = tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])
    # The norm is that of the full-resolution gradient: a pixel here spreads over 4^level pixels, 1/4^level to each.
    return scores, logits, squares / 4 ** at.level


def root(squares):
    """Square roots. At 0, where the slope is infinite and would skip the update, it is 0 instead."""
    nonzero = squares > 0
    return tf.where(nonzero, tf.sqrt(tf.where(nonzero, squares, 1.0)), 0.0)


def judge_with_penalties(at, reals, fakes, labels, r1_gamma, r2_gamma):
    """-> ((scores [N], logits) of the reals, of the fakes, the penalty [N], {'r1_penalty', 'r2_penalty': [N]}).

    The penalty is r1_gamma/2 |gradient at reals|^2 + r2_gamma/2 |gradient at fakes|^2 (Mescheder et al., 2018); 0 is none.
    """
    gammas, terms, penalty = (r1_gamma, r2_gamma), {}, 0.0
    if not any(gammas):
        return *judge(at, reals, fakes, labels), penalty, terms
    judged = []
    for name, gamma, images in zip(('r1_penalty', 'r2_penalty'), gammas, (reals, fakes), strict=True):
        if gamma:  # Only what has a penalty is differentiated twice, so they are judged apart.
            *scores, terms[name] = judge_with_gradient(at, images, labels)
            penalty += gamma / 2 * terms[name]
        else:
            scores = at.D(images, labels)
        judged.append(scores)
    return *judged, penalty, terms
