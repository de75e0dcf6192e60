"""Evaluating sets of images, snapshots and runs: one pass, caches, records, and the command."""
import json
import os
import types
import zipfile

import numpy as np
import pytest
import small_vgg16
import tensorflow as tf
from numpy.testing import assert_allclose
from PIL import Image
from small_inception import small_graph

import config as configs
from data.tfrecords import Dataset
from metrics import image_sets
from metrics import precision_recall_vgg16 as half
from metrics.evaluation import Evaluator
from metrics.frechet_inception_distance import frechet_distance, load_statistics, statistics
from metrics.image_sets import Pictures, fake_images, open_images, real_images, real_labels
from metrics.inception import Inception
from metrics.inception_score import inception_score
from metrics.kernel_inception_distance import kernel_inception_distance
from metrics.lpips import load_lpips
from metrics.metric import Metric
from metrics.ms_ssim import ms_ssim
from metrics.perceptual_path_length import WFull
from metrics.precision_recall import precision_recall
from metrics.records import table
from metrics.run_evaluation import RunEvaluation, during_training
from metrics.sliced_wasserstein import SlicedWasserstein
from metrics.table import METRICS, Spec, label, parse_specs
from networks import stylegan
from networks.progan import Discriminator, Generator
from networks.snapshot import save_snapshot
from serving.generate import generate_images
from training import loop


@pytest.fixture(scope='module')
def graph_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('graph') / 'small.pb'
    path.write_bytes(small_graph().SerializeToString())
    return str(path)


@pytest.fixture(scope='module')
def blobs(data_dir):
    return Dataset(data_dir / 'blobs')


def networks(seed):
    size = {'resolution': 16, 'num_channels': 3, 'label_size': 4, 'fmap_base': 32, 'fmap_max': 8}
    return Generator(**size, seed=seed), Discriminator(**size, seed=seed), Generator(**size, seed=seed + 1)


@pytest.fixture
def run_dir(tmp_path, data_dir):
    """A run folder with snapshots at 1 and 2 kimg."""
    folder = tmp_path / 'results' / '000-blobs'
    folder.mkdir(parents=True)
    data = {'dir': str(data_dir), 'name': 'blobs', 'label_size': 'full', 'mirror': True}
    (folder / 'config.json').write_text(json.dumps({'description': 'blobs', 'data': data}))
    for kimg in 1, 2:
        save_snapshot(str(folder / f'network-snapshot-{kimg:06d}.h5'), *networks(kimg), nimg=kimg * 1000)
    return folder


def random_images(seed, count, resolution=16):
    return np.random.RandomState(seed).randint(0, 256, [count, 3, resolution, resolution]).astype(np.uint8)


def by_eights(images):
    return (images[i:i + 8] for i in range(0, len(images), 8))


class CountingInception(Inception):
    """Counts the images that it sees."""
    seen = 0

    def __call__(self, images):
        self.seen += len(images)
        return super().__call__(images)


# Specs

def test_presets_of_the_reference_are_known_by_name():
    def specs(**counts):
        return [Spec(METRICS[name], count) for name, count in counts.items()]

    assert parse_specs('swd-16k,fid-50k,is-50k,msssim-20k') == specs(swd=16384, fid=50000, **{'is': 50000}, msssim=20000)
    assert parse_specs('swd,msssim,kid-300,swd', 500) == specs(swd=500, msssim=500, kid=300)
    assert parse_specs('fid-10k,fid-50k') == specs(fid=10000) + specs(fid=50000)
    assert parse_specs('swd,fid') == parse_specs('swd-16k,fid-10k')
    assert [str(spec) for spec in parse_specs('swd-16k,fid-50k,is-500')] == ['swd-16k', 'fid-50k', 'is-500']
    assert [str(spec) for spec in parse_specs('fid50k,is50k,pr50k3,ppl_zfull,ppl2_wend,ls')] == [
        'fid-50k', 'is-50k', 'pr_vgg16-50k', 'ppl_zfull-100k', 'ppl2_wend-50k', 'ls-200k']
    assert label(parse_specs('swd,msssim', 500)) == 'swd-msssim-500'
    assert label(parse_specs('swd-16k,fid-50k')) == 'swd-16k-fid-50k'


