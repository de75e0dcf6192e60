"""Scores networks or sets of images as the paper does.

    python evaluate.py --run=latest --metrics=swd-16k,msssim-20k,fid-10k,is-50k
    python evaluate.py --network=FILE.h5 --real=DATASET --metrics=swd,msssim --num_images=1000
    python evaluate.py --real=DATASET --fake=DATASET|FOLDER|ZIP --metrics=fid,kid,pr --num_images=10000

Metrics: swd, msssim, fid, is, kid, pr, ppl_zfull, ppl_wfull, ppl_zend, ppl_wend, ppl2_wend, pr_vgg16, ls, modes, each
with a number of images of its own if one follows, as in fid-50k; also fid50k, is50k and pr50k3.
"""
import runtime  # isort: skip (it must come before TensorFlow)

import contextlib
import os

from absl import flags, logging

import runs
from command_line import check_needed
from files import check_exist, check_folder, check_new, locked
from official.locate import find_network

FLAGS = flags.FLAGS
flags.DEFINE_string('run', None, 'Score all snapshots of a run: latest (the default), a number, a name or a path.')
flags.DEFINE_string('results_dir', 'results', 'Folder of the runs.')
flags.DEFINE_string('network', None, 'Score one snapshot.')
flags.DEFINE_string('real', None, 'Real images: a data set, a folder or a zip file. Default: what the run trained on.')
flags.DEFINE_string('fake', None, 'Score these images instead of a network\'s: a data set, a folder or a zip file.')
flags.DEFINE_integer('max_pixels', None, 'Takes pictures of up to so many pixels (default: 178956970).')
flags.DEFINE_string('metrics', 'swd,msssim', 'Metrics, e.g. swd,msssim,fid,is,kid,pr or swd-16k,fid-50k,ppl2_wend.')
flags.DEFINE_integer('num_images', None, 'Images of each set for metrics that name no number (default: the paper\'s).',
                     lower_bound=1)
flags.DEFINE_bool('mirror', None, 'Flip reals left-right with probability 0.5 (default: as the run trained).')
flags.DEFINE_integer('seed', 0, 'Seeds latents, the choice of reals, patches and directions.', lower_bound=0)
flags.DEFINE_string('inception', None, 'inception-2015-12-05.tgz or its .pb; by default it is downloaded to --cache.')
flags.DEFINE_string('inception_sha256', None, 'Refuse an Inception file with another SHA-256.')
flags.DEFINE_string('vgg16', None, 'vgg16-397923af.pth or an official vgg16.pkl; by default it is downloaded to --cache.')
flags.DEFINE_string('lpips', None, 'An official vgg16_zhang_perceptual.pkl, which needs no --vgg16, or the vgg.pth of '
                    'lpips; by default that is downloaded to --cache.')
flags.DEFINE_string('classifiers', None, 'Folder of the 40 official pickles that classify CelebA-HQ\'s attributes, for ls.')
flags.DEFINE_string('mnist', None, 'Folder of MNIST\'s four files, for modes of 32x32; without it modes reads 16x16.')
flags.DEFINE_string('statistics', None, 'Use these FID statistics of reals (.npz with mu and sigma).')
flags.DEFINE_string('save_statistics', None, 'Write the FID statistics of the reals to this .npz (needs fid in --metrics).')
flags.DEFINE_string('cache', None, 'Folder for the Inception graph and features of reals (default: ~/.cache/progan).')
flags.DEFINE_string('scratch', None, 'Folder for temporary files that hold SWD\'s descriptors in place of memory.')
flags.DEFINE_integer('minibatch', None, 'Images at a time (default: by resolution).', lower_bound=1)
flags.DEFINE_integer('devices', None, 'GPUs to use (default: all).', lower_bound=1)
flags.DEFINE_string('output_dir', None, 'Folder for metrics.jsonl, the table and the plot (default: the run folder; '
                    'with --fake the current folder).')


