"""The networks through which metrics look at images: which ones a metric needs, and where they come from."""
from absl import logging

from files import sha256
from metrics import digits, inception, lpips, vgg16
from metrics.classifiers import Classifiers
from metrics.downloads import check, obtain
from metrics.inception import Inception
from official.weights import read_weights


def open_judges(specs, files, cache, devices=None, go_on=False):
    """Opens the judges that specs need. -> (the specs that can be measured, {name of a judge: network})

    `files` has a path, or None, by the names of `JUDGES`; without one Inception, VGG16 and LPIPS are downloaded to `cache`,
    once. Where that fails and it may `go_on`, the metrics that need it are left out, unless all do. OSError, ValueError.
    """
    opened = {}
    for name, (needs, open_judge) in JUDGES.items():
        needing = [spec for spec in specs if name in spec.judges]
        if not needing:
            continue
        try:
            opened[name] = open_judge(files, cache, devices)
        except OSError as error:
            if not go_on or needing == specs or any(files.get(file) for file in needs):
                raise
            logging.warning('Without %s: %s', ', '.join(map(str, needing)), error)
            specs = [spec for spec in specs if spec not in needing]
    return specs, opened


def _inception(files, cache, devices):
    path = files.get('inception') or inception.obtain(cache)
    if files.get('inception_sha256'):
        check(path, files['inception_sha256'])
    return Inception(path, devices)


def _vgg16_file(files, cache):
    def inspect(path):
        check(path, vgg16.URL.split('-')[-1].split('.')[0])  # PyTorch's files are named by what their SHA-256 begins with.
        vgg16.convolutions_of(read_weights(path), path)
    return files.get('vgg16') or obtain(cache, vgg16.URL, 'VGG16', 'vgg16', inspect)


def _vgg16(files, cache, devices):
    path = _vgg16_file(files, cache)
    weights = read_weights(path)
    return vgg16.VGG16(vgg16.convolutions_of(weights, path)[0], vgg16.dense_of(weights, path), sha256(path), devices)


def _lpips(files, cache, devices):
    path = files.get('lpips') or obtain(cache, lpips.URL, 'the weights of LPIPS', 'lpips', lpips.inspect, 'lpips-vgg.pth')
    return lpips.load_lpips(path, lambda: _vgg16_file(files, cache))


def open_lpips(files, cache):
    """LPIPS of `files`, as open_judges takes them, or of what is downloaded to `cache`. OSError, ValueError."""
    return _lpips(files, cache, None)


def open_vgg16(files, cache):
    """VGG16 without its fully connected layers, of `files` or the download as open_lpips. OSError, ValueError."""
    path = _vgg16_file(files, cache)
    return vgg16.VGG16(vgg16.convolutions_of(read_weights(path), path)[0])


def _classifiers(files, cache, devices):
    if not files.get('classifiers'):
        raise ValueError('ls needs classifiers of the attributes of CelebA-HQ; name the folder of their pickles with '
                         '--classifiers, or for training with --set=train.classifiers=FOLDER.')
    return Classifiers(files['classifiers'])


def _digits(files, cache, devices):
    scans = digits.mnist_scans(files['mnist']) if files.get('mnist') else digits.small_scans()
    return digits.DigitClassifier(scans, cache, devices)


# Name -> (the files that it can be made of, what opens it).
JUDGES = {'inception': (('inception',), _inception), 'vgg16': (('vgg16',), _vgg16), 'lpips': (('lpips', 'vgg16'), _lpips),
          'classifiers': (('classifiers',), _classifiers), 'digits': (('mnist',), _digits)}
