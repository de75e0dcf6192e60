"""A method that is a file and a line in each table trains, resumes, exports and generates: tests/helpers/toy_method.py."""
import os

import numpy as np
import pytest
import tensorflow as tf
import toy_method
from places import ROOT

from networks.architectures import ARCHITECTURES, copy_of
from networks.snapshot import NAMES, load_snapshot, save_snapshot
from serving.generate import generate_images

SMALL = ['--config=toy,cond', '--set=data.name=blobs', '--set=network.fmap_base=64', '--set=network.fmap_max=8',
         '--set=schedule.minibatch_dict={}', '--set=schedule.minibatch_base=8', '--set=schedule.lod_training_kimg=0.2',
         '--set=schedule.lod_transition_kimg=0.2', '--set=schedule.tick_kimg=0.1', '--set=schedule.tick_kimg_dict={}',
         '--set=data.resolution=8', '--set=train.deterministic=true', '--set=train.minibatch_repeats=1']


@pytest.fixture
def command(run_command, data_dir):
    def run(*arguments):
        done = run_command('tests/helpers/toy_method.py', *arguments, extra={
            'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT / 'tests' / 'helpers')])})
        assert done.returncode == 0, done.stderr
        return done
    return run


def weights(path):
    snapshot = load_snapshot(path)
    assert snapshot.Gs.kind == 'toy'
    return {f'{prefix}/{name}': variable.numpy().tobytes() for prefix, network in zip(NAMES, snapshot, strict=False)
            for name, variable in network.named_variables().items()}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, 'toy', (toy_method.Generator, toy_method.Discriminator))


def test_a_toy_method_trains_resumes_bit_for_bit_exports_and_generates(command, data_dir, tmp_path):
    where = [f'--data_dir={data_dir}', f'--results_dir={tmp_path / "results"}']
    command('train.py', *SMALL, *where, '--set=train.total_kimg=0.6')
    command('train.py', *SMALL, *where, '--set=train.total_kimg=0.3')
    command('train.py', '--resume=1', *where, '--set=train.total_kimg=0.6')
    whole, resumed = (tmp_path / 'results' / f'00{number}-blobs-toy-cond' for number in (0, 1))
    assert weights(whole / 'network-final.h5') == weights(resumed / 'network-final.h5')
    assert '"penalty"' in (whole / 'stats.jsonl').read_text()

    command('export.py', f'--network={whole}', f'--out={tmp_path / "model"}')
    command('generate.py', 'images', f'--network={whole}', '--seeds=0-3', '--class=1', f'--out={tmp_path / "images.npz"}')
    latents = np.concatenate([np.random.RandomState(seed).randn(1, 8) for seed in range(4)]).astype(np.float32)
    served = tf.saved_model.load(tmp_path / 'model' / '1').signatures['serving_default'](
        latents=tf.constant(latents), labels=tf.one_hot([1] * 4, 4))['images']
    np.testing.assert_allclose(np.load(tmp_path / 'images.npz')['images'].astype(int), served.numpy().astype(int), atol=1)


def test_an_option_that_a_network_does_not_have_is_one_sentence(run_command, tmp_path):
    G, D = (network_class(resolution=8, fmap_base=32, fmap_max=4) for network_class in ARCHITECTURES['progan'])
    save_snapshot(tmp_path / 'network.h5', G, D, copy_of(G))
    done = run_command('generate.py', 'images', f'--network={tmp_path / "network.h5"}', '--truncation=0.7',
                       f'--out={tmp_path / "out"}')
    assert done.returncode == 1 and not (tmp_path / 'out').exists()
    assert done.stderr.splitlines()[-1] == ('generate.py: --truncation is no option of networks of kind progan, which '
                                            'have none; leave it out.')


def test_an_option_reaches_the_network():
    class Truncating(ARCHITECTURES['progan'][0]):
        def generate(self, latents, labels=None, lod=0.0, *, truncation=1.0):
            return super().generate(latents * truncation, labels, lod)

    Gs = Truncating(8, fmap_base=32, fmap_max=4, seed=1, normalize_latents=False)
    z = np.random.RandomState(0).randn(2, 4).astype(np.float32)
    (truncated,), (expected,) = generate_images(Gs, z, options={'truncation': 0.5}), generate_images(Gs, z * 0.5)
    np.testing.assert_array_equal(truncated, expected)
