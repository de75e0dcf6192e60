"""The package `progan`: built, installed into an environment of its own, and used from another folder."""
import os
import re
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from places import ROOT

from networks.progan import Generator

OURS = ({path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if any(path.glob("*.py"))}) - {
    "setup", "tests", "benchmarks", "package"}
COMMANDS = {path.stem for path in ROOT.glob('*.py') if 'runtime.run(main' in path.read_text()}


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    '''The path of the wheel, built of a copy of the sources.'''
    folder = tmp_path_factory.mktemp('wheel')
    shutil.copytree(ROOT, folder / 'sources', symlinks=True, ignore=shutil.ignore_patterns(
        '.*', '__pycache__', 'build', '*.egg-info', 'tests', 'benchmarks', 'docs', 'datasets', 'results', 'models'))
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation', '-w', folder,
                    folder / 'sources'], check=True)
    path, = folder.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """The `bin` of an environment where nothing but the wheel is installed; the large packages are this environment's."""
    environment = tmp_path_factory.mktemp('environment')
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', environment], check=True)
    python = environment / 'bin' / 'python'
    subprocess.run([sys.executable, '-m', 'pip', '--python', python, 'install', '--quiet', '--no-deps', '--no-index', wheel],
                   check=True)
    packages, = (environment / 'lib').glob('python*/site-packages')
    (packages / 'large.pth').write_text(os.path.dirname(os.path.dirname(np.__file__)))
    return environment / 'bin'


@pytest.fixture
def elsewhere(tmp_path):
    """A project whose modules are named as ours are, and must neither be imported nor be shadowed."""
    for name in OURS:
        (tmp_path / f'{name}.py').write_text(f'raise RuntimeError("{name} is not for progan")\n')
    return tmp_path


def run(folder, *command, status=0):
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True,
                          env={key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
                          | {'CUDA_VISIBLE_DEVICES': '-1'})
    assert done.returncode == status and 'Traceback' not in done.stderr, done.stderr
    return done.stdout + done.stderr


def test_the_wheel_holds_one_package_with_its_licences_and_no_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith('/METADATA'))).decode()
    assert {name.split('/')[0] for name in names} == {'progan', re.sub('-py3.*', '.dist-info', wheel.name)}
    assert not [name for name in names if 'test' in name] and 'progan/training/objectives/wgan_gp.py' in names
    assert {'LICENSE', 'NOTICE'} <= {name.rsplit('/')[-1] for name in names}
    assert 'Requires-Dist: tensorflow<2.22,>=2.21' in metadata


def test_commands_run_from_another_folder_and_the_readmes_lines_too(installed, elsewhere):
    progan = installed / 'progan'
    listed = run(elsewhere, progan)
    assert {line.split()[0] for line in listed.splitlines()[2:]} == COMMANDS
    assert 'there is no command' in run(elsewhere, progan, 'trian', status=1)

    told = run(elsewhere, progan, 'train', '--config=mnist', '--set=data.dir=nowhere', status=1)
    assert told.startswith('progan train: ') and 'progan dataset_tool create_mnist' in told
    run(elsewhere, progan, 'dataset_tool', 'create_digits', 'datasets/digits')
    pictures = elsewhere / 'pictures'
    run(elsewhere, progan, 'dataset_tool', 'extract', 'datasets/digits', pictures)
    run(elsewhere, progan, 'dataset_tool', 'create_from_images', 'datasets/again', pictures, '--num_workers=2')
    run(elsewhere, progan, 'train', '--set=train.total_kimg=0.1')

    # A model that a checkout saved, and what the README tells to type.
    Gs = Generator(8, fmap_base=32, fmap_max=4, seed=1)
    Gs.save(elsewhere / 'Gs.keras')
    latents = np.ones([2, Gs.latent_size], np.float32)
    np.save(elsewhere / 'expected.npy', Gs(latents).numpy())
    snippet = re.search('```python\n(import progan.*?)```', (ROOT / 'README.md').read_text(), re.DOTALL)[1]
    (elsewhere / 'script.py').write_text(f'''{snippet}
assert images.shape == (10, 16, 16, 1) and half_way.shape == (10, 8, 8, 1)
import sys
import keras
import numpy as np
loaded = keras.saving.load_model('Gs.keras')
np.testing.assert_allclose(loaded(np.ones([2, {Gs.latent_size}], np.float32)), np.load('expected.npy'), atol=1e-5)
assert keras.saving.get_registered_name(type(Gs)) == {keras.saving.get_registered_name(Generator)!r}
assert not {OURS!r} & sys.modules.keys()
''')
    run(elsewhere, installed / 'python', 'script.py')
