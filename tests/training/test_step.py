import resource
import threading

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal
from step_setup import Setup, cpus
from toy_method import Hinge, Loss
from workers import check_workers

from config import resolve
from data.pipeline import batches
from training import step
from training.objectives.wgan_gp import WGANGP
from training.schedule import Phase


@pytest.mark.parametrize('devices', [2, 4])
def test_several_devices_train_as_one_with_the_same_global_batch(data_dir, devices):
    one, several = Setup(data_dir, rounds=1), Setup(data_dir, cpus(devices), rounds=1)
    statistics = one.run(10), several.run(10)
    for name in statistics[0]:
        assert_allclose(statistics[1][name], statistics[0][name], rtol=1e-4, atol=1e-5, err_msg=name)
    for name, weight in one.weights().items():
        assert_allclose(several.weights()[name], weight, atol=1e-5, err_msg=name)


def test_two_worker_processes_end_with_the_weights_of_one_device(data_dir, tmp_path):
    one = Setup(data_dir)
    one.run(3)
    check_workers('from step_setup import Setup; setup = Setup(data_dir, strategy); setup.run(3); found = setup.weights()',
                  one.weights(), data_dir, tmp_path)


def test_all_replicas_hold_the_same_weights(data_dir):
    setup = Setup(data_dir, cpus(2), mbstd_group_size=4, rounds=1)
    setup.run(6)
    for name, variable in setup.variables().items():
        first, second = (v.numpy() for v in variable.value.values)
        assert_array_equal(first, second, err_msg=name)


def test_an_overflow_on_the_second_replica_only_is_skipped_everywhere(data_dir):
    setup = Setup(data_dir, cpus(2), precision='fp16', rounds=1)
    optimizer = setup.state.D_optimizer
    before = setup.weights()

    @tf.function
    def overflow():
        def replica():
            index = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
            bad = [tf.zeros(v.shape) + tf.where(index == 1, np.inf, 1.0) for v in optimizer.variables_]
            return optimizer.apply(bad, 0.001)
        return setup.strategy.experimental_local_results(setup.strategy.run(replica))

    assert [float(skipped) for skipped in overflow()] == [1.0, 1.0]
    assert [float(v) for v in optimizer.loss_scale.values] == [512.0, 512.0]
    for name, weight in before.items():
        for copy in setup.variables()[name].value.values:
            assert_array_equal(copy.numpy(), weight, err_msg=name)
    setup.run(2)
    assert all(np.all(np.isfinite(weight)) for weight in setup.weights().values())


def test_one_trace_per_level_and_minibatch_fading_or_not(data_dir):
    setup = Setup(data_dir, rounds=1)
    phases = [(2, 0.0, 8, 0.001), (1, 0.7, 8, 0.001), (1, 0.2, 8, 0.002), (1, 0.0, 8, 0.001), (0, 0.5, 8, 0.001),
              (0, 0.0, 4, 0.001), (0, 0.0, 4, 0.003)]
    for level, fade, minibatch, learning_rate in phases:
        setup.run(2, level, fade, minibatch, learning_rate)
    assert len(setup.iteration.graphs()) == len({(level, fade > 0, minibatch) for level, fade, minibatch, _ in phases}) == 5


@pytest.mark.parametrize('devices', [1, 2])
def test_a_graph_prepared_while_another_trains_changes_nothing_and_is_the_one_that_runs(data_dir, devices):
    plain, prepared = (Setup(data_dir, cpus(2) if devices == 2 else None, rounds=1) for _ in range(2))
    context = tf.distribute.InputContext(num_replicas_in_sync=devices)
    spec = batches(prepared.dataset, 0, 8, 1, 0, 5, True, context).element_spec
    thread = threading.Thread(target=prepared.iteration.prepare, args=(spec, Phase(0.5, 0, 16, 8, 0.001, 0.001, 1, 0.9)))
    thread.start()
    prepared.run(4, level=1, fade=0.0), plain.run(4, level=1, fade=0.0)
    thread.join()
    assert len(prepared.iteration.graphs()) == 2
    prepared.run(2, level=0, fade=0.5), plain.run(2, level=0, fade=0.5)
    assert len(prepared.iteration.graphs()) == 2
    for name, weight in plain.weights().items():
        assert_allclose(prepared.weights()[name], weight, atol=1e-6, err_msg=name)


