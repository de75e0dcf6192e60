"""Building the state of training from values, and keeping it on disk: what a run needs to go on bit for bit."""
import json
import os
from dataclasses import dataclass

import tensorflow as tf

import files
import runs
from networks.architectures import ARCHITECTURES, copy_of
from networks.network import DiscriminatorNetwork, GeneratorNetwork
from networks.snapshot import NAMES
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


def make_state(dataset, settings, dtype, seed, beta1, beta2, epsilon, initial_loss_scale, lazy_intervals=()):
    """A fresh TrainState for a data set's images and labels.

    `settings`: the config's section of the networks; `dtype`: their Keras policy, with float16 of which gradients start at
    `initial_loss_scale`; `lazy_intervals` of 'G' and 'D', if any; the rest as for Adam.
    """
    shape = {'resolution': dataset.resolution, 'num_channels': dataset.num_channels, 'label_size': dataset.label_size}

    def make(role, network_class, seed):
        own = {name: getattr(settings, name) for name in settings.names_of(role)}
        network = network_class(**shape, **own, seed=seed, dtype=dtype)
        network.class_names = dataset.class_names and tuple(dataset.class_names)
        return network

    G_class, D_class = ARCHITECTURES[settings.kind]
    G, D = make('G', G_class, seed), make('D', D_class, seed + 500)
    scale = initial_loss_scale if G.compute_dtype == 'float16' else None
    lazy = dict(lazy_intervals)
    adam = [Adam(list(network.variables_at(0).values()), beta1, beta2, epsilon, scale, lazy.get(name))
            for name, network in (('G', G), ('D', D))]
    return TrainState(G, D, copy_of(G), *adam)


@dataclass(eq=False)  # Checkpoints need it hashable.
class Position(tf.train.experimental.PythonState):
    """Where a run is; saved with each checkpoint."""
    nimg: int = 0              # Real images shown to D.
    tick: int = 0              # Ticks completed.
    tick_start_nimg: int = 0   # nimg at the start of this tick.
    lod: float | None = None   # Of the last iteration; None before the first.
    seconds: float = 0.0       # Time spent in earlier processes and up to the checkpoint, but for a tick that was cut.
    tick_seconds: float = 0.0  # Of the steps of a tick that a signal has cut,
    sums: dict | None = None   # and their statistics.

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
        self._run_dir, self._folder, self._last = run_dir, runs.checkpoint_dir(run_dir), None

    def restore(self):
        """Restores the newest checkpoint that is intact -> (whether there is one, a sentence for each newer one).

        What is there counts, not TensorFlow's file `checkpoint`. ValueError when the run has trained but none is intact.
        """
        remarks = []
        for number, paths in runs.checkpoints(self._run_dir).items():
            path = self._path(number)
            problem = self._problem(path) if f'{path}.index' in paths else 'its index is missing'
            if not problem:
                self._last = number
                return True, [f'{remark}; resuming from {path}, which is intact.' for remark in remarks]
            remarks.append(f'The checkpoint {path} is damaged or belongs to another architecture ({problem})')
        if runs.has_checkpoint(self._run_dir) or runs.has_trained(self._run_dir):
            found = (f'{remarks[0]}, and none before it is intact' if remarks else
                     f'{self._folder} holds no checkpoint, though the run has trained')
            raise ValueError(f'{found}; put back a copy of {self._folder}, or start a new run with --init_from, from its '
                             f'latest snapshot.')
        return False, []

    def save(self):
        """Writes a checkpoint; OSError when the disk is full."""
        partial = files.partial_path(self._path('new'))  # A folder of its own, so that a checkpoint with an index is whole.
        try:
            written = self._checkpoint.save(os.path.join(partial, 'ckpt'))
            number = int(written.rpartition('-')[2])
            for name in sorted(os.listdir(partial), key=lambda name: name.endswith('.index')):  # The index comes last.
                if name != 'checkpoint':
                    files.replace(os.path.join(partial, name), os.path.join(self._folder, name))
            text = f'model_checkpoint_path: "ckpt-{number}"\n'  # For TensorFlow's own tools.
            files.write_text(os.path.join(self._folder, 'checkpoint'), text)
        except (OSError, tf.errors.OpError) as error:
            raise OSError(f'The checkpoint cannot be written ({_first_line(error)}); those before are intact. Free disk '
                          f'space, then: {runs.resume_command(self._run_dir)}') from error
        finally:
            if os.path.isdir(partial):
                files.remove(partial)
        for other, paths in runs.checkpoints(self._run_dir).items():
            if other not in (number, self._last):
                for path in paths:
                    os.remove(path)
        self._last = number

    def _path(self, number):
        return os.path.join(self._folder, f'ckpt-{number}')

    def _problem(self, path):
        """Restores a checkpoint -> why it cannot be, or None."""
        try:
            self._checkpoint.restore(path).assert_consumed()
        except Exception as error:  # Damage can raise anything.
            return _first_line(error)
        return None


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
