"""generate.py's figures, and w in and out of files, as users run them."""
import json
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from reference_pickles import tiny, tiny_stylegan

from networks import stylegan
from networks.snapshot import save_snapshot

# Runs several commands in one process, for starting TensorFlow takes longer than any of them -> what each says, if it fails.
_COMMANDS = """
import json, sys, generate
from absl.testing import flagsaver
told = []
for arguments in json.loads(sys.argv[1]):
    with flagsaver.flagsaver():
        try:
            generate.main(generate.FLAGS(['generate.py', *arguments]))
            told.append(None)
        except (ValueError, OSError) as error:
            told.append(str(error))
print(json.dumps(told))
"""


def run(commands):
    done = subprocess.run([sys.executable, '-c', _COMMANDS, json.dumps(commands)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with the networks stylegan, classes (3 of them), bare (without average, noise and styles) and progan."""
    folder = tmp_path_factory.mktemp('figures')
    data, (G, D) = tiny_stylegan(resolution=16)
    (folder / 'stylegan.pkl').write_bytes(data)
    (folder / 'classes.pkl').write_bytes(tiny_stylegan(resolution=16, label_size=3)[0])
    (folder / 'progan.pkl').write_bytes(tiny(resolution=16)[0])
    bare = stylegan.Generator(**G.build_arguments() | dict(dlatent_avg_beta=None, use_noise=False, use_styles=False, seed=1))
    save_snapshot(folder / 'bare.h5', bare, D, bare)
    for name, shape in ('wide', [2, 6, 5]), ('infinite', [1, 4]):
        np.save(folder / f'{name}.npy', np.full(shape, np.inf))
    return folder


def command(folder, name, *arguments, network='stylegan.pkl', out=None):
    return [name, f'--network={folder / network}', f'--out={folder / (out or name)}', *(
        argument.replace('FOLDER', str(folder)) for argument in arguments)]


@pytest.fixture(scope='module')
def made(folder):
    """The folder with what the commands write."""
    commands = [
        command(folder, 'style_mixing', '--columns=1,2', '--rows=3,4,5', '--styles=coarse,fine', '--scale=1'),
        command(folder, 'style_mixing', '--columns=1', '--rows=2', '--class=1', network='classes.pkl', out='classes'),
        command(folder, 'truncation', '--nocaptions', '--scale=1', '--gap=0', '--truncation_cutoff=2'),
        command(folder, 'noise_detail', '--samples=5', '--seeds=7', '--truncation=0.5', '--format=webp'),
        command(folder, 'noise_components'), command(folder, 'uncurated', '--rows=2', '--lods=0,1', '--crop=0,4,16,12'),
        command(folder, 'uncurated', '--nocaptions', '--scale=1', network='progan.pkl', out='plain'),
        command(folder, 'images', '--seeds=1-3', '--save_w=FOLDER/sub/w.npy', '--noise=random', out='direct.npz'),
        command(folder, 'images', '--seeds=1-3', '--noise=random', out='seeds.npz'),
        command(folder, 'images', '--seeds=1-3', out='stored.npz'),
        command(folder, 'images', '--w=FOLDER/sub/w.npy', out='again.npz'),
        command(folder, 'images', '--w=FOLDER/sub/w.npy', '--truncation=0', '--truncation_cutoff=6', out='average.npz'),
        command(folder, 'images', '--w=FOLDER/sub/w.npy', '--average', '--save_w=FOLDER/mean.npy', out='mean'),
        command(folder, 'grid', '--w=FOLDER/sub/w.npy', '--interpolate=2', '--save_w=FOLDER/steps.npy', '--grid=5x1',
                out='steps'),
        command(folder, 'video', '--w=FOLDER/sub/w.npy', '--duration=1', '--fps=6', '--grid=2x1', '--save_w=FOLDER/way.npy',
                out='way.gif'),
        command(folder, 'video', '--walk=w', '--step_sec=0.5', '--duration=1', '--fps=6', '--class=2',
                network='classes.pkl', out='walk.gif'),
        command(folder, 'video', '--duration=1', '--fps=4', '--save_w=FOLDER/z.npy', out='z.gif')]
    assert run(commands) == [None] * len(commands)
    return folder


@pytest.mark.parametrize('name, size', [
    # Images of 16 pixels, enlarged to 192 where --scale says nothing else, 4 pixels apart; lines of text of 15 or 36.
    ('style_mixing.png', (3 * 20 + 4, 4 * (15 + 20) + 4)), ('classes.png', (2 * 196 + 4, 2 * (36 + 196) + 4)),
    ('truncation.png', (6 * 16, 2 * 16)), ('noise_detail.webp', (3 * 196 + 4, 36 + 4 + 36 + 196 + 4)),
    ('noise_components.png', (2 * 196 + 4, 36 + 4 + 2 * (36 + 196) + 4)), ('uncurated.png', (24 * 4, 24 * 4 + 15)),
    ('plain.png', (7 * 16, 5 * 16)), ('mean/average.png', (16, 16)), ('steps.png', (5 * 68 + 4, 68 + 4)),
    ('way.gif', (2 * 68 + 4, 68 + 4)), ('walk.gif', (64, 64)), ('z.gif', (64, 64))])
def test_every_picture_has_its_size(made, name, size):
    with PIL.Image.open(made / name) as image:
        assert image.size == tuple(side + 8 if name in ('walk.gif', 'z.gif') else side for side in size)


def images(made, name):
    return np.load(made / f'{name}.npz')['images'].astype(int)


def test_saved_w_gives_the_same_pictures_again(made):
    w = np.load(made / 'sub' / 'w.npy')
    assert w.shape == (3, 6, 4) and w.dtype == np.float32
    np.testing.assert_allclose(images(made, 'direct'), images(made, 'seeds'), atol=1)  # Noise of the latents, too.
    np.testing.assert_allclose(images(made, 'again'), images(made, 'stored'), atol=1)
    average = images(made, 'average')
    np.testing.assert_allclose(average, np.repeat(average[:1], 3, axis=0), atol=1)


def test_averages_and_steps_are_those_of_w(made):
    w, steps, way = (np.load(made / name) for name in ('sub/w.npy', 'steps.npy', 'way.npy'))
    np.testing.assert_allclose(np.load(made / 'mean.npy'), w.mean(axis=0, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(steps, [w[0], (w[0] + w[1]) / 2, w[1], (w[1] + w[2]) / 2, w[2]], atol=1e-6)
    way = way.reshape(6, 2, 6, 4)  # 6 frames of two images, each of which begins at another w.
    np.testing.assert_allclose(way[::2, 0], w, atol=1e-5)
    np.testing.assert_allclose(way[::2, 1], w[[1, 2, 0]], atol=1e-5)
    assert np.load(made / 'z.npy').shape == (4, 6, 4)


@pytest.fixture(scope='module')
def refusals(folder):
    """{sentence: what was said} of commands that cannot be done."""
    cases = [
        (['truncation'], dict(network='bare.h5'), 'truncation is 0.7, but this network was trained without an average of w'),
        (['truncation', '--truncation_cutoff=7'], {}, 'truncation_cutoff is 7, but this network has 6 style layers; use 0'),
        (['images', '--truncation=0.5'], dict(network='bare.h5'), 'without an average of w (network.dlatent_avg_beta)'),
        (['style_mixing', '--styles=4-7'], {}, "'4-7' is out of range; this network has the layers 0 to 5."),
        (['style_mixing', '--styles=rough'], {}, "'rough' is no group of layers"),
        (['style_mixing', '--styles=coarse,rough', '--rows=1'], {}, "'rough' is no group of layers"),
        (['style_mixing', '--rows='], {}, "'' is not a list of numbers"),
        (['style_mixing'], dict(network='bare.h5'), 'trained without styles'),
        (['style_mixing'], dict(network='progan.pkl'), 'w was asked for, but networks of kind progan have none'),
        (['style_mixing', '--class=1'], {}, 'A class was given, but this network was trained without labels.'),
        (['style_mixing', '--class=3'], dict(network='classes.pkl'), 'Class 3 is out of range; this network knows'),
        (['style_mixing', '--truncation_cutoff=3'], {}, '--truncation_cutoff has no meaning without --truncation.'),
        (['style_mixing', '--seeds=3'], {}, 'style_mixing has no flag --seeds'),
        (['noise_detail'], dict(network='bare.h5'), 'trained without noise (network.use_noise), so there is none to show'),
        (['noise_components', '--noise=none'], {}, 'noise_components has no flag --noise'),
        (['truncation', '--psis=a'], {}, "'a' is not a list of numbers"),
        (['uncurated', '--rows=0'], {}, '--rows=0 is no number of rows'),
        (['uncurated', '--lods=5'], {}, 'images of 16x16 cannot be halved so often'),
        (['images', '--w=FOLDER/wide.npy'], {}, 'wide.npy holds w of the shape [2, 6, 5]; this network needs [N, 6, 4]'),
        (['images', '--w=FOLDER/infinite.npy'], {}, 'infinite.npy holds w with NaN or infinity'),
        (['images', '--w=FOLDER/none.npy'], {}, 'There is no file'),
        (['images', '--seeds=1', '--format=npz', '--save_w=FOLDER/refused.npz'], {}, 'give two names.'),
        (['images', '--w=FOLDER/wide.npy'], dict(network='progan.pkl'), 'networks of kind progan have none; use a'),
        (['images', '--w=FOLDER/wide.npy', '--seeds=1'], {}, 'Give one of --seeds, --random_state with'),
        (['images', '--w=FOLDER/wide.npy', '--class=1'], {}, '--class has no meaning with --w'),
        (['images', '--w=FOLDER/wide.npy', '--truncation_cutoff=1'], {}, 'no meaning without --truncation where w'),
        (['images', '--average', '--interpolate=2'], {}, 'Give --average or --interpolate, not both.'),
        (['images', '--save_w=FOLDER/wide.npy'], {}, 'exists already'),
        (['images', '--save_w=FOLDER/x.npy'], dict(network='progan.pkl'), 'networks of kind progan have none'),
        (['video', '--walk=z', '--step_sec=1'], {}, '--step_sec has no meaning without --walk=w or --w.'),
        (['video', '--walk=w', '--smoothing=1'], {}, '--smoothing has no meaning without --walk=z.'),
        (['video', '--walk=w', '--w=FOLDER/wide.npy'], {}, 'leave out --walk'),
        (['video', '--walk=w'], dict(network='progan.pkl'), 'networks of kind progan have none')]
    told = run([command(folder, *arguments, out='refused', **where) for arguments, where, _ in cases])
    assert not [name for name in os.listdir(folder) if name.startswith(('refused', 'x.npy'))]
    return [(sentence, said) for (_, _, sentence), said in zip(cases, told, strict=True)]


def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(refusals):
    for sentence, said in refusals:
        assert said is not None and sentence in said, (sentence, said)
        assert said[-1] in '.?' and '\n' not in said
