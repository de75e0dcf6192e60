"""What tests of style-based networks share: small ones, none of whose variables is at its beginning."""
import numpy as np

SMALL = dict(resolution=16, num_channels=2, fmap_base=64, fmap_max=12, seed=3)
G_SMALL = SMALL | dict(latent_size=8, dlatent_size=8, mapping_fmaps=6, mapping_layers=3)


def chw(images):
    return np.transpose(images, [0, 3, 1, 2])


def perturbed(network, seed=5):
    """The network with all of its variables random, the lod apart: fresh ones hide noise and biases."""
    random = np.random.RandomState(seed)
    for name, variable in network.named_variables().items():
        if not name.endswith('lod'):
            variable.assign(variable + 0.5 * random.randn(*variable.shape))
    return network
