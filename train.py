"""Trains networks: `python train.py --config=celebahq,v2-8gpus,fp16`; without flags, the demo on handwritten digits."""
import runtime  # isort: skip (it must come before TensorFlow)
import contextlib
import os

from absl import flags

import config as configs

FLAGS = flags.FLAGS
flags.DEFINE_list('config', [], 'Names composed in order: data set, preset, precision, switches (see --list).')
flags.DEFINE_multi_string('set', [], 'An override, e.g. --set=schedule.lod_training_kimg=300; may be repeated.')
flags.DEFINE_string('data_dir', None, 'Folder of the data sets; short for --set=data.dir=...')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_integer('devices', None, 'GPUs to use, per worker; short for --set=train.devices=...')
flags.DEFINE_integer('cpu_devices', None, 'Split the CPU into as many devices, to try several without GPUs.')
flags.DEFINE_float('worker_timeout', 600.0, 'Seconds to wait for the other workers of TF_CONFIG.')
flags.DEFINE_enum('cluster', None, ['slurm'], 'Several machines: the tasks of the SLURM job step that this process is in.')
flags.DEFINE_bool('jit', None, 'Compile losses and gradients with XLA; short for --set=train.jit=true.')
flags.DEFINE_string('resume', None, 'Continue a run where its last checkpoint is: latest, a number, a name or a path.')
flags.DEFINE_string('init_from', None, 'Start from the networks of a snapshot .h5, an official .pkl or a run.')
flags.DEFINE_float('start_kimg', None, 'Where networks of --init_from go on (default: where they were); 0 grows them anew.')
flags.DEFINE_bool('partial', None, 'Of networks of --init_from take what fits: other classes, channels or resolutions.')
flags.DEFINE_bool('dry_run', False, 'Print the config, the schedule and the networks, and stop.')
flags.DEFINE_bool('list', False, 'Print every name that --config accepts, and stop.')


def main(argv):
    if argv[1:]:
        raise ValueError(f'{argv[1]!r} is not a flag; did you mean --config={argv[1]}?')
    if FLAGS.list:
        print(configs.describe())
        return
    import runs
    from data.made import make_missing
    from data.tfrecords import open_dataset
    from official.locate import find_network
    from training import slurm
    from training.tf_config import check_cluster
    init_from = FLAGS.init_from and find_network(FLAGS.init_from, FLAGS.results_dir)  # 'latest' is another one tomorrow.
    shortcuts = {'data.dir': FLAGS.data_dir, 'train.devices': FLAGS.devices, 'train.jit': FLAGS.jit,
                 'train.init_from': init_from, 'train.start_kimg': FLAGS.start_kimg, 'train.partial': FLAGS.partial}
    overrides = [f'{key}={value}' for key, value in shortcuts.items() if value is not None] + FLAGS.set
    run_dir = FLAGS.resume and runs.locate(FLAGS.results_dir, FLAGS.resume)
    config = resumed_config(run_dir, overrides) if run_dir else configs.resolve(FLAGS.config, overrides)

    if FLAGS.cluster:
        os.environ['TF_CONFIG'] = slurm.tf_config()
    if 'TF_CONFIG' in os.environ:
        check_cluster(os.environ['TF_CONFIG'])
    data, dataset = config.data, None
    if not FLAGS.dry_run:  # A plan needs none.
        make_missing(data.dir, data.name)
        dataset = open_dataset(data.dir, data.name, data.resolution, data.label_size, data.max_images)
    one_device = config.train.devices == 1 and not FLAGS.cpu_devices and not FLAGS.cluster and 'TF_CONFIG' not in os.environ
    runtime.suit_threads_to(config.network.fmap_max, one_device)
    from training import describe, devices, loop  # Only now: they import TensorFlow.
    init_from = None if run_dir and runs.has_checkpoint(run_dir) else config.train.init_from
    if FLAGS.dry_run:
        print(describe.plan(config, init_from))
        return
    strategy = devices.make_strategy(config.train.devices, FLAGS.cpu_devices, config.train.deterministic,
                                     FLAGS.worker_timeout)
    chief = devices.worker(strategy)[0] == 0
    with contextlib.ExitStack() as held:
        held.enter_context(devices.together(strategy))
        if run_dir and chief:
            held.enter_context(runs.locked(run_dir))
            runs.sweep(run_dir)
        parts = loop.build(config, strategy, init_from, dataset)
        if not run_dir:
            number = devices.from_chief(strategy, lambda: runs.create(FLAGS.results_dir, config.description))
            run_dir = runs.locate(FLAGS.results_dir, str(number))
            if chief:
                held.enter_context(runs.locked(run_dir))
        if chief:
            runs.save_config(run_dir, configs.to_json(config))
        loop.train(config, run_dir, strategy, *parts)


def resumed_config(run_dir, overrides):
    """The config that a run folder holds, with overrides of what may change in mid-run."""
    import runs
    keys = [text.partition('=')[0] for text in overrides]
    if FLAGS.config or {'train.init_from', 'train.start_kimg', 'train.partial'} & {*keys}:
        raise ValueError(f'--resume continues {run_dir} as its config.json says; drop --config, --init_from, --start_kimg '
                         f'and --partial, or drop --resume to start a new run.')
    for key in keys:
        if not key.startswith('train.') and key != 'data.dir':
            raise ValueError(f'{key} cannot change when a run is resumed, only train.* can; start a new run with '
                             f'--init_from instead.')
    old = configs.load(f'{run_dir}/config.json')
    config = configs.override(old, overrides)
    if runs.is_finished(run_dir) and config.train.total_kimg <= old.train.total_kimg:
        raise ValueError(f'{run_dir} finished at {old.train.total_kimg:g} kimg; to go on, raise the total, e.g. '
                         f'--set=train.total_kimg={2 * old.train.total_kimg:g}.')
    return config


if __name__ == '__main__':
    runtime.run(main)
