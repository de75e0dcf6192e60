import json
import os
import subprocess
import sys

import pytest
from fuzz import COUNTED, KINDS
from places import ROOT, TESTS


@pytest.mark.parametrize('kind', KINDS)
def test_damaged_files_end_in_the_same_contents_or_a_sentence(kind, cases):
    share = {'snapshots': 5, 'matlab': 10}.get(kind, 1)  # Slower ones take their part.
    done = subprocess.run([sys.executable, TESTS / 'helpers' / 'fuzz.py', kind, f'--cases={cases // share}'],
                          capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    row = json.loads(done.stdout.splitlines()[-1])[kind]
    assert row['cases'] == cases // share and row['refused'] > 0 and not any(row[what] for what in COUNTED)
