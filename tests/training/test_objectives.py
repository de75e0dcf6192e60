"""What every objective of the table keeps: its updates tell what it says, and move what they train."""
import numpy as np
import pytest
import tensorflow as tf

from networks.architectures import FIRST
from presets.table import LOSSES, NETWORKS
from training.draws import Draws
from training.objectives.objective import Element
from training.objectives.table import OBJECTIVES
from training.state import make_state
from training.step import accumulated, gradients_of


class Shape:
    resolution, num_channels, class_names = 8, 3, None

    def __init__(self, label_size):
        self.label_size = label_size


@pytest.fixture(params=OBJECTIVES)
def kind(request):
    return request.param


@pytest.mark.parametrize('label_size', [0, 3])
@pytest.mark.parametrize('D_repeats', [1, 2])
def test_updates_tell_the_statistics_and_move_what_they_train(kind, label_size, D_repeats):
    loss = LOSSES[kind]()
    of_networks = 'stylegan2' if loss.needs_w else FIRST
    settings = NETWORKS[of_networks](fmap_base=32, fmap_max=4)
    state = make_state(Shape(label_size), settings, 'float32', 1, 0.0, 0.99, 1e-8, 1.0)
    objective = OBJECTIVES[kind](loss, state.D.num_logits, D_repeats)
    n = 8
    labels = tf.constant(np.eye(label_size, dtype=np.float32)[np.arange(n) % label_size]) if label_size else tf.zeros([n, 0])
    element = Element(tf.random.stateless_normal([n, 8, 8, 3], [0, 1]), labels, labels)
    draws = Draws(tf.random.stateless_normal([n, state.G.latent_size], [0, 2]), tf.random.stateless_uniform([n], [0, 3]), 1,
                  tf.constant(0, tf.int64), n, 0)
    told = set()
    for update in objective.round():
        def compute(element, draws, update=update):
            return gradients_of(update, state, element, draws, 0, 0.5)
        gradients, terms, _ = compute(element, draws)
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients if gradient is not None)
        assert any(np.any(gradient != 0) for gradient in gradients if gradient is not None)
        assert all(term.shape in ([n], [n // 2]) for term in terms.values()), update.name  # Of some a part is enough.
        told |= terms.keys()
        whole, parts = (tf.function(lambda slices=slices: accumulated(compute, element, draws, slices)[1])()
                        for slices in (1, 2))
        assert whole.keys() == parts.keys()  # In slices too, each of which is drawn anew for what is not given.
    assert told == set(objective.statistics) and len(objective.statistics) == len(told)
