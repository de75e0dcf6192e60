"""Steps along paths between latents, as an eye sees them: what perceptual path length is the mean of."""
import tensorflow as tf

from metrics.lpips import LARGEST
from networks.growth import at_most, lerp, split_lod

EPSILON = 1e-4


def slerp(a, b, t):
    """Both ends at length 1, then t of the way on the great circle. [N, Z], [N, Z], [N, 1] -> [N, Z]"""
    a, b = _unit(a), _unit(b)
    cosine = tf.reduce_sum(a * b, axis=-1, keepdims=True)
    angle = t * tf.math.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    return _unit(a * tf.cos(angle) + _unit(b - cosine * a) * tf.sin(angle))


def _unit(x):
    return x / tf.norm(x, axis=-1, keepdims=True)


def crop_face(images):
    """Rows 3/8 to 7/8, columns 2/8 to 6/8, where an aligned face is. [N, H, W, C] -> [N, H/2, W/2, C]"""
    c = images.shape[1] // 8
    return images[:, 3 * c:7 * c, 2 * c:6 * c]


def path_lengths(Gs, lpips, space, full, crop):
    """A tf.function of latents z [n, 2, Z], places t [n] and labels [n, label_size] -> float32 [n].

    Both images of a pair are made with one noise, which is random, untruncated, at the stored lod. `space` is 'z' or 'w';
    places count if the path is `full`.
    """
    level, fade = split_lod(Gs.stored_lod)

    @tf.function(input_signature=[tf.TensorSpec([None, 2, Gs.latent_size]), tf.TensorSpec([None]),
                                  tf.TensorSpec([None, Gs.label_size])])
    def lengths(z, t, labels):
        n, t = tf.shape(z)[0], (t if full else tf.zeros_like(t))[:, None]
        if space == 'w':
            ends = Gs.map(tf.concat([z[:, 0], z[:, 1]], 0), tf.concat([labels, labels], 0))
            points = [lerp(ends[:n], ends[n:], (t + e)[:, None]) for e in (0.0, EPSILON)]
            images = _images(Gs, tf.concat(points, 0), z[:, 0], level, fade)
        else:
            points = tf.concat([slerp(z[:, 0], z[:, 1], t + e) for e in (0.0, EPSILON)], 0)
            labels = tf.concat([labels, labels], 0)
            if Gs.has_w:
                images = _images(Gs, Gs.map(points, labels), z[:, 0], level, fade)
            else:
                images = Gs(points, labels, level=level, fade=fade)
        images = Gs.at_full_resolution(images, level)
        images = (at_most(crop_face(images) if crop else images, LARGEST) + 1) * 127.5
        return lpips(images[:n], images[n:]) / EPSILON ** 2
    return lengths


def _images(Gs, w, latents, level, fade):
    """Images of two sets of w one after the other, each made with the noise of the same latents."""
    noise = [tf.concat([x, x], 0) for x in Gs.noise_of('random', latents, level)]
    return Gs.synthesize(w, level, fade, noise=noise)
