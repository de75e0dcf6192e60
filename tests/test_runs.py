import pytest

import runs


def make(results, *names):
    for name in names:
        (results / name).mkdir(parents=True)
        (results / name / 'config.json').write_text('{}')


def test_runs_are_numbered_upward_from_zero(tmp_path):
    assert [runs.create(tmp_path / 'results', 'demo') for _ in range(3)] == [0, 1, 2]
    make(tmp_path / 'results', '011-old')
    assert runs.create(tmp_path / 'results', 'demo') == 12
    assert (tmp_path / 'results' / '012-demo').is_dir()


def test_a_run_is_found_by_number_name_path_or_as_the_latest(tmp_path):
    make(tmp_path, '002-a', '010-b')
    expected = {'2': '002-a', '002': '002-a', '002-a': '002-a', str(tmp_path / '002-a'): '002-a',
                'latest': '010-b', '10': '010-b'}
    for run, name in expected.items():
        assert runs.locate(tmp_path, run) == str(tmp_path / name), run


def test_an_unknown_run_names_what_there_is(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no run '3' in .* \(it holds no runs yet\)"):
        runs.locate(tmp_path, '3')
    make(tmp_path, '000-a')
    with pytest.raises(FileNotFoundError, match=r'\(it holds 000-a\)'):
        runs.locate(tmp_path, '3')
    make(tmp_path, '001-b')
    with pytest.raises(FileNotFoundError, match='it holds 000-a to 001-b'):
        runs.locate(tmp_path, '3')


def test_snapshots_are_listed_oldest_first_and_the_final_one_last(tmp_path):
    for name in ('network-final.h5', 'network-snapshot-000120.h5', 'network-snapshot-000004.h5', 'network-x.h5', 'log.txt'):
        (tmp_path / name).touch()
    assert [(kimg, path.rsplit('/')[-1]) for kimg, path in runs.snapshots(tmp_path)] == [
        (4, 'network-snapshot-000004.h5'), (120, 'network-snapshot-000120.h5'), (None, 'network-final.h5')]
    assert runs.snapshot_path('run', 4_999) == 'run/network-snapshot-000004.h5'


def test_the_newest_snapshots_and_the_final_one_are_kept(tmp_path):
    for name in (*(f'network-snapshot-{kimg:06d}.h5' for kimg in (1, 2, 10, 11)), 'network-final.h5'):
        (tmp_path / name).touch()
    runs.drop_snapshots(tmp_path, 2)
    assert [kimg for kimg, _ in runs.snapshots(tmp_path)] == [10, 11, None]


def test_the_mark_of_a_finished_run(tmp_path):
    assert not runs.is_finished(tmp_path)
    runs.mark_finished(tmp_path)
    assert runs.is_finished(tmp_path)
