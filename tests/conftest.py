import os
import subprocess
import sys

from places import GOLDENS, ROOT

import runtime  # noqa: F401  isort: skip (it must come before TensorFlow)

import numpy as np
import pytest
import tensorflow as tf

# Four devices for everything that runs in this process; must happen before TensorFlow starts.
tf.config.set_visible_devices([], 'GPU')
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 4)


def pytest_addoption(parser):
    parser.addoption('--cases', type=int, default=300, help='Mutated files per fuzzer.')


@pytest.fixture
def cases(request):
    """How many mutated files a fuzzer is to try."""
    return request.config.getoption('--cases')


@pytest.fixture(scope='session')
def goldens():
    """The folder of numbers that the reference computed."""
    return GOLDENS


@pytest.fixture
def run_command():
    """Runs a command of the project, as a user does -> subprocess.CompletedProcess."""
    def run(*arguments, extra=None, **kwargs):
        return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
                              env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1', **(extra or {})}, **kwargs)
    return run


@pytest.fixture
def command(run_command):
    """Runs a command of the project that must succeed -> what it printed."""
    def run(*arguments):
        done = run_command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


@pytest.fixture(scope='session')
def data_dir(tmp_path_factory):
    """A folder with the data set 'blobs': 64 conditional 16x16 images of coloured blobs, 4 classes."""
    from data.writer import Writer
    folder = tmp_path_factory.mktemp('datasets')
    random_state = np.random.RandomState(0)
    classes = np.arange(64) % 4
    y, x = np.mgrid[:16, :16]
    images = np.zeros([64, 3, 16, 16], np.uint8)
    for i, c in enumerate(classes):
        cy, cx = random_state.uniform(4, 12, 2)
        images[i, c % 3] = 255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (4 + 6 * c))
    with Writer(folder / 'blobs', resolution=16, num_channels=3, label_size=4) as writer:
        writer.add(images, np.eye(4, dtype=np.float32)[classes])
    return folder
