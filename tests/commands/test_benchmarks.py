"""The benchmarks of training run, on their smallest settings, and tell figures that can be true."""
import json
import os
import subprocess
import sys
import time

import numpy as np
from places import ROOT
from style_networks import G_SMALL, SMALL

from data.writer import Writer
from networks import stylegan, stylegan2
from networks.snapshot import save_snapshot


def start(name, *arguments):
    command = [sys.executable, os.path.join(ROOT, 'benchmarks', name), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def figures(name, *arguments):
    result = start(name, *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_train_step():
    row, = figures('train_step.py', '--rows=4:16:4', '--seconds=0.1')
    assert row['images_per_sec'] > 0 and 0 < row['share'] < 10 and 0 < row['outside'] < 1 and row['kernels'] > 0
    assert 300 < row['peak_memory_mib'] < 4000 and 500 < row['nodes'] < 3000


def test_lazy_rounds_are_added_up_in_their_proportion():
    row, = figures('train_step.py', '--rows=4:4:4', '--seconds=0.1', '--network=stylegan2', '--noprofile')
    assert row['images_per_sec'] > 0 and 0 < row['share'] < 10


def test_what_the_next_resolution_costs():
    row, = figures('phases.py', '--resolutions=8')
    assert row['ahead']['graphs'] == 2 and row['when reached']['graphs'] == 1
    assert np.isfinite(row['ahead']['stall_sec']) and row['ahead']['compile_sec'] > 0


def test_the_stages_of_starting(tmp_path):
    with Writer(tmp_path / 'noise', 8, 3) as writer:
        writer.add(np.random.RandomState(0).randint(256, size=[64, 3, 8, 8]).astype(np.uint8))
    for what in 'step', 'picture':
        command = [sys.executable, os.path.join(ROOT, 'benchmarks', '_stages.py'), what, 'progan', tmp_path / 'noise',
                   tmp_path / 'network.h5']
        started = time.time()
        result = subprocess.run([*map(str, command), str(started)], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        stages = json.loads(result.stdout)
        assert len(stages) > 4 and min(stages.values()) > 0 and sum(stages.values()) < time.time() - started
    assert (tmp_path / 'network.h5.png').exists()


def test_a_failing_row_says_why():
    result = start('train_step.py', '--rows=4:16:5')
    assert result.returncode == 1 and 'needs a multiple of its group size 4' in result.stderr


def test_a_droplet_is_seen_in_the_layer_that_has_it(tmp_path):
    for module in stylegan, stylegan2:
        G = module.Generator(**G_SMALL | {'num_channels': 3})
        if module is stylegan:
            pixels = np.ones([1, 12, 4, 4])
            pixels[:, :, 1, 2] = 50
            G.named_variables()['G_synthesis/4x4/Const/const'].assign(pixels)
        save_snapshot(tmp_path / f'{G.kind}.h5', G, module.Discriminator(**SMALL | {'num_channels': 3}), G)
    row = figures('droplets.py', *(f'--{kind}={tmp_path / kind}.h5' for kind in ('stylegan', 'stylegan2')), '--num_images=9',
                  f'--out={tmp_path / "droplets.png"}')
    assert [len(row[kind]) for kind in ('stylegan', 'stylegan2')] == [6, 5] and (tmp_path / 'droplets.png').exists()
    (layer, _, pixels), *rest = row['stylegan']
    assert layer == '4x4/Const' and 40 < pixels < 60  # Its noise has no strength yet, its bias is 0.
    assert all(pixels < 10 for _, _, pixels in row['stylegan2'])
