"""What SLURM's environment says of a cluster."""
import json

import pytest

from training.slurm import tf_config

TASK = {'SLURM_JOB_ID': '20007', 'SLURM_PROCID': '0', 'SLURM_STEP_NODELIST': 'n1', 'SLURM_STEP_TASKS_PER_NODE': '1'}


@pytest.mark.parametrize('nodes, tasks, workers', [
    ('n1', '1', ['n1:12007']), ('n1', '2', ['n1:12007', 'n1:12008']),
    ('n[1-2,10]', '1(x3)', ['n1:12007', 'n2:12007', 'n10:12007']),
    ('gpu[09-10],login', '2(x2),1', ['gpu09:12007', 'gpu09:12008', 'gpu10:12007', 'gpu10:12008', 'login:12007'])])
def test_each_task_is_a_worker_in_the_order_of_ranks(nodes, tasks, workers):
    for index, worker in enumerate(workers):
        place = {'SLURM_PROCID': str(index), 'SLURMD_NODENAME': worker.split(':')[0],
                 'SLURM_LOCALID': str(int(worker[-1]) - 7)}
        found = json.loads(tf_config(TASK | {'SLURM_STEP_NODELIST': nodes, 'SLURM_STEP_TASKS_PER_NODE': tasks} | place))
        assert found == {'cluster': {'worker': workers}, 'task': {'type': 'worker', 'index': index}}


@pytest.mark.parametrize('environment, sentence', [
    ({}, 'SLURM_JOB_ID is not set; start it with: srun python train.py --cluster=slurm.'),
    ({'SLURM_JOB_ID': '1'}, 'SLURM_PROCID is not set; start it with: srun python train.py --cluster=slurm.'),
    (TASK | {'SLURM_PROCID': '1'}, 'SLURM_PROCID is 1, but n1 with 1 tasks run 1; start it with: srun python train.py '
     '--cluster=slurm.'),
    (TASK | {'SLURM_JOB_ID': ''}, "do not say where each task is (invalid literal for int() with base 10: ''); "
     'start it with: srun python train.py --cluster=slurm.'),
    (TASK | {'TF_CONFIG': '{}'}, '--cluster=slurm was given and TF_CONFIG is set; drop one of them.'),
    (TASK | {'SLURM_STEP_NODELIST': 'n[1-2]', 'SLURM_STEP_TASKS_PER_NODE': '2(x2)', 'SLURM_PROCID': '1',
             'SLURMD_NODENAME': 'n2', 'SLURM_LOCALID': '0'},
     'SLURM runs rank 1 as task 0 of n2, not as task 1 of n1; start it with: srun --distribution=block.')])
def test_what_is_no_task_of_slurm_is_one_sentence(environment, sentence):
    with pytest.raises(ValueError) as error:
        tf_config(environment)
    assert str(error.value).endswith(sentence)
