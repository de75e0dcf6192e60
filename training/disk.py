"""What a run will write, in bytes."""
import math
from typing import NamedTuple

from pictures.pictures import grid_pixels
from wording import counted


class Part(NamedTuple):
    """So many files of a kind, and what each takes."""
    what: str
    count: int
    size: int


def run_folder(state, schedule, start_nimg, total_nimg, options):
    """The large files of a run -> [Part]; pictures count as their pixels. `options`: the config's section train."""
    ticks = sum(math.ceil((end - max(start, start_nimg)) / phase.tick_nimg)
                for start, end, phase in schedule.phases(total_nimg) if end > start_nimg)
    numbers = {name: sum(math.prod(variable.shape) for variable in network.named_variables().values())
               for name, network in state.networks.items()}
    snapshots = ticks // options.network_snapshot_ticks
    if options.keep_snapshots:
        snapshots = min(snapshots, options.keep_snapshots)
    networks = 4 * sum(numbers.values())
    return [Part('network snapshot', snapshots + 1, networks),
            Part('checkpoint', 2, networks + 2 * 4 * (numbers['G'] + numbers['D'])),  # Adam's two moments.
            Part('pictures, once as PNG and once for TensorBoard', 2 * (ticks // options.image_snapshot_ticks + 2),
                 grid_pixels(options.grid, state.G.resolution) * state.G.num_channels)]


def describe(parts):
    """One sentence."""
    listed = ', '.join(f'{counted(part.count, part.what)} of {_mb(part.size)}' for part in parts[:-1])
    return (f'The run folder will take about {_mb(sum(part.count * part.size for part in parts[:-1]))} ({listed}), and at '
            f'most {_mb(parts[-1].count * parts[-1].size)} for {parts[-1].count} {parts[-1].what}.')


def _mb(size):
    return f'{size / 1e9:.1f} GB' if size >= 1e9 else f'{max(size / 1e6, 0.1):.1f} MB'
