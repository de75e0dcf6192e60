"""What is done to w before pictures are made of it: files, averages, interpolation, walks, groups of layers. NumPy alone."""
import os

import numpy as np
import scipy  # Its parts come when they are first used.

from files import replacing

GROUPS = ('coarse', 'middle', 'fine')


def check_has_w(Gs):
    """ValueError for a generator without w."""
    if not Gs.has_w:
        raise ValueError(f'w was asked for, but networks of kind {Gs.kind} have none; use a network with styles.')


def check_has_styles(Gs):
    """ValueError for a generator whose layers do not differ in w."""
    check_has_w(Gs)
    if Gs.layers_at(0) < 2:
        raise ValueError('This network was trained without styles (network.use_styles), so there are none to mix; use '
                         'another.')


def check_has_noise(Gs):
    """ValueError for a generator without noise maps."""
    check_has_w(Gs)
    if not Gs.noise_sizes:
        raise ValueError('This network was trained without noise (network.use_noise), so there is none to show; use '
                         'another.')


def fitting_w(Gs, w, path):
    """w of a file, [N, layers, W] or [N, W] alike in all layers -> float32 [N, layers, W]; ValueError unless it fits."""
    check_has_w(Gs)
    layers, size = Gs.layers_at(0), Gs.dlatent_size
    if w.shape[1:] not in ((layers, size), (size,)) or not len(w):
        raise ValueError(f'{path} holds w of the shape {list(w.shape)}; this network needs [N, {layers}, {size}], or '
                         f'[N, {size}] for all layers alike.')
    with np.errstate(over='ignore'):
        w = w.astype(np.float32)
    if not np.isfinite(w).all():
        raise ValueError(f'{path} holds w with NaN or infinity; this network needs finite numbers of float32.')
    return np.broadcast_to(w[:, None] if w.ndim == 2 else w, [len(w), layers, size])


def save_w(path, w):
    """Writes w as a .npy file, which appears complete or not at all; makes its folder."""
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with replacing(path) as partial, open(partial, 'wb') as file:
        np.save(file, w)


def interpolated(w, steps):
    """Each w and those on the straight lines to the next, `steps` to a line. [N, layers, W] -> [(N - 1) steps + 1, ..]"""
    t = np.arange(steps, dtype=np.float32)[:, None, None] / steps
    between = [a + (b - a) * t for a, b in zip(w, w[1:], strict=False)]
    return np.concatenate([*between, w[-1:]])


def shifted(keys, n):
    """Keys n times, each beginning at another of them. [K, ..] -> [n, K, ..]"""
    return np.stack([np.roll(keys, -(i * len(keys) // n), axis=0) for i in range(n)])


def looped(keys, num_frames):
    """A smooth closed way through K keys, as long from each to the next: a periodic cubic spline. [K, ..] -> [F, ..]"""
    if len(keys) == 1:
        return np.repeat(keys, num_frames, axis=0)
    spline = scipy.interpolate.CubicSpline(np.arange(len(keys) + 1), np.concatenate([keys, keys[:1]]), bc_type='periodic')
    return spline(np.arange(num_frames) * len(keys) / num_frames).astype(np.float32)


def first_of(group, num_layers):
    """The first layer of a group of GROUPS, or for None the number of layers.

    The coarse layers are those of 4x4 and 8x8, the middle ones of 16x16 and 32x32, fine all above (paper, section 3.1); of
    fewer than 12 layers each group has about a third.
    """
    middle = max(min(4, num_layers // 3), 1)
    return {'coarse': 0, 'middle': middle, 'fine': max(min(8, 2 * num_layers // 3), middle), None: num_layers}[group]


def layers_of(text, num_layers):
    """'coarse', 'middle', 'fine', '4-7' or '5' -> range of layers; ValueError for others and for more than there are."""
    if text in GROUPS:
        following = dict(zip(GROUPS, (*GROUPS[1:], None), strict=True))[text]
        return range(first_of(text, num_layers), first_of(following, num_layers))
    first, dash, last = text.partition('-')
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise ValueError(f'--styles: {text!r} is no group of layers; write {", ".join(GROUPS)}, or layers as 4-7.')
    chosen = range(int(first), int(last or first) + 1)
    if not chosen or chosen[-1] >= num_layers:
        raise ValueError(f'--styles: {text!r} is out of range; this network has the layers 0 to {num_layers - 1}.')
    return chosen
