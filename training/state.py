"""Building the state of training from values, and keeping it on disk: what a run needs to go on bit for bit."""
import json
import os
from dataclasses import dataclass

import tensorflow as tf

from networks.architectures import ARCHITECTURES, copy_of
from networks.network import DiscriminatorNetwork, GeneratorNetwork
from networks.snapshot import NAMES, assign
from training.optimizer import Adam


@dataclass(frozen=True)
class TrainState:
    """Networks and optimizers; create it inside the strategy's scope."""
    G: GeneratorNetwork
    D: DiscriminatorNetwork
    Gs: GeneratorNetwork  # Moving average of G.
    G_optimizer: Adam
    D_optimizer: Adam

    @property
    def networks(self):
        """{'G', 'D', 'Gs': network}."""
        return {name: getattr(self, name) for name in NAMES}

    def optimizer(self, name):
        """The optimizer of 'G' or 'D'."""
        return {'G': self.G_optimizer, 'D': self.D_optimizer}[name]


def make_state(dataset, settings, dtype, seed, beta1, beta2, epsilon, initial_loss_scale):
    """A fresh TrainState for a data set's images and labels.

    `settings`: the config's section of the networks; `dtype`: their Keras policy, with float16 of which gradients start at
    `initial_loss_scale`; the rest as for Adam.
    """
    shape = {'resolution': dataset.resolution, 'num_channels': dataset.num_channels, 'label_size': dataset.label_size}

    def make(role, network_class, seed):
        own = {name: getattr(settings, name) for name in settings.names_of(role)}
        return network_class(**shape, **own, seed=seed, dtype=dtype)

    G_class, D_class = ARCHITECTURES[settings.kind]
    G, D = make('G', G_class, seed), make('D', D_class, seed + 500)
    scale = initial_loss_scale if G.compute_dtype == 'float16' else None
    adam = [Adam(list(net.variables_at(0).values()), beta1, beta2, epsilon, scale) for net in (G, D)]
    return TrainState(G, D, copy_of(G), *adam)


def start_from(state, snapshot, source):
    """Takes over the networks of a snapshot; ValueError where they are built in another way than the run's."""
    for name, network in state.networks.items():
        given = getattr(snapshot, name)
        ours, theirs = _comparable(network), _comparable(given)
        for key in ours:
            if ours[key] != theirs.get(key):
                raise ValueError(f'{source} holds networks of {key} {theirs.get(key)}, but this run builds them with '
                                 f'{ours[key]}; use a data set and labels that match, or set network.*.')
        assign(network, {key: variable.numpy() for key, variable in given.named_variables().items()}, source)


def _comparable(network):
    """What a network is built of, but for what follows a run's precision."""
    settings = network.settings.for_dtype('float16')
    return {'kind': network.kind} | network.build_arguments() | {
        name: getattr(settings, name) for name in settings.names_of(network.role)
        if getattr(settings, name) != getattr(network.settings, name)}


@dataclass(eq=False)  # Checkpoints need it hashable.
class Position(tf.train.experimental.PythonState):
    """Where a run is; saved with each checkpoint."""
    nimg: int = 0              # Real images shown to D.
    tick: int = 0              # Ticks completed.
    tick_start_nimg: int = 0   # nimg at the start of this tick.
    lod: float | None = None   # Of the last iteration; None before the first.
    seconds: float = 0.0       # Time spent in earlier processes and up to the checkpoint.

    def serialize(self):
        return json.dumps({key: getattr(self, key) for key in self.__dataclass_fields__})

    def deserialize(self, text):
        for key, value in json.loads(text).items():
            setattr(self, key, value)


class Checkpoints:
    """The last two checkpoints of a run; `save` leaves the previous one in place until the new one is whole.

    `kept`: {name: tf.Variable} that the objective keeps beside the networks.
    """

    def __init__(self, run_dir, state, kept, position):
        # By the reference's names: how the networks hold their layers may change.
        variables = {name: {key: variable.value for key, variable in network.named_variables().items()}
                     for name, network in state.networks.items()}
        if kept:
            variables['objective'] = dict(kept)
        self._checkpoint = tf.train.Checkpoint(**variables, G_optimizer=state.G_optimizer,
                                               D_optimizer=state.D_optimizer, position=position)
        self._manager = tf.train.CheckpointManager(self._checkpoint, os.path.join(run_dir, 'checkpoints'), max_to_keep=2)

    def restore(self):
        """Restores the latest checkpoint if there is one -> its path or None."""
        path = self._manager.latest_checkpoint
        if path:
            try:
                self._checkpoint.restore(path).assert_consumed()
            except (AssertionError, ValueError, tf.errors.OpError) as error:
                raise ValueError(f'The checkpoint {path} is damaged or belongs to another architecture '
                                 f'({str(error).splitlines()[0]}); remove it to resume from the one before, or start '
                                 f'from a snapshot with --init_from.') from error
        return path

    def save(self):
        """Writes a checkpoint; OSError when the disk is full."""
        try:
            return self._manager.save()
        except tf.errors.OpError as error:
            raise OSError(f'The checkpoint cannot be written ({error.message}); the one before is intact. Free disk '
                          f'space and continue with --resume.') from error
