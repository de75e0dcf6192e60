"""What a run does beside its steps: it says how it goes, and makes pictures, snapshots, metrics and histograms."""
import os

import runs
from metrics.run_evaluation import during_training
from networks.snapshot import save_snapshot
from pictures.pictures import save_png
from training.grid import Grid
from training.report import Reporter


class Maintenance:
    """The chief's. `options`: the config's section train; `position` is read, never moved."""

    def __init__(self, run_dir, options, mirror, dataset, state, position, total_nimg):
        self._run_dir, self._options, self._state, self._position = run_dir, options, state, position
        self._report = Reporter(run_dir, position.nimg, total_nimg, options.graph)
        self._grid = Grid(state.Gs, dataset, options.grid, options.grid_layout, options.seed)
        save_png(self._grid.reals, os.path.join(run_dir, 'reals.png'))
        self._evaluation = during_training(run_dir, dataset, mirror, options)
        self.say = self._report.say

    def save_fakes(self, lod):
        """The picture of the grid as Gs makes it now."""
        picture = self._grid.fakes(lod)
        save_png(picture, os.path.join(self._run_dir, f'fakes{self._position.nimg // 1000:06d}.png'))
        self._report.picture('fakes', picture, self._position.nimg)

    def after_iteration(self, phase, num_graphs):
        """Progress; `num_graphs` were compiled so far."""
        self._report.progress(self._position, phase, num_graphs)
        if self._options.verbose:
            self.say(f'nimg {self._position.nimg} lod {phase.lod:.4f} minibatch {phase.minibatch}')

    def after_tick(self, phase, statistics, clock, done):
        """All that is due at the end of a tick, in the middle of a run or, when it is `done`, at its end."""
        def due(interval):
            return done or self._position.tick % interval == 0

        self._report.tick(self._position, phase, statistics, clock)
        if due(self._options.image_snapshot_ticks):
            self.save_fakes(phase.lod)
        if due(self._options.network_snapshot_ticks):
            self._save_networks(done)
        if self._options.histograms:
            self._report.histograms(self._state.networks, self._position.nimg)
        self._report.end_of_tick()

    def _save_networks(self, done):
        nimg = self._position.nimg
        path = runs.final_path(self._run_dir) if done else runs.snapshot_path(self._run_dir, nimg)
        save_snapshot(path, **self._state.networks, nimg=nimg)
        if self._options.keep_snapshots:
            runs.drop_snapshots(self._run_dir, self._options.keep_snapshots)
        found = self._evaluation.measure_network(os.path.basename(path), nimg, self._state.Gs)
        if found:
            self.say('metrics  ' + '  '.join(f'{name} {value:.4f}' for name, value in found.items()))

    def at_the_end(self):
        """Saves the last networks where they are missing: a process came so far and was killed, or they were removed."""
        if not os.path.exists(runs.final_path(self._run_dir)):
            self._save_networks(done=True)

    def close(self):
        """Closes the files."""
        self._report.close()


class NoMaintenance:
    """That of workers that are not the chief."""

    def say(self, line):
        """Nothing."""

    def save_fakes(self, lod):
        """Nothing."""

    def after_iteration(self, phase, num_graphs):
        """Nothing."""

    def after_tick(self, phase, statistics, clock, done):
        """Nothing."""

    def at_the_end(self):
        """Nothing."""

    def close(self):
        """Nothing."""