def main(argv):
    if argv[1:]:
        raise ValueError(f'{argv[1]!r} is not a flag; did you mean --network={argv[1]}?')
    if sum(value is not None for value in (FLAGS.run, FLAGS.network, FLAGS.fake)) > 1:
        raise ValueError('--run, --network and --fake each name what to score; give one of them.')
    from metrics.table import parse_specs, refuse_blind
    specs = parse_specs(FLAGS.metrics, FLAGS.num_images)
    if not specs:
        raise ValueError('--metrics names no metric; for example, --metrics=swd,msssim.')
    with_features = any(spec.needs_inception for spec in specs)
    check_needed('fid, is, kid or pr in --metrics', with_features, ('inception', 'inception_sha256'))
    taken = {name for spec in specs for name in spec.judges}
    check_needed('ppl or pr_vgg16 in --metrics', taken & {'lpips', 'vgg16'}, ('vgg16',))
    check_needed('ppl in --metrics', 'lpips' in taken, ('lpips',))
    check_needed('ls in --metrics', 'classifiers' in taken, ('classifiers',))
    check_needed('modes in --metrics', 'digits' in taken, ('mnist',))
    if FLAGS.fake:
        refuse_blind(specs, FLAGS.fake)
    of_reals = any('real_statistics' in spec.metric.takes for spec in specs)
    check_needed('fid in --metrics', of_reals, ('statistics', 'save_statistics'))
    sources = located()
    with contextlib.ExitStack() as held:
        evaluation, rows = score_images(specs, held) if FLAGS.fake else score_networks(specs, held, *sources)
        report(evaluation, rows)


def located():
    """(paths, run_dir): the snapshots to score, newest first, and the folder they are in; OSError for what is not there."""
    check_exist(**{name: FLAGS[name].value for name in (
        'real', 'fake', 'inception', 'vgg16', 'lpips', 'classifiers', 'mnist', 'statistics')})
    if FLAGS.save_statistics:
        check_new(FLAGS.save_statistics, overwrite=True)  # As the table: the same command again goes on after a stop.
    check_folder(FLAGS.output_dir or '.')
    if FLAGS.scratch and not os.path.isdir(FLAGS.scratch):
        raise NotADirectoryError(f'--scratch={FLAGS.scratch} is no folder; give one that exists.')
    if FLAGS.fake:
        return None
    if FLAGS.network:
        path = find_network(FLAGS.network, FLAGS.results_dir)
        return [path], os.path.dirname(os.path.abspath(path))
    run_dir = runs.locate(FLAGS.results_dir, FLAGS.run or 'latest')
    return [path for _, path in reversed(runs.snapshots(run_dir))] or [find_network(run_dir)], run_dir


def score_networks(specs, held, paths, run_dir):
    """Measures snapshots, which are in one folder. -> (RunEvaluation, rows); locks go to `held`."""
    from metrics.image_sets import open_images
    from metrics.table import check_network
    from official.locate import load_network, suit_threads

    suit_threads(paths[0])
    newest = load_network(paths[0], names=['Gs']).Gs
    check_network(specs, newest)
    resolution = newest.resolution
    in_run = os.path.exists(os.path.join(run_dir, 'config.json'))
    if FLAGS.real:
        reals, mirror = open_images(FLAGS.real, resolution, FLAGS.max_pixels), False
    else:
        reals, mirror = reals_of_run(run_dir) if in_run else (None, False)
    evaluation = make(FLAGS.output_dir or (run_dir if in_run else '.'), specs, resolution, reals, mirror, held)

    rows = []
    for path in paths:
        row = os.path.basename(path), load_network(path, names=[]).nimg
        if evaluation.missing(*row) or not in_run:  # Elsewhere another network may have had this name.
            evaluation.measure_network(*row, load_network(path, names=['Gs']).Gs, again=not in_run)
        rows.append(row)
        logging.info('%d of %d: %s', len(rows), len(paths), row[0])
    return evaluation, rows