@pytest.mark.parametrize('name', ['sdw', 'swd-', 'swd-0', 'fid-ten', 'fid_10k'])
def test_unknown_metrics_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"unknown metric '{name}'.*swd-16k"):
        parse_specs(name)


# One pass

def test_one_pass_equals_each_metric_by_itself_on_its_own_number_of_images(graph_file):
    inception = CountingInception(graph_file)
    reals, fakes = random_images(0, 64), random_images(1, 64) // 2
    specs = parse_specs('swd-48,msssim-20,fid-60,is-30,kid-50,pr-40')
    evaluator = Evaluator(specs, 16, seed=3, judges={'inception': inception})
    evaluator.measure('reals', by_eights(reals))
    found = evaluator.measure('fakes', by_eights(fakes))
    assert inception.seen == 2 * 60

    a, b = inception(reals), inception(fakes)
    swd = SlicedWasserstein(16, None)
    for i, (kind, images) in enumerate((('reals', reals), ('fakes', fakes))):
        swd.random = np.random.RandomState([3, i])
        swd.begin(kind)
        for part in by_eights(images[:48]):
            swd.feed(part)
        distances = swd.end()
    expected = {
        'swd-48': distances,
        'msssim-20': [ms_ssim(fakes[0:20:2], fakes[1:20:2]).mean()],
        'fid-60': [frechet_distance(*statistics(a[:60]), *statistics(b[:60]))],
        'is-30': inception_score(inception.logits(b[:30])),
        'kid-50': 1e3 * np.array(kernel_inception_distance(a[:50], b[:50])),
        'pr-40': precision_recall(a[:40], b[:40])}
    for spec, values in found.items():
        assert_allclose(list(values.values()), expected[str(spec)], rtol=1e-4, err_msg=str(spec))


def test_values_do_not_depend_on_what_was_measured_before():
    specs = parse_specs('swd-32')
    first, second = (Evaluator(specs, 16) for _ in range(2))
    for evaluator in first, second:
        evaluator.measure('reals', by_eights(random_images(0, 32)))
    second.measure('fakes', by_eights(random_images(1, 32)))
    values = [evaluator.measure('fakes', by_eights(random_images(2, 32))) for evaluator in (first, second)]
    assert values[0] == values[1]


def test_cached_features_give_the_same_values_without_a_look_at_the_images(graph_file, tmp_path):
    specs = parse_specs('fid,kid,is', 40)
    path = str(tmp_path / 'cache' / 'features.npy')
    computed = Evaluator(specs, 16, judges={'inception': Inception(graph_file)})
    values = computed.measure('reals', by_eights(random_images(0, 40)), cache=path)

    def never():
        raise AssertionError('the images were read')
        yield

    cached = Evaluator(specs, 16, judges={'inception': CountingInception(graph_file)})
    assert cached.measure('reals', never(), cache=path) == values
    assert_allclose(cached.statistics()[1], computed.statistics()[1])


@pytest.mark.parametrize('damage', [
    lambda data: b'', lambda data: data[:200], lambda data: data[:-32], lambda data: data[:-50] + b'\1' + data[-49:]])
def test_cached_features_that_are_not_what_was_written_are_computed_anew(graph_file, tmp_path, caplog, damage):
    path, specs = tmp_path / 'features.npy', parse_specs('fid', 8)

    def measured():
        evaluator = Evaluator(specs, 16, judges={'inception': Inception(graph_file)})
        evaluator.measure('reals', by_eights(random_images(0, 8)), cache=str(path))
        return evaluator.statistics()[1]

    expected, whole = measured(), path.read_bytes()
    path.write_bytes(damage(whole))
    np.testing.assert_array_equal(measured(), expected)
    assert 'are damaged, or of an earlier release; they are computed anew' in caplog.text and path.read_bytes() == whole
    os.remove(path)
    os.mkfifo(path)  # It would never begin.
    np.testing.assert_array_equal(measured(), expected)


