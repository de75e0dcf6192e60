"""The cluster that SLURM started this process in, as TF_CONFIG describes it."""
import json
import os

_START = 'start it with: srun python train.py --cluster=slurm'
_NAMES = ('JOB_ID', 'PROCID', 'STEP_NODELIST', 'STEP_TASKS_PER_NODE')


def tf_config(environment=os.environ):
    """The text of TF_CONFIG for this task of a job step: one worker per task, in the order of their ranks.

    SlurmClusterResolver sorts the machines by letters, n10 before n2, and so gives ranks the addresses of others: only its
    parsers are used. ValueError outside of SLURM, and where ranks do not run through one machine after the other.
    """
    missing = [f'SLURM_{name}' for name in _NAMES if f'SLURM_{name}' not in environment]
    if missing:
        raise ValueError(f'--cluster=slurm needs the environment of a SLURM task, but {missing[0]} is not set; {_START}.')
    if 'TF_CONFIG' in environment:
        raise ValueError('--cluster=slurm was given and TF_CONFIG is set; drop one of them.')
    # Late: what is wrong above is told before TensorFlow is imported.
    from tensorflow.python.distribute.cluster_resolver.slurm_cluster_resolver import expand_hostlist, expand_tasks_per_node
    job, rank, nodes, tasks = (environment[f'SLURM_{name}'] for name in _NAMES)
    try:
        index, number = int(rank), int(job)
        places = [(host, i) for host, count in zip(expand_hostlist(nodes), expand_tasks_per_node(tasks), strict=True)
                  for i in range(count)]
    except ValueError as error:
        raise ValueError(f'SLURM_JOB_ID={job}, SLURM_PROCID={rank}, SLURM_STEP_NODELIST={nodes} and '
                         f'SLURM_STEP_TASKS_PER_NODE={tasks} do not say where each task is ({error}); {_START}.') from error
    if not 0 <= index < len(places):
        raise ValueError(f'SLURM_PROCID is {rank}, but {nodes} with {tasks} tasks run {len(places)}; {_START}.')
    # Jobs that share a machine get ports of their own, below those that systems give away.
    port = 12000 + number % 20000
    here = environment.get('SLURMD_NODENAME'), environment.get('SLURM_LOCALID')
    told = places[index][0], str(places[index][1])
    if any(ours not in (None, theirs) for ours, theirs in zip(here, told, strict=True)):
        raise ValueError(f'SLURM runs rank {rank} as task {here[1]} of {here[0]}, not as task {told[1]} of {told[0]}; start '
                         'it with: srun --distribution=block.')
    return json.dumps({'cluster': {'worker': [f'{host}:{port + i}' for host, i in places]},
                       'task': {'type': 'worker', 'index': index}})
