"""Feeds hostile pickles to the importer under an audit hook and prints what happened as JSON.

    python tests/attack_importer.py SCRATCH_DIR NUMBER_OF_MUTATIONS

Runs in a process of its own: an audit hook cannot be removed.
"""

import runtime  # isort: skip (it must come before TensorFlow)

import json
import os
import pickle
import sys
import time

import numpy as np
from malicious_pickles import FRAGMENTS, MALICIOUS, reduce_to
from mutations import mutate
from reference_pickles import tiny, tiny_stylegan

from official.load import load_official

# What Python does for ordinary code: nothing that starts, loads or looks up something.
_HARMLESS = {'object.__getattr__', 'builtins.id', 'sys._getframe', 'gc.get_objects'}


def main(scratch, mutations):
    os.chdir(scratch)
    path = os.path.join(scratch, 'network.pkl')
    sources = [tiny(protocol=2)[0], tiny(protocol=4)[0], tiny(protocol=5)[0], tiny('theano', protocol=2)[0],
               tiny_stylegan(protocol=4, label_size=2)[0], tiny_stylegan(protocol=2, blur_filter=None)[0]]
    for source in sources:
        with open(path, 'wb') as file:
            file.write(source)
        load_official(path)  # What Python and Keras import lazily is there before the hook.

    result = {'events': [], 'wrong_errors': [], 'slowest': ['', 0.0], 'survivors': 0, 'refused': 0}
    watching = False

    def hook(event, arguments):
        if watching and event not in _HARMLESS and not (event == 'open' and arguments[0] == path):
            result['events'].append(f'{event} {arguments!r}'[:200])

    sys.addaudithook(hook)

    def attempt(name, data, networks=()):
        nonlocal watching
        with open(path, 'wb') as file:
            file.write(data)
        start, watching = time.process_time(), True
        try:
            load_official(path, networks)
            return True
        except ValueError as error:
            if not str(error).startswith(path) or '\n' in str(error) or len(str(error)) > 400:
                result['wrong_errors'].append(f'{name}: {error}'[:300])
        except BaseException as error:
            result['wrong_errors'].append(f'{name}: {type(error).__name__}: {error}'[:300])
        finally:
            watching = False
            seconds = time.process_time() - start
            if seconds > result['slowest'][1]:
                result['slowest'] = [name, seconds]
        return False

    before = runtime.peak_memory_mib()
    watching = True
    pickle.loads(reduce_to('os', 'system', 'true'))  # Proves that the hook sees what pickle would do.
    watching, result['control'], result['events'] = False, result['events'], []
    result['accepted'] = [name for name, data in MALICIOUS.items() if attempt(name, data)]
    random = np.random.RandomState(7)
    for i in range(mutations):
        data = mutate(sources[i % len(sources)], random, FRAGMENTS)
        if attempt(f'mutation {i}', data):
            result['survivors'] += 1
            if result['survivors'] <= 50:  # Building Keras layers takes most of the time; the checks came before.
                attempt(f'mutation {i}, built', data, ('Gs',))
        else:
            result['refused'] += 1
    result |= {
        'malicious': len(MALICIOUS),
        'growth_mb': runtime.peak_memory_mib() - before,
        'files': sorted(os.listdir(scratch)),
    }
    print(json.dumps(result))


if __name__ == '__main__':
    main(os.path.abspath(sys.argv[1]), int(sys.argv[2]))