def test_features_that_cannot_be_kept_lose_nothing_else(graph_file, tmp_path, caplog):
    (tmp_path / 'file').write_bytes(b'')
    evaluator = Evaluator(parse_specs('fid', 8), 16, judges={'inception': Inception(graph_file)})
    evaluator.measure('reals', by_eights(random_images(0, 8)), cache=str(tmp_path / 'file' / 'features.npy'))
    assert 'the features of the reals are not kept: ' in caplog.text and len(evaluator.statistics()) == 2


def test_kid_precision_and_recall_look_at_no_real_twice(graph_file, blobs, tmp_path):
    inception = Inception(graph_file)
    evaluation = RunEvaluation(str(tmp_path), parse_specs('kid-150,pr-150'), 16, blobs, judges={'inception': inception})
    fakes = random_images(1, 150)
    found = evaluation.measure('set', None, lambda count: by_eights(fakes))
    a, b = inception(np.concatenate([*real_images(blobs, 64, 64)])), inception(fakes)
    expected = [*1e3 * np.array(kernel_inception_distance(a, b)), *precision_recall(a, b)]
    assert_allclose(list(found.values()), expected, rtol=1e-5)


def test_devices_share_the_work_and_agree(graph_file, blobs, tmp_path):
    found = []
    for devices in ['CPU:0'], ['CPU:0', 'CPU:1', 'CPU:2']:
        evaluation = RunEvaluation(str(tmp_path / str(len(devices))), parse_specs('swd,msssim,fid', 32), 16, blobs,
                                   judges={'inception': Inception(graph_file, devices)}, devices=devices, minibatch=6)
        os.makedirs(evaluation.folder)
        found.append(evaluation.measure_network('network', 0, networks(0)[2]))
    assert_allclose(list(found[0].values()), list(found[1].values()), rtol=1e-4)


def test_given_statistics_stand_for_the_reals(graph_file, tmp_path):
    inception = Inception(graph_file)
    a, b = inception(random_images(0, 40)), random_images(1, 40)
    evaluation = RunEvaluation(str(tmp_path), parse_specs('fid-40'), 16, judges={'inception': inception},
                               real_statistics=statistics(a))
    found = evaluation.measure('set', None, lambda count: by_eights(b[:count]))
    assert_allclose(found['FID'], frechet_distance(*statistics(a), *statistics(inception(b))), rtol=1e-6)


def test_more_descriptors_than_memory_are_refused_unless_they_go_to_disk(tmp_path):
    specs = [Spec(SlicedWasserstein, 10 ** 9)]
    with pytest.raises(ValueError, match='SWD needs 150528 GB .* --scratch=FOLDER'):
        Evaluator(specs, 16)
    Evaluator(specs, 16, scratch=tmp_path)


def test_metrics_without_what_they_need_are_refused(tmp_path):
    with pytest.raises(ValueError, match='swd-16k compares with real images; name them with --real'):
        RunEvaluation(str(tmp_path), parse_specs('msssim,swd'), 16)


# A metric that sees the network

class Brightness(Metric):
    """Mean of the images of latents that the metric draws by itself."""

    name, sees, columns = 'brightness', 'network', ('Brightness',)
    default_count = 24

    def measure_network(self, Gs, labels, minibatch, seed, devices):
        latents = np.random.RandomState([seed, 9]).randn(len(labels), Gs.latent_size)
        return [np.mean([*generate_images(Gs, latents, labels, minibatch=minibatch, devices=devices)])]


@pytest.fixture
def brightness(blobs, tmp_path, monkeypatch):
    monkeypatch.setitem(METRICS, Brightness.name, Brightness)
    return RunEvaluation(str(tmp_path), parse_specs('msssim-16,brightness'), 16, blobs, minibatch=8)


