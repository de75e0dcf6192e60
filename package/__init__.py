"""Progressive Growing of GANs for TensorFlow 2 and Keras 3: `progan.networks`, `progan.training`, ... as in a checkout."""
