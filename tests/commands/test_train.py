"""train.py as users run it: whole runs in processes of their own."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import h5py
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from places import ROOT, TESTS
from ports import free_ports

from networks.snapshot import load_snapshot

SMALL = ['--config=v2-1gpu,cond', '--set=data.name=blobs', '--set=network.fmap_base=64', '--set=network.fmap_max=8',
         '--set=schedule.minibatch_dict={}', '--set=schedule.minibatch_base=8', '--set=schedule.lod_training_kimg=0.5',
         '--set=schedule.lod_transition_kimg=0.5', '--set=schedule.tick_kimg=0.25', '--set=schedule.tick_kimg_dict={}',
         '--set=train.total_kimg=2', '--set=data.resolution=8', '--set=train.network_snapshot_ticks=4',
         '--set=train.deterministic=true']


def weights(path):
    """{name: bytes} of every variable of a snapshot."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()})
                        if isinstance(item, h5py.Dataset) else None)
    return found


def statistics(run):
    """What stats.jsonl says that no clock has told."""
    return [{key: value for key, value in json.loads(line).items() if 'sec' not in key and not key.endswith('_mib')}
            for line in (run / 'stats.jsonl').read_text().splitlines()]


def strays(run):
    """Names of what only a killed process leaves."""
    return [str(path) for path in run.rglob('*') if path.name.startswith('.') or '_temp' in path.name or '.tmp' in path.name]