def test_a_metric_of_the_network_is_measured_with_the_reals_labels_beside_those_of_images_and_once(brightness, blobs):
    Gs = networks(0)[2]
    found = brightness.measure_network('network', 1000, Gs)
    expected = Brightness().measure_network(Gs, real_labels(blobs, 24), 8, 0, None)[0]
    assert found['Brightness'] == expected and 0 < found['MS-SSIM'] < 1
    assert brightness.measure_network('network', 1000, Gs) == {}
    header, reals, network = table(
        brightness.records, [('Reals', None), ('network', 1000)], brightness.specs).splitlines()
    assert header.split() == ['Snapshot', 'Time_eval', 'MS-SSIM', 'Brightness']
    assert reals.split()[-1] == '-' and network.split()[-1] == f'{found["Brightness"]:.4f}'


def test_a_metric_of_the_network_alone_looks_at_no_set_of_images(brightness, monkeypatch):
    monkeypatch.setattr(Dataset, 'read', None)
    brightness.specs = brightness.specs[1:]
    assert list(brightness.measure_network('network', 1000, networks(0)[2])) == ['Brightness']


def test_a_set_of_pictures_is_refused_by_a_metric_of_the_network(brightness):
    with pytest.raises(ValueError, match=r"brightness-24 looks at a network, 'set' is a set of images; leave it out.*\.$"):
        brightness.measure('set', None, lambda count: by_eights(random_images(0, count)))


# Sets of images

def test_reals_are_those_that_training_sees_mirrored_alike(blobs):
    from data.pipeline import batches
    trained_on = next(iter(batches(blobs, 0, minibatch=20, rounds=1, position=0, seed=5, mirror=True)))
    images = np.concatenate([*real_images(blobs, 20, minibatch=6, seed=5, mirror=True)])
    np.testing.assert_array_equal(images.transpose(0, 2, 3, 1), trained_on['images'][0])
    np.testing.assert_array_equal(real_labels(blobs, 20, seed=5), trained_on['labels'][0])


def test_other_reals_are_other_images_as_long_as_there_are_any(blobs):
    first, others = (np.concatenate([*real_images(blobs, 32, 8, start=start)]) for start in (0, 32))
    assert len({image.tobytes() for image in np.concatenate([first, others])}) == 64


def test_fakes_have_the_labels_given_and_latents_of_the_seed():
    Gs = networks(0)[2]
    labels = np.eye(4, dtype=np.float32)[[2, 0, 1]]
    images = np.concatenate([*fake_images(Gs, labels, minibatch=2, seed=7)])
    latents = np.random.RandomState(7).randn(3, Gs.latent_size).astype(np.float32)
    expected = np.clip(np.rint(Gs(latents, labels).numpy() * 127.5 + 127.5), 0, 255)
    assert np.abs(images.transpose(0, 2, 3, 1) - expected).max() <= 1


@pytest.mark.parametrize('names, wanted, order, line', [
    ('abcd', 'abcd', [0, 1, 2, 3], ''), ('abcd', 'dcab', [3, 2, 0, 1], ''), (None, 'abcd', [0, 1, 2, 3], ''),
    ('abcd', 'abce', [0, 1, 2, 3], "the classes of 'blobs' are a, b, c, d, the network's a, b, c, e; they are taken by"),
    ('abc', 'abc', None, "the labels of 'blobs' have 4 components, the network's 3; classes are drawn uniformly")])
def test_fakes_have_the_classes_of_the_reals_by_their_names(blobs, monkeypatch, caplog, names, wanted, order, line):
    monkeypatch.setattr(blobs, 'class_names', names and [*names])
    Gs = types.SimpleNamespace(label_size=len(wanted), class_names=tuple(wanted))
    labels = image_sets.fake_labels(Gs, blobs, 8, seed=1)
    if order:
        np.testing.assert_array_equal(labels, real_labels(blobs, 8, seed=1)[:, order])
    else:
        np.testing.assert_array_equal(labels.sum(axis=1), np.ones(8))
    assert line in caplog.text and bool(line) == bool(caplog.text)


def test_gray_images_are_repeated_to_three_channels():
    gray = random_images(0, 2)[:, :1]
    np.testing.assert_array_equal(image_sets.to_rgb(gray), np.concatenate([gray] * 3, axis=1))


