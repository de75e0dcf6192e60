"""TF_CONFIG, which names the workers of several machines; it is read before TensorFlow is imported."""
import json
import re

_ADDRESS = re.compile(r'(\[[0-9a-fA-F:.]+(%\w+)?\]|[^\s:/\[\]]+):[0-9]{1,5}')  # IPv6 in brackets.


def check_cluster(text):
    """The text of TF_CONFIG -> ('host:port' of each worker, the chief first; the index of this one).

    ValueError unless it describes a cluster of chief and workers, and this process's place in it.
    """
    def refuse(found):
        raise ValueError(f'TF_CONFIG {found}; expected is {{"cluster": {{"worker": ["host:port", ...]}}, "task": {{"type": '
                         f'"worker", "index": 0}}}}, with another index on each machine.')

    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(f'is no JSON ({error})')
    if not isinstance(config, dict) or not all(isinstance(config.get(key), dict) for key in ('cluster', 'task')):
        refuse('has no objects "cluster" and "task"')
    jobs, task = config['cluster'], config['task']
    for kind, addresses in jobs.items():
        if kind not in ('chief', 'worker'):
            refuse(f'names machines of type {kind!r}')
        if not isinstance(addresses, list) or not addresses:
            refuse(f'gives {json.dumps(addresses)} for the addresses of {kind!r}')
        for address in addresses:
            if not _ADDRESS.fullmatch(str(address)) or not 0 < int(address.rpartition(':')[2]) < 65536:
                refuse(f'names {kind} {json.dumps(address)[:100]}, which is no host:port')
    addresses = sum(jobs.values(), [])
    if len(jobs.get('chief', [])) > 1 or len(set(addresses)) < len(addresses):
        refuse(f'names several chiefs or one address twice among {", ".join(addresses)}')
    if not isinstance(task.get('type'), str) or task['type'] not in jobs:
        refuse(f'says that this is a {json.dumps(task.get("type"))}, of which "cluster" has none')
    index = task.get('index')
    if type(index) is not int or not 0 <= index < len(jobs[task['type']]):
        refuse(f'says that this is {task["type"]} number {json.dumps(index)} of {len(jobs[task["type"]])}')
    chiefs = jobs.get('chief', [])
    return chiefs + jobs.get('worker', []), index + (len(chiefs) if task['type'] == 'worker' else 0)
