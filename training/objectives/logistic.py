"""StyleGAN's losses: logistic, with gradient penalties at reals and fakes (Mescheder et al., 2018). Per example, float32."""
import tensorflow as tf

from training.objectives.adversarial import Adversarial, judge, judge_with_gradient


class Logistic(Adversarial):
    """softplus losses of scores; G's is non-saturating unless the settings say otherwise."""

    @property
    def penalties(self):
        return [name for name, gamma in (('r1_penalty', self.settings.r1_gamma), ('r2_penalty', self.settings.r2_gamma))
                if gamma]

    def of_fakes(self, scores):
        """softplus(-score), or -softplus(score)."""
        return -tf.math.softplus(scores) if self.settings.saturating else tf.math.softplus(-scores)

    def of_both(self, at, reals, fakes, labels, draws):
        """softplus(fake) + softplus(-real) + r1_gamma/2 |gradient at reals|^2 + r2_gamma/2 |gradient at fakes|^2."""
        gammas, terms, penalty = (self.settings.r1_gamma, self.settings.r2_gamma), {}, 0.0
        if any(gammas):  # Only what has a penalty is differentiated twice, so they are judged apart.
            judged = []
            for name, gamma, images in zip(('r1_penalty', 'r2_penalty'), gammas, (reals, fakes), strict=True):
                if gamma:
                    *scores, terms[name] = judge_with_gradient(at, images, labels)
                    penalty += gamma / 2 * terms[name]
                else:
                    scores = at.D(images, labels)
                judged.append(scores)
        else:
            judged = judge(at, reals, fakes, labels)
        real, fake = judged
        return tf.math.softplus(fake[0]) + tf.math.softplus(-real[0]) + penalty, terms, real, fake