@pytest.fixture
def pictures(tmp_path):
    """A folder with a subfolder, of 20 pictures."""
    folder = tmp_path / 'pictures'
    (folder / 'more').mkdir(parents=True)
    for i, image in enumerate(random_images(0, 20).transpose(0, 2, 3, 1)):
        Image.fromarray(image).save(folder / ('more' if i >= 10 else '') / f'{i:02d}.png')
    (folder / 'notes.txt').write_text('no picture')
    return folder


def test_a_folder_and_a_zip_file_give_the_same_pictures(pictures, tmp_path):
    with zipfile.ZipFile(tmp_path / 'pictures.zip', 'w') as archive:
        for path in pictures.rglob('*.png'):
            archive.write(path, path.relative_to(pictures))
    for path in pictures, tmp_path / 'pictures.zip':
        images = open_images(str(path))
        assert (images.num_images, images.resolution) == (20, 16)
        np.testing.assert_array_equal(images.read(0, np.arange(20)), random_images(0, 20))


def test_pictures_that_cannot_be_used_are_refused_by_name(pictures, tmp_path):
    (pictures / 'broken.png').write_bytes(b'not a picture')
    with pytest.raises(ValueError, match='broken.png. is not an image'):
        Pictures(str(pictures)).read(0, np.arange(21))
    Image.new('RGB', (16, 8)).save(pictures / 'broken.png')
    with pytest.raises(ValueError, match='broken.png.* is 16x8, the first picture 16x16'):
        Pictures(str(pictures)).read(0, np.arange(21))
    Image.new('RGB', (16, 8)).save(pictures / '00.png')
    with pytest.raises(ValueError, match='00.png. is 16x8; expected square pictures.'):
        Pictures(str(pictures))
    with pytest.raises(FileNotFoundError, match='no data set, no folder'):
        open_images(str(tmp_path / 'absent'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='holds no image files'):
        open_images(str(tmp_path / 'empty'))


class Corner:
    """Stands for VGG16: some pixels."""
    sha256 = 64 * 'a'

    def describe(self, images):
        return images[:, :, :2, :2].reshape(-1, 12).astype(np.float32) / 64


def test_precision_and_recall_of_vgg16_are_those_of_its_features_of_both_sets(blobs, tmp_path):
    evaluation = RunEvaluation(str(tmp_path), parse_specs('pr_vgg16-150'), 16, blobs, judges={'vgg16': Corner()})
    fakes = random_images(1, 150)
    found = evaluation.measure('set', None, lambda count: by_eights(fakes))
    a, b = (Corner().describe(images).astype(np.float16)
            for images in (np.concatenate([*real_images(blobs, 64, 64)]), fakes))
    expected = [half.inside(b, a, half.squared_radii(a)).mean(), half.inside(a, b, half.squared_radii(b)).mean()]
    assert_allclose(list(found.values()), expected)
    assert [record['vgg16_sha256'] for record in records(tmp_path)] == 2 * [16 * 'a']


# The command

def records(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def scalars(folder):
    """{tag: [(step, value)]} of all event files, in the order in which TensorBoard reads them."""
    found = {}
    for path in sorted(folder.glob('events.out.tfevents.*')):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, float(tf.make_ndarray(value.tensor))))
    return found


