"""Feeds hostile pickles to the readers of CIFAR and SVHN under an audit hook and prints what happened as JSON.

    python tests/helpers/attack_data_pickles.py SCRATCH_DIR NUMBER_OF_MUTATIONS

Runs in a process of its own: a crash or a hang must not be the test's, and an audit hook cannot be removed.
"""
import json
import os
import pickle
import resource
import signal
import sys

import numpy as np
from cifar_pickles import as_python_2
from malicious_pickles import FRAGMENTS, MALICIOUS, array, dtype, text
from mutations import mutate

import runtime
from data import sources

NAMES = ['train', 'train_1.pkl', 'train_2.pkl', 'train_3.pkl']
IMAGES = array(b'K\2M\0\x0c\x86', b'T\0\x18\0\0' + bytes(6144), 'u1')


def cifar(images, labels):
    """A file `train` of CIFAR-100 from pickled pieces."""
    return b'\x80\2}(' + text('data') + images + text('fine_labels') + labels + b'u.'


# Where the images or labels of a file that is otherwise right should be.
INSIDE = {
    'doubled lists as labels': cifar(IMAGES, b']q\0(K\1K\1e' + b''.join(
        b'](h%ch%ceq%c' % (i, i, i + 1) for i in range(60))),
    'long text as labels': cifar(IMAGES, text('x' * 1_000_000) + b'q\0](' + b'h\0' * 100_000 + b'e'),
    'one array many times as labels': cifar(IMAGES + b'q\0', b'](' + b'h\0' * 200_000 + b'e'),
    'huge numbers as labels': cifar(IMAGES, b'](\x8a\xff' + b'\x7f' * 255 + b'K\1e'),
    'labels that are a dict': cifar(IMAGES, b'}'),
    'images that are text': cifar(text('images'), b'](K\1K\1e'),
    'images never filled': cifar(IMAGES[:IMAGES.index(b'R(') + 1], b'](K\1K\1e'),
    'images that are a dtype': cifar(dtype(), b'](K\1K\1e'),
    'images that are a function': cifar(b'cnumpy\nndarray\n', b'](K\1K\1e'),
    'a doubled tuple beside them': cifar(IMAGES, b'](K\1K\1e)q\0' + b''.join(
        b'h%ch%c\x86q%c' % (i, i, i + 1) for i in range(100)) + b'K\1'),
}


def good_files():
    """[(reader, files of it)] of the layouts that are around, as small as they may be."""
    random = np.random.RandomState(0)
    images, labels = random.randint(256, size=[2, 3072]).astype(np.uint8), random.randint(10, size=2)
    batch = {'data': images, 'fine_labels': labels.tolist(), 'filenames': ['a.png', 'b.png']}
    found = [(sources.cifar100, pickle.dumps(batch, protocol)) for protocol in (0, 1, 2, 4, 5)]
    found += [(sources.cifar100, as_python_2(images, 'fine_labels', labels.tolist(), protocol)) for protocol in (0, 2)]
    pair = images.reshape(2, 3, 32, 32), labels
    return found + [(sources.svhn, pickle.dumps(pair, protocol)) for protocol in (0, 2, 4)]


def main(scratch, mutations):
    os.chdir(scratch)
    result = {'events': [], 'wrong_errors': [], 'accepted': [], 'survivors': 0, 'refused': 0}
    watching = False

    def hook(event, arguments):
        reading = event == 'open' and os.path.basename(str(arguments[0])) in NAMES
        if watching and event not in ('object.__getattr__', 'builtins.id') and not reading:
            result['events'].append(f'{event} {arguments!r}'[:200])

    def attempt(name, reader, data):
        nonlocal watching
        for file_name in NAMES:
            with open(file_name, 'wb') as file:
                file.write(data)
        signal.alarm(20)  # A hang ends the process, as a crash does.
        print(name, file=sys.stderr, flush=True)
        watching = True
        try:
            reader(scratch, expected_images=0)
            return True
        except ValueError as error:
            if '\n' in str(error) or len(str(error)) > 400:
                result['wrong_errors'].append(f'{name}: {error}'[:300])
        except BaseException as error:
            result['wrong_errors'].append(f'{name}: {type(error).__name__}: {error}'[:300])
        finally:
            watching = False
        return False

    files = good_files()
    assert all(attempt(f'good file {i}', *file) for i, file in enumerate(files))
    sys.addaudithook(hook)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    before = runtime.peak_memory_mib()
    for name, data in [*MALICIOUS.items(), *INSIDE.items()]:
        result['accepted'] += [f'{reader.__name__}: {name}' for reader in (sources.cifar100, sources.svhn)
                               if attempt(name, reader, data)]
    random = np.random.RandomState(11)
    for i in range(mutations):
        reader, data = files[i % len(files)]
        survived = attempt(f'mutation {i}', reader, mutate(data, random, FRAGMENTS))
        result['survivors' if survived else 'refused'] += 1
    print(json.dumps(result | {'growth_mb': runtime.peak_memory_mib() - before, 'files': sorted(os.listdir(scratch))}))


if __name__ == '__main__':
    main(os.path.abspath(sys.argv[1]), int(sys.argv[2]))
