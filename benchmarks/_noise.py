"""The data set of the benchmarks of training: noise."""
import numpy as np


def write_noise(target, resolution):
    """A data set of 512 images of noise, or of 64 MB."""
    from data.writer import Writer  # With TensorFlow, not before its threads are chosen.
    random = np.random.RandomState(0)
    with Writer(target, resolution, 3) as writer:
        for _ in range(min(512, 2 ** 26 // (3 * resolution ** 2))):
            writer.add(random.randint(256, size=[1, 3, resolution, resolution]).astype(np.uint8))
