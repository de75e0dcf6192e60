"""What pictures of mixed styles have in common with either source: colours, and geometry. NumPy only."""
import numpy as np

_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])  # Luminance, chroma (JPEG).


def colours(images):
    """Mean chroma of each of 4x4 patches. uint8 [N, R, R, 3] -> float [N, 32]; luminance does not count."""
    return _patches(images @ _TO_YCC[1:].T, 4).reshape(len(images), -1)


def geometry(images):
    """Where the edges are: |gradient of luminance| in 16x16 patches, of mean 1 in each image. uint8 [N, R, R, 3] -> [N, 256]

    R is 16 or more. Scale and sign of the contrast do not count.
    """
    edges = np.hypot(*np.gradient(images @ _TO_YCC[0], axis=(1, 2)))
    edges = _patches(edges[..., np.newaxis], 16).reshape(len(images), -1)
    return edges / np.maximum(edges.mean(axis=1, keepdims=True), 1e-8)


def _patches(values, count):
    """Means of count x count patches. [N, R, R, C] -> [N, count, count, C]"""
    n, side, _, channels = values.shape
    return values.reshape(n, count, side // count, count, side // count, channels).mean(axis=(2, 4))


def correlation(a, b):
    """Pearson's correlation of what N rows have beyond the mean row of their set. [N, K], [N, K] -> -1 to 1"""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return float((a * b).sum() / np.sqrt(np.square(a).sum() * np.square(b).sum()))
