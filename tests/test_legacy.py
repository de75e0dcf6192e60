"""Files from before architectures had a choice go on: tests/legacy holds what commit c63671c wrote."""
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from places import TESTS

from networks.snapshot import load_snapshot
from serving.generate import generate_images
from serving.latents import labels_of, of_seeds

LEGACY = TESTS / 'legacy'
INPUTS = of_seeds(range(8), 4), labels_of([0, 1, 2, 3] * 2, 4)


@pytest.fixture(scope='module')
def images():
    return np.load(LEGACY / 'images.npz')['images'].astype(int)


def test_a_snapshot_of_version_1_is_read_and_makes_its_images(images):
    snapshot = load_snapshot(LEGACY / 'run' / 'network-final.h5')
    assert snapshot.nimg == 1024 and snapshot.Gs.kind == 'progan'
    assert_allclose(np.concatenate([*generate_images(snapshot.Gs, *INPUTS)]).astype(int), images, atol=1)


def test_an_exported_model_makes_its_images(images):
    served = tf.saved_model.load(LEGACY / 'model' / '1').signatures['serving_default'](
        latents=tf.constant(INPUTS[0]), labels=tf.constant(INPUTS[1]))['images']
    assert_allclose(served.numpy().astype(int), images, atol=1)


def test_a_keras_file_makes_its_images(images):
    Gs = keras.saving.load_model(LEGACY / 'model' / 'generator.keras')
    assert_allclose(np.concatenate([*generate_images(Gs, *INPUTS)]).astype(int), images, atol=1)


def test_a_run_goes_on_from_its_checkpoint(run_command, data_dir, tmp_path):
    run = tmp_path / '000-v2-1gpu-cond'
    shutil.copytree(LEGACY / 'run', run)
    before = load_snapshot(run / 'network-final.h5')
    # Steps so small that they leave the weights as the checkpoint has them.
    config = json.loads((run / 'config.json').read_text())
    config['schedule'] |= {'G_learning_rate': 1e-30, 'D_learning_rate': 1e-30, 'G_learning_rate_dict': {},
                           'D_learning_rate_dict': {}}
    (run / 'config.json').write_text(json.dumps(config))
    done = run_command('train.py', '--resume=0', f'--results_dir={tmp_path}', f'--data_dir={data_dir}',
                       '--set=train.total_kimg=1.25')
    assert done.returncode == 0 and 'Resuming' in done.stderr, done.stderr
    after = load_snapshot(run / 'network-final.h5')
    assert after.nimg > before.nimg
    for name, variable in before.G.named_variables().items():
        if name != 'lod':
            assert_array_equal(after.G.named_variables()[name].numpy(), variable.numpy(), err_msg=name)
    ticks = [json.loads(line)['tick'] for line in (run / 'stats.jsonl').read_text().splitlines()]
    assert ticks == [0, 1, 2, 3, 4]
