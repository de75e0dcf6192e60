"""Where the disk is full every command says so in one sentence and leaves nothing."""
import pytest
from places import TESTS
from reference_pickles import tiny


@pytest.fixture
def out(tmp_path):
    """A folder with a network, and nothing else unless a command leaves it."""
    (tmp_path / 'official.pkl').write_bytes(tiny(resolution=16)[0])
    yield tmp_path
    assert [path.name for path in tmp_path.rglob('*')] == ['official.pkl']


@pytest.mark.parametrize('limit, command, arguments', [
    (500, 'generate.py', ['video', '--out={}/walk.mp4', '--duration=3', '--fps=10']),
    (100, 'generate.py', ['video', '--out={}/walk.mp4', '--duration=1', '--fps=2']),
    (300, 'generate.py', ['video', '--out={}/walk.gif', '--duration=1', '--fps=10']),
    (1000, 'generate.py', ['grid', '--out={}/grid.png', '--seeds=0-9']),
    (1000, 'generate.py', ['images', '--out={}/images.npz', '--seeds=0-9']),
    (5000, 'import_official.py', ['{}/official.pkl', '{}/network.h5']),
    (3000, 'export.py', ['--out={}/models/progan', '--formats=saved_model']),
    (3000, 'export.py', ['--out={}/models/progan', '--formats=keras']),
    (3000, 'export.py', ['--out={}/models/progan', '--formats=tflite']),
])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(run_command, out, limit, command, arguments):
    arguments = [argument.format(out) for argument in arguments]
    if command != 'import_official.py':
        arguments.append(f'--network={out / "official.pkl"}')
    done = run_command(TESTS / 'helpers' / 'full_disk.py', limit, command, *arguments)
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
    _, sentence = done.stderr.split(f'{command}: ')
    sentence = sentence.splitlines()[0]  # A progress bar may end after it.
    assert 'cannot be written' in sentence and sentence.endswith('free disk space or check permissions.')