def test_a_run_is_scored_newest_first_once_and_resumes(run_dir, graph_file, run_command, tmp_path):
    command = ['evaluate.py', f'--run={run_dir}', '--metrics=swd,msssim,fid,is,kid,pr', '--num_images=48',
               f'--inception={graph_file}', f'--cache={tmp_path / "cache"}', f'--save_statistics={tmp_path / "fid.npz"}']
    result = run_command(*command)
    assert result.returncode == 0, result.stderr
    text = (run_dir / 'metric-swd-msssim-fid-is-kid-pr-48.txt').read_text()
    assert text in result.stdout
    header, *rows = [line.split() for line in text.splitlines()]
    assert header == ['Snapshot', 'Time_eval', 'SWDx1e3_16', 'SWDx1e3_avg', 'MS-SSIM', 'FID', 'IS_mean', 'IS_std',
                      'KIDx1e3_mean', 'KIDx1e3_std', 'Precision', 'Recall']
    assert [row[0] for row in rows] == ['Reals', 'Other', 'network-snapshot-000002.h5', 'network-snapshot-000001.h5']
    with Image.open(run_dir / 'metric-swd-msssim-fid-is-kid-pr-48.png') as picture:
        assert picture.size == (800, 6 * 320)

    found = records(run_dir)
    newest = {record['metric']: record for record in found if record['nimg'] == 2000}
    assert sorted(newest) == ['fid-48', 'is-48', 'kid-48', 'msssim-48', 'pr-48', 'swd-48']
    assert newest['swd-48']['mirror'] is True and newest['swd-48']['reals'] == 'blobs'
    assert rows[2][2] == f'{newest["swd-48"]["values"]["SWDx1e3_16"]:.4f}'
    curves = scalars(run_dir)
    assert len(curves) == 10 and {tuple(step for step, _ in curve) for curve in curves.values()} == {(1000, 2000)}
    assert_allclose(curves['Metrics/fid-48/FID'][1][1], newest['fid-48']['values']['FID'], rtol=1e-6)
    assert load_statistics(tmp_path / 'fid.npz')[0].shape == (6,)

    # Killed while it wrote: the last record is measured again, and only that.
    lines = (run_dir / 'metrics.jsonl').read_text().splitlines(keepends=True)
    (run_dir / 'metrics.jsonl').write_text(''.join(lines[:-1]) + lines[-1][:30])
    result = run_command(*command)
    assert result.returncode == 0, result.stderr
    again = (run_dir / 'metrics.jsonl').read_text().splitlines(keepends=True)
    assert again[:len(lines) - 1] == lines[:-1]
    rewritten = [json.loads(line) for line in again[len(lines):]]
    assert {record['metric'] for record in rewritten} == {found[-1]['metric']}
    assert rewritten[-1]['values'] == found[-1]['values']
    assert scalars(run_dir) == curves  # Nothing twice.
    assert (run_dir / 'metric-swd-msssim-fid-is-kid-pr-48.txt').read_text().splitlines()[:-1] == text.splitlines()[:-1]


@pytest.fixture(scope='module')
def lpips_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('lpips') / 'vgg16_zhang_perceptual.pkl'
    path.write_bytes(small_vgg16.official(*small_vgg16.random_weights()))
    return str(path)


def test_the_path_length_of_a_stylegan_is_measured_and_recorded(run_command, lpips_file, tmp_path):
    D = stylegan.Discriminator(resolution=32, fmap_base=16, fmap_max=4, seed=0)
    Gs = stylegan.Generator(resolution=32, fmap_base=16, fmap_max=4, latent_size=4, dlatent_size=4, mapping_fmaps=4, seed=0)
    save_snapshot(str(tmp_path / 'network.h5'), Gs, D, Gs, nimg=5000)
    result = run_command('evaluate.py', f'--network={tmp_path / "network.h5"}', '--metrics=ppl_wfull-6',
                         '--minibatch=6', f'--lpips={lpips_file}', f'--output_dir={tmp_path}',
                         f'--cache={tmp_path / "cache"}')
    assert result.returncode == 0, result.stderr
    header, row = (line.split() for line in result.stdout.splitlines()[:2])
    assert header == ['Snapshot', 'Time_eval', 'PPL_wfull'] and row[0] == 'network.h5'
    found = {record['metric']: record for record in records(tmp_path)}
    lpips = load_lpips(lpips_file)
    expected = WFull(lpips).measure_network(Gs, np.zeros([6, 0], np.float32), 6, 0, None)[0]
    assert_allclose(found['ppl_wfull-6']['values']['PPL_wfull'], expected, rtol=0.05)
    assert found['ppl_wfull-6']['lpips_sha256'] == lpips.sha256[:16]
    assert not (tmp_path / 'cache').exists()


