"""Worker processes that train together, on one machine."""
import json
import os
import subprocess
import sys

import numpy as np
from numpy.testing import assert_allclose
from places import ROOT
from ports import free_ports

_SCRIPT = """
import sys; sys.path[:0] = ['.', 'tests/helpers']
import pathlib, runtime, numpy as np, tensorflow as tf
strategy, data_dir = tf.distribute.MultiWorkerMirroredStrategy(), pathlib.Path(sys.argv[1])
{}
np.savez(sys.argv[2], **found)
"""


def check_workers(code, expected, data_dir, folder, atol=1e-5):
    """Two workers run lines that set `found`, {name: array}, from `strategy` and `data_dir`: equal, and near `expected`."""
    cluster = {'worker': [f'localhost:{port}' for port in free_ports(2)]}
    files = [folder / f'worker{index}.npz' for index in range(2)]
    workers = [subprocess.Popen(
        [sys.executable, '-c', _SCRIPT.format(code), data_dir, file], cwd=ROOT,
        stderr=subprocess.PIPE, text=True, env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1', 'TF_CONFIG': json.dumps(
            {'cluster': cluster, 'task': {'type': 'worker', 'index': index}})}) for index, file in enumerate(files)]
    for worker in workers:
        _, error = worker.communicate(timeout=600)
        assert worker.returncode == 0, error
    first, second = np.load(files[0]), np.load(files[1])
    assert {*first} == {*expected}
    for name, value in expected.items():
        assert first[name].tobytes() == second[name].tobytes(), name
        assert_allclose(first[name], value, atol=atol, err_msg=name)
