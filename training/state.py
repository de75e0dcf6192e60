"""Building the state of training from values, and keeping it on disk: what a run needs to go on bit for bit."""
import json
import os
from dataclasses import dataclass

import tensorflow as tf

from networks.progan import Discriminator, Generator
from networks.snapshot import assign, build_arguments, copy_variables
from training.optimizer import Adam


@dataclass(frozen=True)
class TrainState:
    """Networks and optimizers; create it inside the strategy's scope."""
    G: Generator
    D: Discriminator
    Gs: Generator  # Moving average of G.
    G_optimizer: Adam
    D_optimizer: Adam


def make_state(dataset, network, optimizer, precision, dtype, seed):
    """A fresh TrainState for a data set's images and labels; `network`, `optimizer`: sections of the config as dicts."""
    shape = {'resolution': dataset.resolution, 'num_channels': dataset.num_channels, 'label_size': dataset.label_size}
    only_G = {key: network[key] for key in ('latent_size', 'normalize_latents', 'use_pixelnorm', 'use_leakyrelu')}
    common = {key: value for key, value in network.items() if key not in only_G and key != 'mbstd_group_size'}
    only_G['pixelnorm_epsilon'] = 1e-4 if precision == 'fp16' else 1e-8  # 1e-8 is zero in float16.

    G = Generator(**shape, **common, **only_G, seed=seed, dtype=dtype)
    Gs = Generator(**shape, **common, **only_G, seed=seed, dtype=dtype)
    D = Discriminator(**shape, **common, mbstd_group_size=network['mbstd_group_size'], seed=seed + 500, dtype=dtype)
    copy_variables(G, Gs)
    scale = optimizer['initial_loss_scale'] if precision == 'fp16' else None
    adam = [Adam(list(net.variables_at(0).values()), optimizer['beta1'], optimizer['beta2'], optimizer['epsilon'], scale)
            for net in (G, D)]
    return TrainState(G, D, Gs, *adam)


def start_from(state, snapshot, source):
    """Takes over the networks of a snapshot; ValueError where they are built in another way than the run's."""
    for name in ('G', 'D', 'Gs'):
        network, given = getattr(state, name), getattr(snapshot, name)
        ours, theirs = build_arguments(network), build_arguments(given)
        for key in ours:
            if ours[key] != theirs[key] and key != 'pixelnorm_epsilon':  # That follows the run's precision.
                raise ValueError(f'{source} holds networks of {key} {theirs[key]}, but this run builds them with '
                                 f'{ours[key]}; use a data set and labels that match, or set network.*.')
        assign(network, {key: variable.numpy() for key, variable in given.named_variables().items()}, source)


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
    """The last two checkpoints of a run; `save` leaves the previous one in place until the new one is whole."""

    def __init__(self, run_dir, state, position):
        networks = {'G': state.G, 'D': state.D, 'Gs': state.Gs}
        # By the reference's names: how the networks hold their layers may change.
        variables = {name: {key: variable.value for key, variable in network.named_variables().items()}
                     for name, network in networks.items()}
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