def test_memory_does_not_grow_over_2000_steps_of_a_phase(data_dir):
    setup = Setup(data_dir, rounds=10)

    def resident():
        with open('/proc/self/statm') as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    setup.run(30, level=2, fade=0.0, minibatch=4)
    before = resident()
    setup.run(200, level=2, fade=0.0, minibatch=4)
    assert resident() - before < 30 * 2 ** 20


@pytest.mark.parametrize('precision', ['fp16', 'bf16'])
def test_lower_precision_trains_close_to_float32(data_dir, precision):
    exact, rounded = (Setup(data_dir, precision=p, mbstd_group_size=4, rounds=1).run(50) for p in ('fp32', precision))
    for name, values in rounded.items():
        assert np.all(np.isfinite(values)), name
    assert np.sum(rounded['D_skipped'] + rounded['G_skipped']) == 0
    for name in ('D_loss', 'G_loss', 'mixed_norms'):
        tolerance = 0.1 * np.max(np.abs(exact[name])) + 0.05
        assert_allclose(rounded[name], exact[name], atol=tolerance, err_msg=name)


def test_jit_gives_the_same_training(data_dir):
    plain, compiled = (Setup(data_dir, mbstd_group_size=4, rounds=1, jit=jit) for jit in (False, True))
    plain.run(4), compiled.run(4)
    for name, weight in plain.weights().items():
        assert_allclose(compiled.weights()[name], weight, atol=1e-5, err_msg=name)


def test_the_average_follows_the_formula_once_per_d_step_before_the_g_step(data_dir):
    setup = Setup(data_dir, rounds=1, D_repeats=3)
    start = setup.weights()
    setup.run(1, level=0, fade=0.0)
    first_G = setup.weights()
    for name in setup.state.G.variables_at(0):
        assert_array_equal(first_G[f'Gs/{name}'], start[f'G/{name}'])  # G had not moved before its first step.
    setup.run(1, level=0, fade=0.0)
    for name in setup.state.G.variables_at(0):
        G, Gs = first_G[f'G/{name}'], first_G[f'Gs/{name}']
        for _ in range(3):
            Gs = G + (Gs - G) * np.float32(0.9)
        assert_allclose(setup.weights()[f'Gs/{name}'], Gs, atol=1e-6, err_msg=name)


@pytest.mark.parametrize('devices', [1, 2])
def test_steps_that_repeat_are_traced_once_and_train_as_if_each_were_traced(data_dir, devices):
    class Apart(WGANGP):
        def round(self):
            return [update._replace(after=lambda terms: None) for update in super().round()]  # No two are equal.

    setups = [Setup(data_dir, cpus(2) if devices == 2 else None, objective=kind(resolve(['demo'], []).loss, D_repeats=3))
              for kind in (WGANGP, Apart)]
    for setup in setups:
        setup.run(2)
    nodes = [sum(len(function.node_def) for graph in setup.iteration.graphs()
                 for function in graph.graph.as_graph_def().library.function) for setup in setups]
    assert nodes[0] < 0.7 * nodes[1]
    weights = [setup.weights() for setup in setups]
    for name, weight in weights[1].items():
        assert_allclose(weights[0][name], weight, atol=1e-5, err_msg=name)


@pytest.mark.parametrize('devices', [1, 2])
def test_slices_of_a_minibatch_train_as_the_whole(data_dir, devices):
    whole, sliced = (Setup(data_dir, cpus(2) if devices == 2 else None, rounds=1) for _ in range(2))
    told = whole.run(3), sliced.run(3, slices=2)
    for name in told[0]:
        assert_allclose(told[1][name], told[0][name], rtol=1e-4, atol=1e-5, err_msg=name)
    for name, weight in whole.weights().items():
        assert_allclose(sliced.weights()[name], weight, atol=1e-5, err_msg=name)


