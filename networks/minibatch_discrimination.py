"""Minibatch discrimination (Salimans et al., 2016, section 3.2), as row e* of ProGAN's table 1 has it."""
import keras
import tensorflow as tf

from networks.growth import shape_of

INITIAL_IMAGES = 500  # Reals from which it is initialized.
_SELF = 1e6           # Added to the distance of an example to itself.


@keras.saving.register_keras_serializable('progan')
class MinibatchDiscrimination(keras.layers.Layer):
    """Appends how near the other examples of a minibatch are. [N, A] -> [N, A + kernels], in float32 inside.

    o(i, k) = sum over j != i of exp(-|f_i W_k - f_j W_k|_1) + b_k, W_k = theta_k exp(log_scale_k) / |theta_k| [A, dims], the
    norm over A. `call(x, num_batches=b)` takes b minibatches stacked along N and keeps them apart.
    """

    def __init__(self, kernels=100, dims=5, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.kernels, self.dims, self.seed = kernels, dims, seed

    def build(self, input_shape):
        shape = [self.kernels, self.dims]
        self.theta = self.add_weight(name='theta', shape=[input_shape[-1], *shape], autocast=False,
                                     initializer=keras.initializers.RandomNormal(stddev=0.05, seed=self.seed))
        self.log_scale = self.add_weight(name='log_scale', shape=shape, autocast=False, initializer='zeros')
        self.bias = self.add_weight(name='bias', shape=[self.kernels], autocast=False, initializer='zeros')

    def call(self, x, num_batches=1):
        features = tf.reshape(tf.cast(x, tf.float32), [num_batches, -1, x.shape[-1]])
        near = self._nearness(self._distances(features)) + tf.convert_to_tensor(self.bias.value)  # [b, n, kernels]
        return tf.concat([x, tf.cast(tf.reshape(near, [-1, self.kernels]), x.dtype)], axis=-1)

    def initialize(self, x):
        """Sets log_scale and bias so that they suit features x [N, A] of reals.

        Distances of each kernel are divided by half of the mean over examples of the least distance to another; the bias is
        minus the mean of the outputs without it. A kernel to which all examples are alike keeps its scale.
        """
        features = tf.cast(x, tf.float32)[None]
        half = 0.5 * tf.reduce_mean(tf.reduce_min(self._distances(features)[0], axis=1), axis=0)  # [kernels]
        logarithm = tf.math.log(tf.where(half > 0, half, 1.0))
        self.log_scale.assign(tf.convert_to_tensor(self.log_scale.value) - logarithm[:, None])
        self.bias.assign(-tf.reduce_mean(self._nearness(self._distances(features))[0], axis=0))

    def _distances(self, features):
        """[b, n, A] -> [b, n, n, kernels], each example far from itself."""
        theta = tf.convert_to_tensor(self.theta.value)
        scale = tf.exp(tf.convert_to_tensor(self.log_scale.value)) * tf.math.rsqrt(tf.reduce_sum(tf.square(theta), 0))
        y = tf.tensordot(features, theta * scale, 1)  # [b, n, kernels, dims]
        distances = tf.add_n([tf.abs(y[:, :, None, :, d] - y[:, None, :, :, d]) for d in range(self.dims)])
        return distances + _SELF * tf.eye(shape_of(features)[1])[..., None]

    def _nearness(self, distances):
        return tf.reduce_sum(tf.exp(-distances), axis=2)

    def get_config(self):
        return {**super().get_config(), 'kernels': self.kernels, 'dims': self.dims, 'seed': self.seed}
