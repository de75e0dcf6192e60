"""Data sets by name."""
from presets.preset import Preset


def _data(name, help, mirror=False, **values):
    return Preset('data set', help, {'data.name': name, 'data.mirror': mirror, **values})


_LSUN_CATEGORIES = (
    'airplane', 'bedroom', 'bicycle', 'bird', 'boat', 'bottle', 'bridge', 'bus', 'car', 'cat', 'chair', 'churchoutdoor',
    'classroom', 'conferenceroom', 'cow', 'diningroom', 'diningtable', 'dog', 'horse', 'kitchen', 'livingroom',
    'motorbike', 'person', 'pottedplant', 'restaurant', 'sheep', 'sofa', 'tower', 'train', 'tvmonitor')

PRESETS = {
    'celebahq': _data('celebahq', '30000 faces at 1024x1024', mirror=True),
    'celeba': _data('celeba', '202599 faces at 128x128', mirror=True),
    # For CIFAR-10 the paper raises the target of the gradient norm to 750.
    'cifar10': _data('cifar10', '50000 pictures at 32x32, 10 classes', **{'loss.wgan_target': 750.0}),
    'cifar100': _data('cifar100', '50000 pictures at 32x32, 100 classes'),
    'svhn': _data('svhn', '73257 house numbers at 32x32, 10 classes'),
    'mnist': _data('mnist', '60000 digits at 32x32, 10 classes'),
    'mnistrgb': _data('mnistrgb', '1000000 triples of digits at 32x32'),
    'digits': _data('digits', '1797 digits at 16x16, 10 classes, in scikit-learn'),
    'syn1024rgb': _data('syn1024rgb', 'synthetic black images at 1024x1024, no files'),
    **{f'lsun-{category}-100k': _data(f'lsun-{category}-100k', '100000 pictures at 256x256', mirror=True)
       for category in _LSUN_CATEGORIES},
    'ffhq': _data('ffhq', '70000 faces at 1024x1024', mirror=True),
    'lsun-bedroom-full': _data('lsun-bedroom-full', 'all bedrooms at 256x256'),
    'lsun-car-512x384': _data('lsun-car-512x384', 'cars at 512x384 in squares of 512'),
    'lsun-cat-full': _data('lsun-cat-full', 'all cats at 256x256'),
}
