"""The training schedule: a pure function of nimg, the number of real images shown so far."""
import math
from dataclasses import dataclass
from typing import NamedTuple


class Phase(NamedTuple):
    """What training does at one moment."""
    lod: float              # Level of detail: 0 is full resolution; its fraction fades toward the next lower one.
    level: int              # floor(lod).
    resolution: int         # Resolution of the images, full resolution >> level.
    minibatch: int          # Real images per D step, over all devices.
    G_learning_rate: float
    D_learning_rate: float
    tick_nimg: int          # Real images per tick.
    Gs_decay: float         # Of the moving average of G, per update.
    slices: int = 1         # A device's share of the minibatch is taken in so many parts, one after the other.

    @property
    def fading(self):
        """Whether the next lower resolution takes part."""
        return self.lod != self.level


@dataclass(frozen=True)
class Schedule:
    """`Schedule(...).at(nimg) -> Phase`. Fields as in config.ScheduleConfig; `num_devices` counts all workers' devices."""
    resolution: int
    num_devices: int
    lod_initial_resolution: int | None
    lod_training_kimg: float
    lod_transition_kimg: float
    minibatch_base: int
    minibatch_dict: dict
    max_minibatch_per_gpu: dict
    G_learning_rate: float
    G_learning_rate_dict: dict
    D_learning_rate: float
    D_learning_rate_dict: dict
    rampup_kimg: float
    Gs_half_life_kimg: float | None
    minibatch_per_device: dict
    minibatch_per_device_base: int | None
    tick_kimg: float
    tick_kimg_dict: dict
    Gs_decay: float  # As in config.TrainConfig, where Gs_half_life_kimg is None.

    def __post_init__(self):
        if self.lod_initial_resolution is not None and self.lod_initial_resolution > self.resolution:
            raise ValueError(f'schedule.lod_initial_resolution is {self.lod_initial_resolution}, but the images have '
                             f'{self.resolution} pixels; start at {self.resolution} or below.')

    def lod_at(self, nimg):
        """The level of detail when nimg real images have been shown."""
        kimg = nimg / 1000.0
        length = self.lod_training_kimg + self.lod_transition_kimg
        index = math.floor(kimg / length) if length > 0 else 0
        rest = kimg - index * length
        lod = math.log2(self.resolution) - math.floor(math.log2(self.lod_initial_resolution or self.resolution)) - index
        if self.lod_transition_kimg > 0:
            lod -= max(rest - self.lod_training_kimg, 0.0) / self.lod_transition_kimg
        return max(lod, 0.0)

    def nimg_at(self, lod):
        """The first nimg at which the schedule reaches a level of detail."""
        index, part = divmod(max(self.lod_at(0) - lod, 0.0), 1)
        length = self.lod_training_kimg + self.lod_transition_kimg
        kimg = index * length + (self.lod_training_kimg + part * self.lod_transition_kimg if part else 0)
        return math.ceil(round(kimg * 1000, 3))  # Whatever the last bits of a sum of decimals are.

    def at(self, nimg):
        """-> Phase. ValueError when the devices are more than the minibatch has images, or do not divide it."""
        lod = self.lod_at(nimg)
        level = math.floor(lod)
        resolution = self.resolution >> level
        wanted = self.minibatch_dict.get(resolution, self.minibatch_base)
        minibatch = wanted - wanted % self.num_devices
        if resolution in self.max_minibatch_per_gpu:
            minibatch = min(minibatch, self.max_minibatch_per_gpu[resolution] * self.num_devices)
        if minibatch == 0:
            raise ValueError(f'The minibatch at {resolution}x{resolution} is {wanted}, too small for {self.num_devices} '
                             f'devices; raise schedule.minibatch_base or schedule.minibatch_dict, or use fewer devices.')
        share, strict = minibatch // self.num_devices, self.minibatch_per_device_base
        most = self.minibatch_per_device.get(resolution, strict or share)
        if strict and (wanted % self.num_devices or share > most and share % most):
            raise ValueError(f'The minibatch at {resolution}x{resolution} is {wanted}, no multiple of {self.num_devices} '
                             f'device(s) times {most} images at a time; change schedule.minibatch_base, schedule.'
                             f'minibatch_dict, schedule.minibatch_per_device_base or the number of devices.')
        slices = next(count for count in range(1, share + 1) if share % count == 0 and share // count <= most)
        rampup = min(nimg / 1000 / self.rampup_kimg, 1) if self.rampup_kimg else 1
        return Phase(
            lod, level, resolution, minibatch,
            self.G_learning_rate_dict.get(resolution, self.G_learning_rate) * rampup,
            self.D_learning_rate_dict.get(resolution, self.D_learning_rate) * rampup,
            round(self.tick_kimg_dict.get(resolution, self.tick_kimg) * 1000),
            0.5 ** (minibatch / 1000 / self.Gs_half_life_kimg) if self.Gs_half_life_kimg else self.Gs_decay, slices)

    def phases(self, total_nimg):
        """[(first nimg, end nimg, Phase in the middle)]: the stretches of training and of fading, for display."""
        length = self.lod_training_kimg + self.lod_transition_kimg
        count = int(math.log2(self.resolution)) if length > 0 else 1
        starts = {math.ceil((i * length + part) * 1000) for i in range(count) for part in (0, self.lod_training_kimg)}
        starts = sorted(start for start in starts if start < total_nimg)
        # Once lod is 0 nothing changes any more.
        starts = [start for i, start in enumerate(starts) if i == 0 or self.lod_at(starts[i - 1]) > 0]
        ends = [*starts[1:], math.ceil(total_nimg)]
        return [(start, end, self.at((start + end) / 2)) for start, end in zip(starts, ends, strict=True)]
