"""Checkpoints: what is damaged is never taken for nothing."""
import re
import types

import numpy as np
import pytest

from presets.progan import Network
from training.state import Checkpoints, Position, make_state

DATASET = types.SimpleNamespace(resolution=4, num_channels=1, label_size=0, class_names=None)


def checkpoints_of(run_dir):
    """(Checkpoints, state, position) of a fresh tiny run."""
    state = make_state(DATASET, Network(fmap_base=16, fmap_max=4), 'float32', seed=1, beta1=0.0, beta2=0.99,
                       epsilon=1e-8, initial_loss_scale=1.0)
    position = Position()
    return Checkpoints(str(run_dir), state, {}, position), state, position


@pytest.fixture
def run_dir(tmp_path):
    """A run with checkpoints 2 and 3 at 200 and 300 images, whose lods are 2 and 3, and with statistics."""
    checkpoints, state, position = checkpoints_of(tmp_path)
    for number in (1, 2, 3):
        position.nimg = 100 * number
        state.Gs.lod.assign(number)
        checkpoints.save()
    (tmp_path / 'stats.jsonl').write_text('{"nimg": 100}\n')
    return tmp_path


def restored(run_dir):
    """(nimg, lod, remarks) after restoring."""
    checkpoints, state, position = checkpoints_of(run_dir)
    _, remarks = checkpoints.restore()
    return position.nimg, float(state.Gs.lod.numpy()), remarks


def test_the_last_two_are_kept_and_the_newest_is_restored(run_dir):
    names = {path.name.split('.')[0] for path in (run_dir / 'checkpoints').iterdir()}
    assert names == {'checkpoint', 'ckpt-2', 'ckpt-3'} and restored(run_dir) == (300, 3, [])


@pytest.mark.parametrize('content', [None, b'', b'model_ch', b'\xff\0', b'model_checkpoint_path: "/etc/passwd"'])
def test_tensorflows_index_of_checkpoints_is_never_believed(run_dir, content):
    (run_dir / 'checkpoints' / 'checkpoint').unlink()
    if content is not None:
        (run_dir / 'checkpoints' / 'checkpoint').write_bytes(content)
    assert restored(run_dir) == (300, 3, [])


@pytest.mark.parametrize('name', ['ckpt-3.index', 'ckpt-3.data-00000-of-00001'])
@pytest.mark.parametrize('size', [None, 0, 100, 0.5, -1])
def test_damage_falls_back_to_the_checkpoint_before_and_says_so(run_dir, name, size):
    path = run_dir / 'checkpoints' / name
    data = path.read_bytes()
    path.unlink()
    if size is not None:
        path.write_bytes(data[:int(size * len(data)) if size == 0.5 else size])
    nimg, lod, remarks = restored(run_dir)
    assert (nimg, lod) == (200, 2) and len(remarks) == 1
    assert re.search('ckpt-3 is damaged .*; resuming from .*ckpt-2, which is intact.$', remarks[0])


def test_after_falling_back_the_damaged_one_is_replaced_before_any_is_removed(run_dir):
    (run_dir / 'checkpoints' / 'ckpt-3.index').write_bytes(b'')
    checkpoints, state, position = checkpoints_of(run_dir)
    checkpoints.restore()
    position.nimg = 250
    checkpoints.save()
    assert restored(run_dir) == (250, 2, [])
    (run_dir / 'checkpoints' / 'ckpt-3.index').write_bytes(b'')
    assert restored(run_dir)[0] == 200


def test_where_none_is_intact_the_run_is_refused(run_dir):
    for path in (run_dir / 'checkpoints').glob('*.data*'):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r'ckpt-3 is damaged .*none before it is intact; put back .*--init_from.*\.$'):
        restored(run_dir)


def test_a_run_that_has_trained_and_lost_its_checkpoints_is_refused(run_dir):
    for path in (run_dir / 'checkpoints').iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r'holds no checkpoint, though the run has trained; put back .*\.$'):
        restored(run_dir)


def test_a_run_killed_before_its_first_checkpoint_starts_anew(tmp_path):
    (tmp_path / 'checkpoints').mkdir()
    (tmp_path / 'checkpoints' / 'ckpt-1.data-00000-of-00001').write_bytes(b'half')
    assert restored(tmp_path)[0] == 0


def test_any_damage_is_noticed(run_dir, cases):
    random = np.random.RandomState(5)
    paths = sorted((run_dir / 'checkpoints').glob('ckpt-3*'))
    for case in range(max(cases // 10, 20)):
        path = paths[case % len(paths)]
        data = path.read_bytes()
        damaged = bytearray(data)
        if case % 4 < 2:
            damaged[random.randint(len(data))] ^= 1 << random.randint(8)
        else:
            del damaged[random.randint(len(data)):]
        path.write_bytes(damaged)
        nimg, lod, remarks = restored(run_dir)
        assert (nimg, lod) == (300, 3) if not remarks else (nimg, lod) == (200, 2), (case, remarks)
        path.write_bytes(data)
