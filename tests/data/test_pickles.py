import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from cifar_pickles import as_python_2
from malicious_pickles import MALICIOUS, P2, array, text
from numpy.testing import assert_array_equal
from places import ROOT, TESTS

from data import pickles

IMAGES = np.random.RandomState(0).randint(256, size=[2, 3072]).astype(np.uint8)


@pytest.fixture
def write(tmp_path):
    def write(data):
        (tmp_path / 'train').write_bytes(data)
        return tmp_path / 'train'
    return write


@pytest.mark.parametrize('protocol', [0, 2])
def test_batches_of_python_2_are_read(write, protocol):
    images, labels = pickles.arrays(write(as_python_2(IMAGES, 'labels', [3, 9], protocol)), 'data', 'labels')
    assert_array_equal(images, IMAGES)
    assert images.dtype == np.uint8 and labels.tolist() == [3, 9]


@pytest.mark.parametrize('protocol', range(6))
@pytest.mark.parametrize('labels', [[3, 9], np.array([3, 9]), list(np.array([3, 9])), np.array([3, 9], '>i2')])
def test_batches_of_python_3_are_read_in_every_protocol(write, protocol, labels):
    images, found = pickles.arrays(write(pickle.dumps((np.asfortranarray(IMAGES), labels), protocol)))
    assert_array_equal(images, IMAGES)
    assert_array_equal(found, [3, 9])


def test_keys_that_python_3_kept_as_bytes_are_text(write):
    path = write(pickle.dumps({b'data': IMAGES, b'labels': [3, 9]}, 2))
    assert_array_equal(pickles.arrays(path, 'data', 'labels')[0], IMAGES)


@pytest.mark.parametrize('module', [b'numpy.core', b'numpy._core'])
def test_arrays_of_either_numpy_are_read(write, module):
    path = write(pickle.dumps((IMAGES, IMAGES), 2).replace(b'numpy._core', module))
    assert_array_equal(pickles.arrays(path)[0], IMAGES)


@pytest.mark.parametrize('data, sentence', [
    (MALICIOUS['os.system'], "asks for 'os.system', which no data set needs.*nothing in it was executed"),
    (MALICIOUS['protocol 0'], "asks for 'os.system'"),
    (MALICIOUS['Network called'], "asks for 'tfutil.Network'"),
    (MALICIOUS['OrderedDict of states'], "asks for 'collections.OrderedDict'"),
    (MALICIOUS['void dtype that becomes objects'], "dtype 'V8'"),
    (MALICIOUS['dtype with fields in its state'], 'a state that no data set gives it'),
    (MALICIOUS['numpy object array with code'], "dtype 'O'"),
    (P2 + array(b'K\1\x85', b'](K\1e', 'O8') + b'.', "dtype 'O8'"),
    (P2 + array(b'K\1\x85', b'C\4abcd')[:-2] + b'q\0h\0\x86b.', 'a state that no data set gives it'),
    (MALICIOUS['doubled tuple as a key'], 'something of type tuple as a key'),
    (MALICIOUS['memo at 4 billion'], 'does not hold a dict'),
    (MALICIOUS['deep tuples'], 'does not hold a dict'),
    (MALICIOUS['defaults of a function'], 'a state that no data set gives it'),
    (P2 + b'}(' + text('data') + MALICIOUS['array that is never filled'][2:-1] + text('labels') + b']u.', 'something else'),
    (b'<!DOCTYPE html>', 'looks like a web page'),
    (b'', 'is truncated or damaged'),
    (pickle.dumps({'data': IMAGES, 'labels': [1, 2]}, 2)[:-1000], 'is truncated or damaged')])
def test_what_no_data_set_holds_is_refused_in_a_sentence(write, data, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        pickles.arrays(write(data), 'data', 'labels')
    assert '\n' not in str(error.value) and str(error.value).endswith('.') and 'train' in str(error.value)


def test_hostile_pickles_run_nothing_crash_nothing_and_end_in_one_sentence(tmp_path, cases):
    script = TESTS / 'helpers' / 'attack_data_pickles.py'
    done = subprocess.run([sys.executable, script, str(tmp_path), str(cases)], capture_output=True, text=True,
                          env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0, (done.returncode, done.stderr.splitlines()[-1:])  # The last name is the case's.
    result = json.loads(done.stdout.splitlines()[-1])
    assert result['events'] == [] and result['wrong_errors'] == [] and result['accepted'] == []
    assert result['files'] == ['train', 'train_1.pkl', 'train_2.pkl', 'train_3.pkl']
    assert result['refused'] > 0.1 * cases and result['survivors'] > 0 and result['growth_mb'] < 1000