def test_two_sets_of_pictures_are_compared_and_without_inception_the_other_metrics_run(
        pictures, run_command, tmp_path, monkeypatch):
    monkeypatch.setenv('https_proxy', 'http://127.0.0.1:9')  # Nobody listens there: no download.
    result = run_command('evaluate.py', f'--real={pictures}', f'--fake={pictures}', '--metrics=swd,fid,msssim',
                         f'--output_dir={tmp_path}', f'--cache={tmp_path / "cache"}')
    assert result.returncode == 0, result.stderr
    assert 'Without fid-20: cannot download' in result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[:4]] == ['Snapshot', 'Reals', 'Other', 'pictures']
    assert {record['metric'] for record in records(tmp_path)} == {'swd-20', 'msssim-20'}


@pytest.mark.parametrize('arguments, sentence', [
    (['--run=0', '--fake=pictures'], '--run, --network and --fake each name what to score; give one of them'),
    (['--metrics='], '--metrics names no metric'),
    (['--metrics=fid,sdw'], "unknown metric 'sdw'"),
    (['--metrics=ls', '--classifiers=absent'], 'There is no absent; give --classifiers what exists'),
    (['--metrics=ppl_zend', '--fake=tests'], "ppl_zend-100k looks at a network, 'tests' is a set of images"),
])
def test_mistakes_end_in_one_sentence(run_command, arguments, sentence):
    result = run_command('evaluate.py', *arguments)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f'evaluate.py: {sentence}') and last.endswith('.')
    assert 'Traceback' not in result.stderr


def test_training_measures_its_snapshots_and_leaves_the_records_of_a_later_evaluation(data_dir, blobs, tmp_path):
    config = configs.resolve(['v2-1gpu', 'nogrowing'], [
        f'data.dir={data_dir}', 'data.name=blobs', 'network.fmap_base=32', 'network.fmap_max=8',
        'schedule.minibatch_dict={}', 'schedule.minibatch_base=8', 'schedule.tick_kimg_dict={}',
        'schedule.tick_kimg=0.064', 'train.total_kimg=0.128', 'train.network_snapshot_ticks=1',
        'train.metrics=swd-32,msssim-16'])
    strategy = tf.distribute.get_strategy()
    loop.train(config, str(tmp_path), strategy, *loop.build(config, strategy))
    found = records(tmp_path)
    assert [(record['row'], record['metric']) for record in found if record['nimg']] == [
        (name, metric) for name in ('network-snapshot-000000.h5', 'network-final.h5') for metric in ('swd-32', 'msssim-16')]
    assert f'SWDx1e3_16 {found[-2]["values"]["SWDx1e3_16"]:.4f}' in (tmp_path / 'log.txt').read_text()
    later = RunEvaluation(str(tmp_path), parse_specs('swd-32,msssim-16'), 16, blobs, mirror=config.data.mirror)
    assert later.missing('network-final.h5', 128) == later.missing('network-snapshot-000000.h5', 64) == []


def test_training_opens_what_its_metrics_look_through(blobs, lpips_file, tmp_path):
    options = configs.TrainConfig(metrics='ppl2_wend-4', lpips=lpips_file)
    Gs = stylegan.Generator(resolution=16, label_size=4, fmap_base=16, fmap_max=4, latent_size=4, dlatent_size=4, seed=0)
    evaluation = during_training(str(tmp_path), blobs, False, options)
    assert list(evaluation.measure_network('network', 1000, Gs)) == ['PPL2_wend']
    assert list(scalars(tmp_path)) == ['Metrics/ppl2_wend-4/PPL2_wend']


@pytest.mark.parametrize('metric, sentence', [
    ('sdw', "unknown metric 'sdw'"), ('ppl_wend', 'networks of kind progan have no w')])
def test_metrics_that_are_misspelt_or_cannot_measure_the_networks_are_refused_before_training(data_dir, metric, sentence):
    config = configs.resolve(['v2-1gpu'], [f'data.dir={data_dir}', 'data.name=blobs', 'network.fmap_base=32',
                                           'network.fmap_max=8', f'train.metrics={metric}'])
    with pytest.raises(ValueError, match=sentence):
        loop.build(config, tf.distribute.get_strategy())