@pytest.fixture(scope='module')
def command(data_dir):

    def start(results_dir, *arguments, **environment):
        return subprocess.Popen(
            [sys.executable, 'train.py', f'--data_dir={data_dir}', f'--results_dir={results_dir}', *arguments], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1', **environment})
    return start


def finish(process, status=0):
    output, _ = process.communicate(timeout=600)
    assert process.returncode == status, output
    return output


@pytest.fixture(scope='module')
def reference_run(command, tmp_path_factory):
    """An uninterrupted run -> its folder."""
    results = tmp_path_factory.mktemp('uninterrupted')
    finish(command(results, *SMALL, '--set=train.graph=true', '--set=train.histograms=true'))
    return results / '000-blobs-v2-1gpu-cond'


def test_a_run_leaves_config_log_statistics_pictures_events_snapshots_and_its_mark(reference_run):
    names = {path.name for path in reference_run.iterdir()}
    assert {'config.json', 'log.txt', 'stats.jsonl', 'reals.png', 'fakes000000.png', 'fakes000002.png',
            'network-snapshot-000001.h5', 'network-final.h5', 'checkpoints', 'finished'} <= names
    with PIL.Image.open(reference_run / 'fakes000002.png') as picture:
        assert picture.size == (32 * 8, 32 * 8)
    records = [json.loads(line) for line in (reference_run / 'stats.jsonl').read_text().splitlines()]
    assert [record['tick'] for record in records] == list(range(8))
    assert all(np.isfinite(value) for record in records for value in record.values())
    assert {'real_scores', 'fake_scores', 'mixed_scores', 'mixed_norms', 'epsilon_penalty', 'label_penalty_reals',
            'label_penalty_fakes', 'images_per_sec', 'peak_memory_mib', 'D_skipped'} <= records[0].keys()
    assert (reference_run / 'log.txt').read_text().count('\ntick ') == 8


def test_tensorboard_gets_scalars_pictures_histograms_and_the_graph(reference_run):
    events, = reference_run.glob('events.out.tfevents.*')
    tags = {value.tag for record in tf.data.TFRecordDataset(str(events)).as_numpy_iterator()
            for value in tf.compat.v1.Event.FromString(record).summary.value}
    graph = 'training'
    assert {'Loss/real_scores', 'Progress/images_per_sec', 'fakes', graph, 'Gs/8x8/Conv1/weight'} <= tags


def test_snapshots_hold_where_training_was(reference_run):
    final, early = (load_snapshot(reference_run / name) for name in ('network-final.h5', 'network-snapshot-000000.h5'))
    assert final.nimg == 2016 and final.Gs.lod.numpy() == 0
    assert early.nimg == 256 and early.Gs.lod.numpy() == 1


def test_a_run_that_is_killed_and_resumed_ends_with_the_same_bytes_and_files(data_dir, tmp_path, cases):
    script = TESTS / 'helpers' / 'kill_training.py'
    kills = str(max(cases // 60, 1))
    done = subprocess.run([sys.executable, script, data_dir, tmp_path, kills], capture_output=True, text=True)
    assert done.returncode == 0 and '"bit_equal": true, "strays": 0' in done.stdout, done.stderr


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint_and_stops_cleanly(command, tmp_path, number, reference_run):
    process = command(tmp_path, *SMALL)
    run = tmp_path / '000-blobs-v2-1gpu-cond'
    while not (run / 'stats.jsonl').exists():
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    output = finish(process)
    hint = f'to go on: python train.py --results_dir={tmp_path} --resume=000-blobs-v2-1gpu-cond'
    assert hint in output and not (run / 'finished').exists()
    assert 'Resuming' in finish(command(tmp_path, '--resume=0'))
    assert weights(run / 'network-final.h5') == weights(reference_run / 'network-final.h5')
    assert statistics(run) == statistics(reference_run)  # Of the tick that was cut too.


def test_a_run_that_trains_is_not_trained_by_another_process(command, tmp_path):
    run = tmp_path / '000-blobs-v2-1gpu-cond'
    with command(tmp_path, *SMALL, '--set=train.total_kimg=1000') as process:
        while not (run / 'stats.jsonl').exists():
            time.sleep(0.02)
        files = {path: path.stat().st_mtime for path in run.glob('*.json*')}
        output = finish(command(tmp_path, '--resume=0'), status=1)
        process.kill()
    sentence = next(line for line in output.splitlines() if line.startswith('train.py: '))
    assert f'{run} is being trained by process {process.pid} on ' in sentence and 'tensorboard --logdir=' in sentence
    assert 'Traceback' not in output and files[run / 'config.json'] == (run / 'config.json').stat().st_mtime


def test_resuming_sweeps_what_killed_processes_left_and_says_which_checkpoint_it_took(command, tmp_path, reference_run):
    run = tmp_path / '000-blobs-v2-1gpu-cond'
    shutil.copytree(reference_run, run)
    for name in ('.4194305.network-final.h5', 'checkpoints/checkpoint.tmp0a1b', 'checkpoints/.4194305.ckpt-new/ckpt-9.index',
                 'checkpoints/ckpt-9_temp/part-00000-of-00001.index'):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(b'half')
    (run / 'checkpoints' / 'checkpoint').write_bytes(b'')
    (run / 'checkpoints' / 'ckpt-9.index').write_bytes(b'damaged')
    output = finish(command(tmp_path, '--resume=0', '--set=train.total_kimg=2.2'))
    assert 'ckpt-9 is damaged' in output and '1.792 of 2.2 kimg' in output and strays(run) == []
    assert 'ckpt-9 is damaged' in (run / 'log.txt').read_text()
    assert statistics(run)[:7] == statistics(reference_run)[:7]
    assert {path.stem for path in (run / 'checkpoints').glob('*.index')} == {'ckpt-9', 'ckpt-10'}


def test_a_run_whose_checkpoints_are_all_damaged_is_refused_and_keeps_its_statistics(command, tmp_path, reference_run):
    run = tmp_path / '000-blobs-v2-1gpu-cond'
    shutil.copytree(reference_run, run)
    for path in (run / 'checkpoints').glob('*.data*'):
        path.write_bytes(path.read_bytes()[:1000])
    output = finish(command(tmp_path, '--resume=0', '--set=train.total_kimg=3'), status=1)
    assert 'none before it is intact; put back a copy of' in output and 'Traceback' not in output
    assert (run / 'stats.jsonl').read_bytes() == (reference_run / 'stats.jsonl').read_bytes()


def two_free_ports_in_a_row():
    """Of those that --cluster=slurm takes."""
    while True:
        first, = free_ports(1)
        for port in range(12000 + first % 20000, 31999):
            with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as two:
                one.bind(('localhost', port))
                two.bind(('localhost', port + 1))
                return port


def test_two_tasks_of_slurm_train_one_run_and_only_the_chief_writes(command, tmp_path):
    job = {'SLURM_JOB_ID': str(two_free_ports_in_a_row() - 12000), 'SLURM_STEP_NODELIST': 'localhost',
           'SLURM_STEP_TASKS_PER_NODE': '2', 'SLURMD_NODENAME': 'localhost'}
    workers = [command(tmp_path, *SMALL, '--cluster=slurm', '--set=train.total_kimg=0.6', **job, SLURM_PROCID=str(index),
                       SLURM_LOCALID=str(index)) for index in range(2)]
    outputs = [finish(worker) for worker in workers]
    assert '2 devices, 2 workers' in outputs[0] and 'tick 0' in outputs[0] and 'tick' not in outputs[1]
    assert not any(word in output for output in outputs for word in ('eagerly', 'crash', 'Error'))
    run, = tmp_path.iterdir()
    assert (run / 'finished').exists() and len(list(run.glob('events*'))) == 1


def test_a_worker_that_is_killed_is_named_by_the_other_which_ends(command, tmp_path):
    cluster = {'worker': [f'localhost:{port}' for port in free_ports(2)]}
    workers = [command(tmp_path, *SMALL, '--set=train.total_kimg=1000', TF_CONFIG=json.dumps(
        {'cluster': cluster, 'task': {'type': 'worker', 'index': index}})) for index in range(2)]
    while not (tmp_path / '000-blobs-v2-1gpu-cond' / 'stats.jsonl').exists():
        time.sleep(0.02)
    workers[1].kill()
    output = finish(workers[0], status=1)
    sentence = next(line for line in output.splitlines() if line.startswith('train.py: '))
    assert f'worker 1 ({cluster["worker"][1]}) is gone' in sentence and sentence.endswith('from the last checkpoint.')
    assert 'Traceback' not in output
    workers[1].communicate()


def test_a_signal_to_one_worker_stops_all_with_a_checkpoint(command, tmp_path):
    cluster = {'worker': [f'localhost:{port}' for port in free_ports(2)]}
    workers = [command(tmp_path, *SMALL, '--set=train.total_kimg=100', TF_CONFIG=json.dumps(
        {'cluster': cluster, 'task': {'type': 'worker', 'index': index}})) for index in range(2)]
    run = tmp_path / '000-blobs-v2-1gpu-cond'
    while not (run / 'stats.jsonl').exists():
        time.sleep(0.02)
    workers[1].terminate()
    outputs = [finish(worker) for worker in workers]
    assert '--resume=000' in outputs[0] and (run / 'checkpoints' / 'checkpoint').exists()


def test_a_new_run_starts_from_given_networks(command, tmp_path, reference_run):
    snapshot = reference_run / 'network-final.h5'
    finish(command(tmp_path, *SMALL, '--config=v2-1gpu,cond,nogrowing', f'--init_from={snapshot}', '--start_kimg=0',
                   '--set=train.total_kimg=0.03', '--set=schedule.G_learning_rate=1e-30',
                   '--set=schedule.D_learning_rate=1e-30', '--set=schedule.G_learning_rate_dict={}'))
    run, = tmp_path.iterdir()
    for name, weight in weights(snapshot).items():
        if not name.endswith('lod'):
            np.testing.assert_allclose(np.frombuffer(weights(run / 'network-final.h5')[name], np.float32),
                                       np.frombuffer(weight, np.float32), atol=1e-2 if name.startswith('Gs') else 0)


@pytest.mark.parametrize('arguments, sentence', [
    (['--config=celebahqq'], "unknown name 'celebahqq' in --config; did you mean 'celebahq'?"),
    (['--set=data.name=mnist'], 'create_mnist'),
    (['--set=train.totl_kimg=1'], "did you mean 'train.total_kimg'?"),
    (['--devices=3'], '3 devices were asked for, but TensorFlow sees 1 CPU'),
    (['--set=schedule.minibatch_base=6'], 'each device gets 6 images'),
    (['--resume=17'], "There is no run '17' in"),
    (['--init_from=nothing.h5'], 'nothing.h5'),
    (['--config=v2-1gpu', '--set=schedule.lod_initial_resolution=64'], 'the images have 8'),
    (['celebahq'], 'did you mean --config=celebahq?'),
    (['--cluster=slurm'], 'start it with: srun python train.py --cluster=slurm.'),
    (['--dry_run', '--set=data.name=mine'], 'create_from_images'),
])
def test_bad_input_is_one_sentence_and_exit_status_1(command, tmp_path, arguments, sentence):
    output = finish(command(tmp_path, *SMALL, *arguments), status=1)
    lines = [line for line in output.splitlines() if line.startswith('train.py: ')]
    assert len(lines) == 1 and sentence in lines[0], output
    assert 'Traceback' not in output and not list(tmp_path.iterdir())


def test_a_snapshot_of_another_architecture_is_refused(command, tmp_path, reference_run):
    output = finish(command(tmp_path, *SMALL, '--set=network.fmap_max=4',
                            f'--init_from={reference_run / "network-final.h5"}'), status=1)
    assert 'holds networks of fmap_max 8, but this run builds them with 4' in output and not list(tmp_path.iterdir())


def test_a_finished_run_is_resumed_only_with_a_higher_total(command, tmp_path, reference_run):
    results = reference_run.parent
    assert 'finished at 2 kimg; to go on, raise the total' in finish(command(results, '--resume=latest'), status=1)
    assert 'only train.* can' in finish(command(results, '--resume=latest', '--set=network.fmap_max=4'), status=1)


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_a_dry_run_prints_config_schedule_and_networks_and_leaves_nothing(command, tmp_path, precision):
    output = finish(command(tmp_path, *SMALL, f'--config=v2-1gpu,cond,{precision}', '--dry_run'))
    assert f'"precision": "{precision}"' in output and 'label size 4' in output
    assert '1.00 -> 0.00' in output  # The stretch in which 8x8 fades in.
    conv = next(line.split() for line in output.splitlines() if line.startswith('8x8/Conv0_up'))
    assert conv[1:] == ['584', '[8,', '8,', '8]', '[3,', '3,', '8,', '8]']
    assert not list(tmp_path.iterdir())


def test_a_dry_run_without_data_and_gpus_says_what_it_assumes(command, tmp_path):
    output = finish(command(tmp_path, f'--data_dir={tmp_path}', '--config=cifar10,v2-8gpus,fp16,cond', '--dry_run',
                            '--set=network.fmap_max=4'))
    first, second, *_ = output.splitlines()
    assert first.startswith('50000 images of 32x32 are assumed; data set') and 'create_cifar10' in first
    assert second == '8 GPUs are assumed; this machine has 0.'
    assert 'cifar10: 50000 images of 3x32x32, label size 10' in output
    assert [line.split()[-3] for line in output.splitlines() if 'lod' not in line and line.endswith('0.001     0.001')][
        :2] == ['512', '256'], output
    assert not list(tmp_path.iterdir())


def test_list_names_every_preset_without_training(command, tmp_path):
    output = finish(command(tmp_path, '--list'))
    assert 'v2-8gpus' in output and 'lsun-bedroom-100k' in output and not list(tmp_path.iterdir())


def test_training_that_has_broken_down_stops_with_an_explanation(command, tmp_path):
    output = finish(command(tmp_path, *SMALL, '--set=schedule.D_learning_rate=1e9', '--set=train.max_skipped_steps=20'), 1)
    sentence = next(line for line in output.splitlines() if line.startswith('train.py: '))
    assert 'updates of' in sentence and 'not finite' in sentence and '--init_from' in sentence
    assert 'Traceback' not in output


def test_a_record_damaged_in_its_header_is_named_when_training_reaches_it(command, data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / 'data')
    path = tmp_path / 'data' / 'blobs' / 'blobs-r02.tfrecords'
    records = bytearray(path.read_bytes())
    records[17 * len(records) // 64 + 3] ^= 1
    path.write_bytes(records)
    output = finish(command(tmp_path / 'results', *SMALL, f'--data_dir={tmp_path / "data"}'), 1)
    sentence = next(line for line in output.splitlines() if line.startswith('train.py: '))
    assert 'blobs-r02.tfrecords' in sentence and 'record 17' in sentence and 'Traceback' not in output


def test_a_damaged_record_stops_with_its_name_and_once_mended_the_run_goes_on_as_if_it_had_been_whole(
        command, data_dir, tmp_path, reference_run):
    shutil.copytree(data_dir / 'blobs', tmp_path / 'blobs')
    path = tmp_path / 'blobs' / 'blobs-r02.tfrecords'  # The picture of the reals needs another.
    whole = path.read_bytes()
    path.write_bytes(whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:])
    output = finish(command(tmp_path, *SMALL, f'--data_dir={tmp_path}'), 1)
    assert "blobs-r02.tfrecords' is damaged in record 63 (its checksum differs); see with dataset_tool.py verify" in output
    assert 'kimg; to go on: python train.py ' in output and 'Traceback' not in output
    path.write_bytes(whole)
    finish(command(tmp_path, '--resume=latest'))
    run = tmp_path / reference_run.name
    assert weights(run / 'network-final.h5') == weights(reference_run / 'network-final.h5')
    assert statistics(run) == statistics(reference_run)
