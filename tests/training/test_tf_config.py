import json

import pytest

from training.tf_config import check_cluster

TWO = {'worker': ['a:1', 'b:2']}


def of(cluster=TWO, **task):
    return json.dumps({'cluster': cluster, 'task': {'type': 'worker', 'index': 0, **task}})


def test_clusters_of_chief_and_workers_are_taken():
    assert check_cluster(of(index=1)) == (['a:1', 'b:2'], 1)
    with_chief = {'chief': ['[::1]:80'], **TWO}
    assert check_cluster(of(with_chief, type='chief')) == (['[::1]:80', 'a:1', 'b:2'], 0)
    assert check_cluster(of(with_chief, index=1)) == (['[::1]:80', 'a:1', 'b:2'], 2)


@pytest.mark.parametrize('text, found', [
    ('worker0', 'is no JSON'), ('[]', 'has no objects "cluster" and "task"'), ('{"cluster": {}}', 'has no objects'),
    (of({'worker': ['a']}), 'names worker "a", which is no host:port'),
    (of({'worker': ['a:x']}), 'which is no host:port'), (of({'worker': ['http://a:1']}), 'which is no host:port'),
    (of({'worker': ['a:1', 'a:1']}), 'names several chiefs or one address twice among a:1, a:1'),
    (of({'chief': ['a:1', 'b:1']}), 'names several chiefs or one address twice among a:1, b:1'),
    ('[' * 100_000, 'is no JSON (maximum recursion depth'),
    (of({'worker': 'a:1'}), 'gives "a:1" for the addresses of \'worker\''),
    (of({'ps': ['a:1'], **TWO}), "machines of type 'ps'"),
    (of(type='chief'), 'says that this is a "chief", of which "cluster" has none'),
    (of(index=2), 'says that this is worker number 2 of 2'), (of(index='0'), 'worker number "0" of 2'),
    (of(index=None), 'worker number null of 2')])
def test_what_is_wrong_with_tf_config_is_one_sentence(text, found):
    with pytest.raises(ValueError) as error:
        check_cluster(text)
    assert str(error.value).startswith('TF_CONFIG ') and found in str(error.value) and str(error.value).endswith('.')
    assert '"cluster": {"worker": ["host:port", ...]}' in str(error.value)
