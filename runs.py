"""Run folders: results/000-description, numbered upward.

A run folder holds config.json, log.txt, stats.jsonl, reals.png, fakes*.png, network-snapshot-*.h5, network-final.h5,
TensorBoard's event files, `checkpoints/`, `lock`, which names the process that trains, and `finished` once training is done.
"""
import os
import re
import shlex

import files
from wording import command

_RUN = re.compile(r'(\d{3,})-.*')
_CHECKPOINT = re.compile(r'ckpt-(\d+)\.(index|data-.*)')
_STRAY_CHECKPOINT = re.compile(r'ckpt-\d+_temp|checkpoint\.tmp.*')  # What TensorFlow leaves when it is killed.
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
    files.write_text(os.path.join(run_dir, 'config.json'), text)


def locked(run_dir):
    """Context in which no other process trains the run; BlockingIOError when one does."""
    return files.locked(run_dir, 'trained', f'watch it with tail -f {shlex.quote(os.path.join(run_dir, "log.txt"))} or '
                        f'tensorboard --logdir={shlex.quote(run_dir)}, or stop that process first')


def sweep(run_dir):
    """Removes what killed processes left half written."""
    folder = checkpoint_dir(run_dir)
    files.sweep(run_dir)
    if os.path.isdir(folder):
        files.sweep(folder)
        for name in filter(_STRAY_CHECKPOINT.fullmatch, os.listdir(folder)):
            files.remove(os.path.join(folder, name))


def resume_command(run_dir):
    """What to type to continue a run, from the folder that this process was started in."""
    results_dir, name = os.path.split(os.path.normpath(run_dir))
    return f'{command("train")} --results_dir={shlex.quote(results_dir or ".")} --resume={shlex.quote(name)}'


def checkpoint_dir(run_dir):
    """The folder of the checkpoints."""
    return os.path.join(run_dir, 'checkpoints')


def checkpoints(run_dir):
    """{number: {path}} of the files of each checkpoint, the newest first; one without its index was never complete."""
    folder, found = checkpoint_dir(run_dir), {}
    for match in map(_CHECKPOINT.fullmatch, os.listdir(folder) if os.path.isdir(folder) else ()):
        if match:
            found.setdefault(int(match[1]), set()).add(os.path.join(folder, match[0]))
    return dict(sorted(found.items(), reverse=True))


def has_checkpoint(run_dir):
    """Whether there is a checkpoint to resume from."""
    return any(path.endswith('.index') for paths in checkpoints(run_dir).values() for path in paths)


def has_trained(run_dir):
    """Whether a run has anything to lose."""
    statistics = os.path.join(run_dir, 'stats.jsonl')
    return os.path.exists(statistics) and os.path.getsize(statistics) > 0 or bool(snapshots(run_dir))


def locate(results_dir, run):
    """Finds a run by path, by number ('7', '007'), by folder name, or the 'latest' -> path of the run folder."""
    if os.path.isdir(run) and os.path.isfile(os.path.join(run, 'config.json')):
        return run
    known = _runs(results_dir)
    found = [name for number, name in known
             if run in (name, 'latest') or (run.isdigit() and int(run) == number)]
    if not found and os.path.exists(run):
        raise FileNotFoundError(f'{run} is no run folder, which has a config.json; give a folder of {results_dir}, a '
                                f'number, a name, or latest.')
    if not found:
        there = f'it holds {" to ".join(dict.fromkeys([known[0][1], known[-1][1]]))}' if known else 'it holds no runs yet'
        raise FileNotFoundError(f'There is no run {run!r} in {results_dir} ({there}); give a number, a name, or latest.')
    return os.path.join(results_dir, found[-1])


def newest(results_dir):
    """The path of the newest run in a folder of runs, or None."""
    found = (os.path.join(results_dir, name) for _, name in reversed(_runs(results_dir)))
    return next((path for path in found if os.path.isfile(os.path.join(path, 'config.json'))), None)


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


def drop_snapshots(run_dir, keep):
    """Removes all but the `keep` newest snapshots; the final one is not counted."""
    for _, path in [found for found in snapshots(run_dir) if found[0] is not None][:-keep]:
        os.remove(path)


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