def test_lazy_updates_are_due_by_nimg_in_graphs_of_their_own(data_dir):
    """ProGAN's networks with another objective, whose penalty is due every third round."""
    setup, resumed = (Setup(data_dir, rounds=4, objective=Hinge(Loss())) for _ in range(2))
    assert setup.iteration.minibatches == 1 and [setup.iteration._due(number) for number in range(4)] == [
        [(0,), (1,), (2, 3)], [(0,), (2, 3)], [(0,), (2, 3)], [(0,), (1,), (2, 3)]]
    context = tf.distribute.InputContext()
    batch = next(iter(batches(setup.dataset, 1, 8, 4, 0, 5, True, context)))
    phase = Phase(1.0, 1, 8, 8, 0.001, 0.001, 1, Gs_decay=0.9)
    counts = [dict(zip(setup.iteration.names, setup.iteration(batch, nimg, phase).counts, strict=True))
              for nimg in (0, 32, 64)]
    assert [count['penalty'] for count in counts] == [2, 1, 1] and all(count['G_loss'] == 4 for count in counts)
    assert len(setup.iteration.graphs()) == 3
    resumed.iteration.prepare(batches(setup.dataset, 1, 8, 4, 0, 5, True, context).element_spec, phase)
    assert len(resumed.iteration.graphs()) == 3


def _needed(nodes, name):
    """The names of all nodes that run before this one does, and its own."""
    found, left = set(), [name]
    while left:
        name = left.pop()
        if name in nodes and name not in found:
            found.add(name)
            left += [text.lstrip('^').split(':')[0] for text in nodes[name].input]
    return found


@pytest.mark.parametrize('in_halves', [False, True])
def test_kernels_are_in_memory_for_one_step_at_a_time_and_those_of_large_networks_for_one_network(
        data_dir, monkeypatch, in_halves):
    monkeypatch.setattr(step, 'two_at_a_time', lambda fmap_max: in_halves)
    setup = Setup(data_dir, rounds=1)
    setup.run(1)
    functions = [function for graph in setup.iteration.graphs() for function in graph.graph.as_graph_def().library.function]
    nodes, = ({node.name: node for node in function.node_def} for function in functions
              if sum(node.op == 'If' for node in function.node_def) == 2)
    D_updated, G_updated = sorted((name for name, node in nodes.items() if node.op == 'If'),
                                  key=lambda name: len(_needed(nodes, name)))
    D_step = _needed(nodes, D_updated)
    reads = {name: _needed(nodes, name) for name, node in nodes.items() if node.op == 'ReadVariableOp'}
    of_G_step = [before for name, before in reads.items() if name in _needed(nodes, G_updated) - D_step]
    assert len(of_G_step) > 20 and all(D_updated in before for before in of_G_step)
    for a_step in D_step, _needed(nodes, G_updated) - D_step:
        convolutions = {name for name in a_step if nodes[name].op == 'Conv2D' and 'generator' in name}
        of_D = [bool(before & convolutions) for name, before in reads.items() if name in a_step and 'discriminator' in name]
        assert len(of_D) > 10 and (not any(of_D) if in_halves else all(of_D))


def test_blocks_above_the_level_stay_as_they_are(data_dir):
    setup = Setup(data_dir)
    before = setup.weights()
    setup.run(2, level=1, fade=0.5)
    moved = {name for name, weight in setup.weights().items() if not np.array_equal(weight, before[name])}
    assert moved == {f'{net}/{name}' for net, network in (('G', setup.state.G), ('D', setup.state.D), ('Gs', setup.state.G))
                     for name in network.variables_at(1)}


def test_same_seed_same_run(data_dir):
    first, second = Setup(data_dir, rounds=1), Setup(data_dir, rounds=1)
    first.run(4), second.run(4)
    for name, weight in first.weights().items():
        assert_allclose(second.weights()[name], weight, atol=1e-6, err_msg=name)
