"""The classifiers of CelebA-HQ's forty attributes, through which linear separability looks at images."""
import os

import tensorflow as tf

from files import sha256, sha256_of
from networks.growth import at_most, split_lod
from official.load import load_discriminator
from serving.generate import to_uint8

ATTRIBUTES = 40


class Classifiers:
    """The networks of the pickles in a folder, in the order of their names: images -> a logit per attribute.

    FileNotFoundError, or ValueError in one sentence for a folder of another number of pickles than `expected` and for
    networks that do not give one logit for an image.
    """

    def __init__(self, folder, expected=ATTRIBUTES):
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"There is no folder '{folder}'; give that of the {expected} classifiers of CelebA-HQ.")
        paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith('.pkl')]
        if len(paths) != expected:
            raise ValueError(f"'{folder}' holds {len(paths)} pickles of classifiers; linear separability is a sum over "
                             f'{expected} attributes: give a folder of celebahq-classifier-00-male.pkl and the others.')
        networks = [load_discriminator(path) for path in paths]
        self._networks = [(network, network.stored_lod) for network in networks]
        self.sha256 = sha256_of(sha256(path).encode() for path in paths)
        first = networks[0]
        self.resolution, self._channels = first.resolution, first.num_channels
        for path, network in zip(paths, networks, strict=True):
            if network.label_size or network.num_logits:
                raise ValueError(f'{path} holds a discriminator with labels; a classifier gives one logit for an image.')
            if (network.resolution, network.num_channels) != (self.resolution, self._channels):
                raise ValueError(f'{path} looks at {network.num_channels} channels of {network.resolution} pixels, '
                                 f'{paths[0]} at {self._channels} of {self.resolution}; give classifiers that are alike.')

    def __call__(self, images):
        """uint8 [N, R, R, C], R the classifiers' resolution -> float32 [N, number of classifiers]"""
        if images.shape[-1] == 1:
            images = tf.repeat(images, self._channels, axis=-1)
        return tf.stack([network.judge(images, lod=lod)[0] for network, lod in self._networks], axis=1)


def labelled_by(classifiers, Gs):
    """A tf.function (latents, labels) -> (w [N, W] of the last layer, logits [N, attributes] of the images)."""
    level, fade = split_lod(Gs.stored_lod)

    @tf.function(input_signature=[tf.TensorSpec([None, Gs.latent_size]), tf.TensorSpec([None, Gs.label_size])])
    def labelled(latents, labels):
        w = Gs.map(latents, labels)
        images = Gs.synthesize(w, level, fade, noise=Gs.noise_of('random', latents, level))
        images = at_most(Gs.at_full_resolution(images, level), classifiers.resolution)
        return w[:, -1], classifiers(to_uint8(images, Gs.half_up))
    return labelled