def reals_of_run(run_dir):
    """The data set that a run was trained on, and whether it was mirrored."""
    import config as configs
    from data.tfrecords import open_dataset
    data = configs.load(os.path.join(run_dir, 'config.json')).data
    return open_dataset(data.dir, data.name, data.resolution, data.label_size, data.max_images), data.mirror


def score_images(specs, held):
    """Measures one set of images against another. -> (RunEvaluation, rows); locks go to `held`."""
    from metrics.image_sets import open_images
    fakes = open_images(FLAGS.fake, max_pixels=FLAGS.max_pixels)
    reals = open_images(FLAGS.real, max_pixels=FLAGS.max_pixels) if FLAGS.real else None
    most = min(images.num_images for images in (fakes, reals) if images)  # None counts twice.
    if any(FLAGS.num_images and spec.num_images > fakes.num_images for spec in specs):
        raise ValueError(f"'{FLAGS.fake}' holds {fakes.num_images} images; lower --num_images.")
    if not FLAGS.num_images:
        specs = [spec._replace(num_images=min(spec.num_images, most)) for spec in specs]
    one_size = [spec for spec in specs if 'resolution' in spec.metric.takes]
    if reals and reals.resolution != fakes.resolution and one_size:
        raise ValueError(f"{one_size[0]} compares images of one size, but '{FLAGS.real}' holds {reals.resolution}x"
                         f"{reals.resolution}, '{FLAGS.fake}' {fakes.resolution}x{fakes.resolution}.")
    evaluation = make(FLAGS.output_dir or '.', specs, fakes.resolution, reals, False, held)
    evaluation.measure(fakes.name, None, evaluation.images_of(fakes), again=True)  # The files may have changed.
    return evaluation, [(fakes.name, None)]


def make(folder, specs, resolution, reals, mirror, held):
    """The RunEvaluation that the flags describe; its folder is locked before it reads what is on record."""
    from metrics.frechet_inception_distance import load_statistics
    from metrics.judges import open_judges
    from metrics.run_evaluation import RunEvaluation
    from serving.generate import first_devices
    devices = first_devices(FLAGS.devices)
    files = {name: FLAGS[name].value for name in ('inception', 'inception_sha256', 'vgg16', 'lpips', 'classifiers', 'mnist')}
    specs, judges = open_judges(specs, files, cache(), devices, go_on=True)
    if FLAGS.save_statistics and not any('real_statistics' in spec.metric.takes for spec in specs):
        raise ValueError('--save_statistics needs the Inception graph; give it with --inception.')
    os.makedirs(folder, exist_ok=True)
    held.enter_context(locked(folder, 'evaluated', 'wait for it, or give another --output_dir', 'metrics.lock'))
    return RunEvaluation(
        folder, specs, resolution, reals, FLAGS.seed, mirror if FLAGS.mirror is None else FLAGS.mirror, judges,
        load_statistics(FLAGS.statistics) if FLAGS.statistics else None, cache(), FLAGS.scratch, devices, FLAGS.minibatch)


def report(evaluation, rows):
    """Prints the table and writes it, the plot, and the statistics that were asked for."""
    from metrics import records
    from metrics.frechet_inception_distance import save_statistics
    from metrics.run_evaluation import OTHER_REALS, REALS
    from metrics.table import label
    if FLAGS.save_statistics:
        save_statistics(FLAGS.save_statistics, *evaluation.statistics())
    known = [row for row in ((REALS, None), (OTHER_REALS, None)) if evaluation.missing(*row) != evaluation.specs]
    path = os.path.join(evaluation.folder, f'metric-{label(evaluation.specs)}')
    content = evaluation.records, known + rows, evaluation.specs
    records.save_table(f'{path}.txt', *content)
    records.save_plot(f'{path}.png', *content)
    print(records.table(*content), end='')
    print(f'{path}.txt, {path}.png')


def cache():
    """The folder for what is worth keeping between evaluations."""
    from metrics.downloads import default_cache
    return FLAGS.cache or default_cache()


if __name__ == '__main__':
    runtime.run(main)
