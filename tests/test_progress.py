import io
import sys

import pytest
from places import ROOT

from progress import Lines


def test_long_work_writes_lines_where_there_is_no_terminal():
    file = io.StringIO()
    assert list(Lines(['a', 'b'], None, 'images', 'Reals', every=0, file=file)) == ['a', 'b']
    first, second = file.getvalue().splitlines()
    assert first.startswith('Reals: 1 of 2 images, ') and second.endswith('per second, 0s left')


def test_short_work_goes_without_a_word():
    file = io.StringIO()
    with Lines(None, 3, 'images', '', file=file) as lines:
        lines.update(3)
    assert file.getvalue() == ''


@pytest.mark.parametrize('command', ['generate', 'evaluate', 'export', 'import_official', 'project', 'train',
                                     'dataset_tool', 'serve_client', 'grade_demo'])
def test_without_the_packages_a_command_says_how_to_get_them(run_command, command):
    done = run_command('-I', '-S', '-c', f'import sys; sys.path.insert(0, {str(ROOT)!r}); import {command}')
    assert done.returncode == 1 and done.stderr.count('\n') == 1, done.stderr
    assert ' is not installed for ' in done.stderr and 'run make setup' in done.stderr and sys.executable in done.stderr
