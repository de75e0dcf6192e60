"""Data sets that training makes where they are missing."""
import os
import threading
import time

import pytest

from data import made
from data.commands import SOURCES
from data.tfrecords import Dataset
from data.writer import Writer
from presets.datasets import MADE_BY, SHAPES


@pytest.fixture
def small_digits(monkeypatch):
    """Twelve drawn faces by the name of the digits."""
    source = SOURCES['create_drawnfaces'](num_images=12, resolution=8)
    monkeypatch.setitem(SOURCES, 'create_digits', lambda: source)
    return source


@pytest.mark.parametrize('name', MADE_BY)
def test_what_is_made_has_the_shape_that_is_promised(name):
    source = SOURCES[MADE_BY[name]]()
    label_size = 0 if source.labels is None else source.labels.shape[1]
    assert SHAPES[name] == (len(source.items), source.num_channels, source.resolution, label_size)


def test_a_missing_one_is_made_and_said_to_be_once(tmp_path, small_digits, capsys):
    made.make_missing(str(tmp_path), 'digits')
    assert capsys.readouterr().out.splitlines() == [
        f"'{tmp_path}/digits' does not exist and needs no download; it is made by: python dataset_tool.py create_digits "
        f'{tmp_path}/digits', f"'{tmp_path}/digits': 12 images of 8x8"]
    made.make_missing(str(tmp_path), 'digits')
    assert capsys.readouterr().out == ''


def test_others_are_left_to_the_user(tmp_path):
    for name in 'mine', 'celebahq', 'syn1024rgb':
        made.make_missing(str(tmp_path), name)
    assert os.listdir(tmp_path) == []


def test_an_interrupted_build_goes_on(tmp_path, small_digits):
    """As the command began it."""
    with pytest.raises(KeyboardInterrupt), Writer(tmp_path / 'digits', 8, 3, resume=True,
                                                  recipe='create_digits, 12 images') as writer:
        writer.add(small_digits.load(0)[None])
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ['.digits.partial']
    made.make_missing(str(tmp_path), 'digits')
    assert Dataset(tmp_path / 'digits').num_images == 12


def test_while_another_makes_it_one_waits(tmp_path, small_digits):
    waiting = threading.Thread(target=made.make_missing, args=(str(tmp_path), 'digits'))
    with Writer(tmp_path / 'digits', 8, 3) as writer:
        waiting.start()
        time.sleep(0.2)
        assert waiting.is_alive()
        writer.add(small_digits.load(0)[None])
    waiting.join(20)
    assert Dataset(tmp_path / 'digits').num_images == 1
