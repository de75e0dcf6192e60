import os
import subprocess
import sys

import pytest
from places import ROOT

import files


def dead_process():
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    return process.pid


def test_what_dead_processes_left_is_swept_and_what_lives_stays(tmp_path):
    stay = {'log.txt', '.hidden', f'.{os.getppid()}.metrics.jsonl', '.12'}
    for name in (*stay, f'.{dead_process()}.network-final.h5', f'.{os.getpid()}.stats.jsonl'):
        (tmp_path / name).touch()
    folder = tmp_path / f'.{dead_process()}.ckpt-new'
    folder.mkdir()
    (folder / 'ckpt-1.index').touch()
    files.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == stay


HOLD = 'import sys, files\nwith files.locked(sys.argv[1], "trained", "wait"):\n  print("held", flush=True); sys.stdin.read()'


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of tmp_path."""
    with subprocess.Popen([sys.executable, '-c', HOLD, tmp_path], cwd=ROOT, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b'held\n'
        yield process
        process.kill()


def test_a_lock_that_is_held_is_refused_by_name_and_dies_with_its_process(tmp_path, holder):
    with pytest.raises(OSError, match=f'{tmp_path} is being trained by process {holder.pid} on .*; wait.$'), \
            files.locked(tmp_path, 'trained', 'wait'):
        pass
    holder.kill()
    holder.wait()
    with files.locked(tmp_path, 'trained', 'wait'):
        assert (tmp_path / 'lock').read_text().startswith(f'process {os.getpid()} on ')


def test_a_failure_leaves_the_old_file_alone(tmp_path):
    (tmp_path / 'a').write_text('old')
    sentence = r'a cannot be written \(no space\); free disk space'
    with pytest.raises(OSError, match=sentence), files.replacing(tmp_path / 'a') as partial, open(partial, 'w') as file:
        file.write('ne')
        raise OSError('no space')
    assert [path.name for path in tmp_path.iterdir()] == ['a'] and (tmp_path / 'a').read_text() == 'old'


def test_a_staged_folder_is_moved_whole_or_gone_with_what_a_killed_process_left(tmp_path):
    target = tmp_path / 'model'
    left = tmp_path / '.model.staging' / 'model'
    left.mkdir(parents=True)
    (left / 'half').touch()
    with pytest.raises(ValueError), files.staging(target, 'made') as folder:
        assert os.listdir(folder) == []
        raise ValueError
    assert os.listdir(tmp_path) == []
    with files.staging(target, 'made') as folder:
        (tmp_path / folder / 'part').mkdir()
        (tmp_path / folder / 'part' / 'file').write_text('whole')
        with pytest.raises(BlockingIOError, match=rf'being made by process {os.getpid()} on .*; wait for it'), \
                files.staging(target, 'made'):
            pass
        files.move_folder(folder, target)
    names = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob('*'))]
    assert names == ['model', 'model/part', 'model/part/file']


def test_lines_without_the_numbers_that_are_needed_are_passed_over(tmp_path):
    lines = ['{"nimg": 1}', '{"nimg": "2"}', '{"nimg": true}', '{"nimg": NaN}', '{"nimg": 1e999}',
             f'{{"nimg": 1{"0" * 400}}}', '{}', '[1]', '{"nimg": 3.5, "more": 1}', '{"nimg": 4']
    (tmp_path / 'a.jsonl').write_text('\n'.join(lines))
    assert files.json_lines(tmp_path / 'a.jsonl', 'nimg') == [{'nimg': 1}, {'nimg': 3.5, 'more': 1}]
    assert len(files.json_lines(tmp_path / 'a.jsonl')) == 8
