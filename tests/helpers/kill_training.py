"""Kills a tiny run with SIGKILL again and again, resumes it, and compares it with one that was never stopped.

    python tests/helpers/kill_training.py DATA_DIR FOLDER KILLS [SEED] [CONFIG]

CONFIG is v2-1gpu, stylegan-1gpu or stylegan2-f; the latter is killed in the middle of its cycle of lazy rounds, too.

DATA_DIR holds the data set `blobs`. Every other kill comes at a file operation chosen at random (of Python: opening,
renaming, removing, making folders), so also half-way through snapshots, pictures, statistics and the moves of a checkpoint;
the others at a random moment, so also while TensorFlow writes. Each life is a process of its own, forked from one that has
imported TensorFlow and run nothing of it.
"""
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import threading
import time

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ['CUDA_VISIBLE_DEVICES'] = '-1'

import train  # isort: skip (its settings come before TensorFlow)
import h5py

from training import loop  # noqa: F401 (only so that it is imported once, before the forks)

TICKS = 40
OF_STYLES = ['--set=network.latent_size=8', '--set=network.dlatent_size=8', '--set=network.mapping_fmaps=8',
             '--set=network.mapping_layers=2', '--set=schedule.minibatch_per_device_base=8', '--set=train.grid=1080p']
OF_CONFIG = {'v2-1gpu': [], 'stylegan-1gpu': OF_STYLES,
             'stylegan2-f': [*OF_STYLES, '--set=loss.G_reg_interval=3', '--set=loss.D_reg_interval=8']}
OPTIONS = ['--set=data.name=blobs', '--set=network.fmap_base=64', '--set=network.fmap_max=8',
           '--set=schedule.minibatch_dict={}', '--set=schedule.minibatch_base=8',
           '--set=schedule.tick_kimg=0.03', '--set=schedule.tick_kimg_dict={}', f'--set=train.total_kimg={0.032 * TICKS}',
           '--set=data.resolution=8', '--set=train.network_snapshot_ticks=1', '--set=train.image_snapshot_ticks=2',
           '--set=train.deterministic=true']
EVENTS = {'open', 'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'shutil.rmtree', 'os.truncate', 'os.listdir'}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def live(arguments, run, operation=None, seconds=None):
    """One life of a run in a forked process, which kills itself at its file operation of this number, or so many seconds
    after its first. -> its exit status, negative for a signal; the operation it died at"""
    read, write = os.pipe()
    if pid := os.fork():
        os.close(write)
        with os.fdopen(read) as pipe:
            place = pipe.read()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), place
    seen = 0

    def watch(event, details):
        nonlocal seen
        if event not in EVENTS or not details or not str(details[0]).startswith(str(run)):
            return
        seen += 1
        if seen == 1 and seconds is not None:
            threading.Timer(seconds, die).start()
        if seen == operation:
            os.write(write, f'{event} {kind_of(details[0])}'.encode())
            die()

    sys.addaudithook(watch)
    log = os.open(f'{run.parent}.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    status = 1
    try:
        train.FLAGS(['train.py', *arguments])
        train.main(['train.py'])
        status = 0
    finally:
        os._exit(status)


def kind_of(path):
    """What kind of file of a run a path is, without numbers."""
    return ''.join(c for c in os.path.basename(path) if not c.isdigit()) or 'run'


def state_of(run):
    """What has to be equal: the bytes of every variable of the last network, and all statistics that no clock has told."""
    weights, statistics = {}, []
    with h5py.File(run / 'network-final.h5') as file:
        file.visititems(lambda name, item: weights.update({name: item[()].tobytes()})
                        if isinstance(item, h5py.Dataset) else None)
    for line in (run / 'stats.jsonl').read_text().splitlines():
        statistics.append({key: value for key, value in json.loads(line).items() if 'sec' not in key and 'mib' not in key})
    return weights, statistics


def strays(run):
    """Names of what only a killed process leaves."""
    return [path.name for path in run.rglob('*') if path.name.startswith('.') or '_temp' in path.name or '.tmp' in path.name]


def main(data_dir, folder, kills, seed=1, config='v2-1gpu'):
    draw, folder, kills = random.Random(int(seed)), pathlib.Path(folder), int(kills)
    options = [f'--config={config},cond,nogrowing', *OPTIONS, *OF_CONFIG[config]]

    def run_of(name):
        return folder / name / f'000-blobs-{config}-cond-nogrowing'

    def arguments(name):
        places = [f'--results_dir={folder / name}', f'--data_dir={data_dir}']
        if (run_of(name) / 'config.json').exists():
            return [*places, '--resume=latest']
        shutil.rmtree(folder / name, ignore_errors=True)  # A second run would have another number.
        return [*places, *options]

    def finish(name):
        status, _ = live(arguments(name), run_of(name))
        assert status == 0, (folder / f'{name}.log').read_text()[-3000:]

    finish('reference')
    expected, names, places = state_of(run_of('reference')), files_of(run_of('reference')), collections.Counter()
    done, chains = 0, 0
    while done < kills:
        status = None
        while done < kills and status != 0:
            at = {'operation': draw.randint(1, 300)} if done % 2 else {'seconds': draw.uniform(0, 3)}
            status, place = live(arguments('killed'), run_of('killed'), **at)
            assert status in (0, -signal.SIGKILL), (folder / 'killed.log').read_text()[-3000:]
            if status:
                done += 1
                places[place or 'any moment'] += 1
        if status:
            finish('killed')
        chains += 1
        assert state_of(run_of('killed')) == expected, f'chain {chains} ended with other bytes'
        assert not strays(run_of('killed')) and files_of(run_of('killed')) == names, 'files were left'
        shutil.rmtree(folder / 'killed')
        print(f'{done} kills, {chains} runs ended with the same bytes', flush=True)
    print(json.dumps({'kills': done, 'runs': chains, 'bit_equal': True, 'strays': 0, 'at': dict(places.most_common())}))


def files_of(run):
    """The names of a run's files, but for TensorBoard's, one per life, and the numbers of checkpoints."""
    return {kind_of(path) if 'ckpt' in path.name else path.name for path in run.rglob('*') if 'tfevents' not in path.name}


if __name__ == '__main__':
    started = time.time()
    main(*sys.argv[1:])
    print(f'{time.time() - started:.0f} s')
