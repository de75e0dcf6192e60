"""Where the disk is full every command that writes says so in one sentence and leaves nothing but what was whole before."""
import contextlib
import shutil

import numpy as np
import PIL.Image
import pytest
from places import TESTS
from reference_pickles import tiny
from serving_server import Model, grpc_server

from networks.snapshot import save_snapshot
from official.load import load_official
from serving.signatures import signatures, write_saved_model

TRAIN = ['--config=v2-1gpu,cond', '--set=network.fmap_base=64', '--set=network.fmap_max=8',
         '--set=schedule.minibatch_dict={}',
         '--set=schedule.minibatch_base=8', '--set=schedule.tick_kimg=0.1', '--set=schedule.tick_kimg_dict={}',
         '--set=data.name=blobs', '--set=data.resolution=8', '--set=train.total_kimg=2']


@pytest.fixture(scope='module')
def given(tmp_path_factory, data_dir):
    """A folder of what commands read: a network, pictures, a run with a snapshot, served."""
    folder = tmp_path_factory.mktemp('given')
    (folder / 'official.pkl').write_bytes(tiny(resolution=16)[0])
    networks = load_official(folder / 'official.pkl')
    run = folder / 'run'
    run.mkdir()
    for kimg in (0, 4):
        save_snapshot(run / f'network-snapshot-{kimg:06d}.h5', networks.G, networks.D, networks.Gs, nimg=1000 * kimg)
    (run / 'config.json').write_text('{}')
    (folder / 'pictures').mkdir()
    noise = np.random.RandomState(0).randint(256, size=[8, 64, 64, 3]).astype(np.uint8)
    for index, pixels in enumerate(noise):
        PIL.Image.fromarray(pixels).save(folder / 'pictures' / f'{index}.png')
        (folder / 'noise').mkdir(exist_ok=True)
        PIL.Image.fromarray(pixels[:16, :16]).save(folder / 'noise' / f'{index}.png')
    write_saved_model(str(folder / 'served'), signatures(networks.Gs, networks.D, 0.0))
    shutil.copytree(data_dir, folder / 'datasets')
    return folder


@pytest.mark.parametrize('limit, command, arguments', [
    (4096, 'dataset_tool.py', ['create_from_images', '{out}/set', '{given}/pictures', '--num_workers=0']),
    (4096, 'dataset_tool.py', ['create_digits', '{out}/digits']),
    (8192, 'dataset_tool.py', ['extract', '{given}/datasets/blobs', '{out}/png', '--num_workers=0']),
    (4096, 'dataset_tool.py', ['display', '{given}/datasets/blobs', '--output={out}/sheet.png']),
    (8192, 'dataset_tool.py', ['create_toyfaces', '{out}/toyfaces', '--num_images=1', '--num_deltas=0']),
    (4096, 'generate.py', ['video', '--network={given}/official.pkl', '--out={out}/walk.mp4', '--duration=10', '--fps=30']),
    (4096, 'generate.py', ['video', '--network={given}/official.pkl', '--out={out}/walk.gif', '--duration=2', '--fps=30']),
    (4096, 'generate.py', ['training_video', '--network={given}/run', '--out={out}/t.mp4', '--duration=2', '--grid=16x16']),
    (4096, 'generate.py', ['grid', '--network={given}/official.pkl', '--out={out}/grid.png', '--seeds=0-99']),
    (8192, 'generate.py', ['images', '--network={given}/official.pkl', '--out={out}/images.npz', '--seeds=0-99']),
    (4096, 'evaluate.py', ['--fake={given}/pictures', '--metrics=msssim', '--output_dir={out}']),
    (12288, 'evaluate.py', ['--fake={given}/pictures', '--metrics=msssim', '--output_dir={out}']),
    (8192, 'evaluate.py', ['--network={given}/official.pkl', '--real={given}/noise', '--metrics=msssim', '--num_images=8',
                           '--output_dir={out}']),
    (4096, 'import_official.py', ['{given}/official.pkl', '{out}/network.h5']),
    (8192, 'export.py', ['--network={given}/official.pkl', '--out={out}/models/progan', '--formats=saved_model']),
    (8192, 'export.py', ['--network={given}/official.pkl', '--out={out}/models/progan', '--formats=keras']),
    (4096, 'export.py', ['--network={given}/official.pkl', '--out={out}/models/progan', '--formats=tflite']),
])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(run_command, tmp_path, given, limit, command, arguments):
    arguments = [text.format(out=tmp_path / 'out', given=given) for text in arguments]
    left = run_full(run_command, tmp_path, limit, command, arguments)
    # What is on record is kept, with its lock, and the table, which was whole before the plot.
    assert left <= ({'./metrics.jsonl', './metrics.lock', './metric-msssim-8.txt'} if command == 'evaluate.py' else set())


def run_full(run_command, tmp_path, limit, command, arguments):
    """Runs a command that must fail on a full disk `out` -> what it leaves there."""
    (tmp_path / 'out').mkdir()
    done = run_command(TESTS / 'helpers' / 'full_disk.py', limit, tmp_path / 'out', command, *arguments)
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
    sentence = done.stderr.split(f'{command}: ')[-1].splitlines()[0]  # A progress bar may end after it.
    ends = sentence.endswith('.') or ', then: ' in sentence  # A command, to be copied, ends without one.
    assert 'cannot be written' in sentence and ends and 'disk space' in sentence, sentence
    if (tmp_path / 'out.left').exists():
        return set((tmp_path / 'out.left').read_text().splitlines())
    return {f'./{path.relative_to(tmp_path / "out")}' for path in (tmp_path / 'out').rglob('*')}


def test_training_keeps_its_checkpoints(run_command, tmp_path, given):
    arguments = [*TRAIN, f'--data_dir={given}/datasets', f'--results_dir={tmp_path / "out"}']
    left = run_full(run_command, tmp_path, 200_000, 'train.py', arguments)
    assert not [name for name in left if name.rpartition('/')[2].startswith('.') or name.endswith('.h5')]


@pytest.mark.parametrize('limit', [4096])
def test_the_client_leaves_whole_pictures_only(run_command, tmp_path, given, limit):
    with contextlib.ExitStack() as held:
        address = held.enter_context(grpc_server(Model(str(given / 'served'))))
        left = run_full(run_command, tmp_path, limit, 'serve_client.py', [
            f'--server={address}', '--seeds=0-99', f'--out={tmp_path / "out" / "pictures"}'])
    assert all(name.endswith('.png') or name == './pictures' for name in left)
