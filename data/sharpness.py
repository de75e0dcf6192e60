"""How good a photograph looks by its power spectrum: the criterion that picked CelebA-HQ out of CelebA."""
import functools

import numpy as np
import scipy  # Its parts come when they are first used: they take longer to import than most commands run.

NUM_RINGS = 12
LOWEST_FREQUENCY = 4  # Cycles per image; below that lie the subject and the window, not the quality.


def sharpness(image):
    """Grades an image by how broad and radially symmetric its power spectrum is. uint8 [3, R, R] -> 0 .. 1.

    With E(f) = |f|^2 power(f) of the windowed gray image (about flat: natural images have power ~ 1/f^2), in
    12 rings of equal width in log |f|, from 4 cycles per image to half a cycle per pixel:

        G_k = exp(mean over ring k of ln E),  M_k = mean over ring k of E,  q = G / sum(G)
        sharpness = exp(-sum(q_k ln q_k)) / 12  *  sum(G) / sum(M)

    The first factor is the share of rings that typical power fills: blur and upscaling empty the outer ones.
    The second falls where power sits in few directions or peaks of a ring, where halftones, scan lines and
    coding blocks put it. The paper (appendix C) asks for both without a formula. Noise goes unpunished.
    """
    gray = np.mean(image, axis=0, dtype=np.float64)
    if gray.std() < 1:
        return 0.0  # No content; the formula would see evenly spread rounding noise.
    window, ring, squared_frequency, count = _rings(len(gray))
    power = np.abs(scipy.fft.rfft2((gray - gray.mean()) * window)) ** 2
    whitened = power.ravel() * squared_frequency + 1e-12
    typical = np.exp(np.bincount(ring, np.log(whitened))[:NUM_RINGS] / count)
    mean = np.bincount(ring, whitened)[:NUM_RINGS] / count
    share = typical / typical.sum()
    breadth = np.exp(-np.sum(share * np.log(share))) / NUM_RINGS
    return float(breadth * typical.sum() / mean.sum())


@functools.lru_cache(maxsize=2)
def _rings(size):
    """Window [R, R]; for each frequency of rfft2 its ring (NUM_RINGS: none) and |f|^2; size of each ring."""
    hann = np.hanning(size)
    frequency = np.hypot(scipy.fft.fftfreq(size)[:, np.newaxis], scipy.fft.rfftfreq(size)).ravel()
    lowest = LOWEST_FREQUENCY / size
    position = np.log(np.maximum(frequency, lowest / 2) / lowest) / np.log(0.5 / lowest)
    ring = np.where((position >= 0) & (position < 1), np.floor(position * NUM_RINGS), NUM_RINGS).astype(int)
    return np.outer(hann, hann), ring, frequency ** 2, np.bincount(ring)[:NUM_RINGS]
