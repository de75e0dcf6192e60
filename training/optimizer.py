"""Adam with loss scaling, for gradients that are summed over replicas here and nowhere else.

Keras's optimizers do not fit: under a strategy they sum the gradients a second time, their LossScaleOptimizer trusts
the first replica's overflow flag alone, and the step count cannot be reset together with the moments. Each replica
applies the same reduced gradients to its own copies of the variables, one fused kernel per variable.
"""
import tensorflow as tf

GROWTH_INTERVAL = 2000  # Clean steps after which the loss scale doubles.


class Adam(tf.Module):
    """Adam (Kingma & Ba; epsilon added to the root, bias correction in the step size) over a fixed list of variables.

    An update whose reduced gradients are not all finite is skipped on every replica. With `initial_loss_scale` set, the
    scale halves at each skip and doubles after 2000 clean steps; without, it is 1 and stays. Create it, and call
    `reset`, outside of replicas; the other methods inside.

    With `lazy_interval` k there are k + 1 updates where there would be k, the last that of a regularizer: learning rates
    count c = k / (k + 1) times, and betas are raised to the power of c (StyleGAN2's paper, appendix B).
    """

    def __init__(self, variables, beta1=0.9, beta2=0.999, epsilon=1e-8, initial_loss_scale=None, lazy_interval=None,
                 name=None):
        super().__init__(name=name)
        self.variables_ = [_resource(v) for v in variables]
        self.rate = lazy_interval / (lazy_interval + 1) if lazy_interval else 1.0  # Of the learning rates.
        self.beta1, self.beta2, self.epsilon = beta1 ** self.rate, beta2 ** self.rate, epsilon
        self.dynamic_scale = initial_loss_scale is not None
        self.means = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.variables_]
        self.mean_squares = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.variables_]
        self.step = tf.Variable(0.0, trainable=False)
        self.loss_scale = tf.Variable(initial_loss_scale or 1.0, trainable=False)
        self.clean_steps = tf.Variable(0.0, trainable=False)
        self.skipped_steps = tf.Variable(0.0, trainable=False)  # In a row.

    def reset(self):
        """Forgets moments and step count, not the loss scale."""
        for variable in [*self.means, *self.mean_squares, self.step]:
            variable.assign(tf.zeros(variable.shape))

    def apply(self, gradients, learning_rate):
        """Averages the gradients (of the scaled loss) over replicas and applies them -> 1.0 if skipped, else 0.0.

        `gradients` has one entry per variable; None where the variable took no part, which is left alone.
        """
        replicas = tf.distribute.get_replica_context()
        active = [i for i, gradient in enumerate(gradients) if gradient is not None]
        # Reduce first, check after: an infinite or NaN gradient of any replica reaches all of them in the sum.
        reduced = _all_reduce(replicas, [gradients[i] for i in active])
        # A sum of sums is finite only if all terms are; one number is cheaper to test than all.
        finite = tf.math.is_finite(tf.add_n([tf.reduce_sum(gradient) for gradient in reduced]))
        unscale = 1.0 / (self.loss_scale * replicas.num_replicas_in_sync)
        if self.dynamic_scale or replicas.num_replicas_in_sync > 1:
            reduced = [gradient * unscale for gradient in reduced]

        def update():
            step = self.step + 1.0
            rate = learning_rate * self.rate if self.rate != 1.0 else learning_rate
            settings = {'beta1_power': self.beta1 ** step, 'beta2_power': self.beta2 ** step, 'lr': rate,
                        'beta1': tf.constant(self.beta1), 'beta2': tf.constant(self.beta2),
                        'epsilon': tf.constant(self.epsilon)}
            for i, gradient in zip(active, reduced, strict=True):
                tf.raw_ops.ResourceApplyAdam(
                    var=self.variables_[i].handle, m=self.means[i].handle, v=self.mean_squares[i].handle,
                    grad=gradient, **settings)
            assign(self.step, step)
            return tf.constant(0.0)

        skipped = tf.cond(finite, update, lambda: tf.constant(1.0))
        assign(self.skipped_steps, (self.skipped_steps + 1.0) * skipped)
        if self.dynamic_scale:
            clean_steps = (self.clean_steps + 1.0) * (1.0 - skipped)
            grown = clean_steps >= GROWTH_INTERVAL
            assign(self.loss_scale, self.loss_scale * tf.where(skipped > 0, 0.5, tf.where(grown, 2.0, 1.0)))
            assign(self.clean_steps, tf.where(grown, 0.0, clean_steps))
        return skipped


def assign(variable, value):
    """Assigns to a replica's own copy; every replica must assign the same value.

    (A strategy's `assign` would reduce or merge, which is not possible inside a tf.cond.)
    """
    tf.raw_ops.AssignVariableOp(resource=_resource(variable).handle, value=value)


def _resource(variable):
    """The tf.Variable of a Keras or TensorFlow variable."""
    return variable if isinstance(variable, tf.Variable) else variable.value


def _all_reduce(replicas, tensors):
    if replicas.num_replicas_in_sync == 1:
        return tensors
    return replicas.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
