"""Run folders: results/000-description, numbered upward.

A run folder holds config.json, log.txt, stats.jsonl, reals.png, fakes*.png, network-snapshot-*.h5, network-final.h5,
TensorBoard's event files, `checkpoints/`, and `finished` once training is done.
"""
import os
import re

from files import replacing

_RUN = re.compile(r'(\d{3,})-.*')
_SNAPSHOT = re.compile(r'network-(?:snapshot-(\d{6})|final)\.h5')


def create(results_dir, description):
    """Makes the next run folder and returns its number."""
    os.makedirs(results_dir, exist_ok=True)
    number = max([n for n, _ in _runs(results_dir)], default=-1) + 1
    while True:
        try:
            os.mkdir(os.path.join(results_dir, f'{number:03d}-{description}'))
            return number
        except FileExistsError:  # Another run took the number.
            number += 1


def save_config(run_dir, text):
    """Writes config.json."""
    with replacing(os.path.join(run_dir, 'config.json')) as partial, open(partial, 'w') as file:
        file.write(text)


def has_checkpoint(run_dir):
    """Whether there is a checkpoint to resume from."""
    return os.path.exists(os.path.join(run_dir, 'checkpoints', 'checkpoint'))


def locate(results_dir, run):
    """Finds a run by path, by number ('7', '007'), by folder name, or the 'latest' -> path of the run folder."""
    if os.path.isdir(run) and os.path.isfile(os.path.join(run, 'config.json')):
        return run
    known = _runs(results_dir)
    found = [name for number, name in known
             if run in (name, 'latest') or (run.isdigit() and int(run) == number)]
    if not found:
        there = f'it holds {known[0][1]} to {known[-1][1]}' if known else 'it holds no runs yet'
        raise FileNotFoundError(f'There is no run {run!r} in {results_dir} ({there}); give a number, a name, or latest.')
    return os.path.join(results_dir, found[-1])


def snapshots(run_dir):
    """[(kimg, path)] of a run's network snapshots, oldest first; network-final.h5 has kimg None and comes last."""
    found = [(match[1], match[0]) for match in map(_SNAPSHOT.fullmatch, os.listdir(run_dir)) if match]
    found.sort(key=lambda item: (item[0] is None, item[0] or ''))
    return [(kimg and int(kimg), os.path.join(run_dir, name)) for kimg, name in found]


def snapshot_path(run_dir, nimg):
    """The path of the snapshot at nimg."""
    return os.path.join(run_dir, f'network-snapshot-{nimg // 1000:06d}.h5')


def final_path(run_dir):
    """The path of the snapshot at the end of training."""
    return os.path.join(run_dir, 'network-final.h5')


def mark_finished(run_dir):
    """Notes that training is done."""
    with open(os.path.join(run_dir, 'finished'), 'w'):
        pass


def is_finished(run_dir):
    """Whether training was done."""
    return os.path.exists(os.path.join(run_dir, 'finished'))


def _runs(results_dir):
    """[(number, folder name)] in order."""
    if not os.path.isdir(results_dir):
        return []
    matches = [match for match in map(_RUN.fullmatch, os.listdir(results_dir)) if match]
    return sorted((int(match[1]), match[0]) for match in matches)
