"""Labels of classes."""
import numpy as np


def one_hot(classes, num_classes):
    """Labels of class numbers: int [N] -> float32 [N, num_classes]."""
    return (np.arange(num_classes) == np.asarray(classes)[:, np.newaxis]).astype(np.float32)
