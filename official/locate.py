"""What a user names as a network -> the networks: a run, a snapshot .h5 or an official .pkl."""
import os

import runs
import runtime


def find_network(name, results_dir='results'):
    """The file that `name` means: itself, or the newest snapshot of a run (a folder, a number, a name or 'latest').

    FileNotFoundError when there is none.
    """
    if os.path.isfile(name):
        return name
    if '://' in name:
        raise FileNotFoundError(f'{name} is an address, and nothing is downloaded; get the file and give a snapshot .h5, '
                                'an official .pkl, or a run by folder, number, name or latest.')
    if name.endswith(('.h5', '.pkl')):
        raise FileNotFoundError(f'There is no file {name}; give a snapshot .h5, an official .pkl, or a run by folder, '
                                f'number or latest.')
    run_dir = runs.locate(results_dir, name)
    snapshots = runs.snapshots(run_dir)
    if not snapshots:
        raise FileNotFoundError(f'{run_dir} holds no network snapshot yet; the first one comes after '
                                f'train.network_snapshot_ticks ticks.')
    return snapshots[-1][1]


def suit_threads(name, results_dir='results'):
    """Lets the process's threads suit the networks in what `find_network` finds; before TensorFlow runs anything."""
    from networks.snapshot import feature_maps  # Late, as below: finding a file needs no TensorFlow.
    maps = feature_maps(find_network(name, results_dir))
    if maps:
        runtime.suit_threads_to(maps)


def load_network(name, results_dir='results', names=('G', 'D', 'Gs'), dtype=None):
    """Loads what `find_network` finds -> Snapshot; `names` and `dtype` as for load_snapshot."""
    from networks.snapshot import load_snapshot
    from official.load import load_official
    path = find_network(name, results_dir)
    load = load_official if path.endswith('.pkl') else load_snapshot
    return load(path, names, dtype)
