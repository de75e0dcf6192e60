"""The hinge loss, with or without a gradient penalty. Per example, float32."""
import tensorflow as tf

from training.objectives.gradient_penalty import Penalized


class Hinge(Penalized):
    """D pushes scores beyond -1 and 1, G raises them."""

    def of_scores(self, real, fake):
        """relu(1 + fake) + relu(1 - real)."""
        return tf.nn.relu(1 + fake) + tf.nn.relu(1 - real)
