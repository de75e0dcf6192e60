"""Data sets by name."""
from presets.preset import Preset


def _data(name, help, mirror=False, **values):
    return Preset('data set', help, {'data.name': name, 'data.mirror': mirror, **values})


_LSUN_CATEGORIES = (
    'airplane', 'bedroom', 'bicycle', 'bird', 'boat', 'bottle', 'bridge', 'bus', 'car', 'cat', 'chair', 'churchoutdoor',
    'classroom', 'conferenceroom', 'cow', 'diningroom', 'diningtable', 'dog', 'horse', 'kitchen', 'livingroom',
    'motorbike', 'person', 'pottedplant', 'restaurant', 'sheep', 'sofa', 'tower', 'train', 'tvmonitor')

# Those that need no download, and the command that makes them without arguments.
MADE_BY = {'digits': 'create_digits', 'digitsrgb': 'create_digitsrgb', 'faces32': 'create_drawnfaces'}

# Number of images, channels, resolution and size of the labels of those whose size is known. Of LSUN's full categories it is
# the published one, undecodable files included; of the cars about as many are wide enough.
SHAPES = {'celebahq': (30000, 3, 1024, 0), 'celeba': (202599, 3, 128, 0), 'cifar10': (50000, 3, 32, 10),
          'cifar100': (50000, 3, 32, 100), 'svhn': (73257, 3, 32, 10), 'mnist': (60000, 1, 32, 10),
          'mnistrgb': (1000000, 3, 32, 0), 'digits': (1797, 1, 16, 10), 'digitsrgb': (100000, 3, 16, 0),
          'syn1024rgb': (10000, 3, 1024, 0), 'faces32': (10000, 3, 32, 0), 'ffhq': (70000, 3, 1024, 0),
          'lsun-bedroom-full': (3033042, 3, 256, 0), 'lsun-car-512x384': (893000, 3, 512, 0),
          'lsun-cat-full': (1657266, 3, 256, 0), 'lsun-car': (893000, 3, 512, 0), 'lsun-cat': (1657266, 3, 256, 0),
          'lsun-church': (126227, 3, 256, 0), 'lsun-horse': (2000340, 3, 256, 0),
          **{f'lsun-{category}-100k': (100000, 3, 256, 0) for category in _LSUN_CATEGORIES}}

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
    'digitsrgb': _data('digitsrgb', '100000 triples of these digits at 16x16, made when missing'),
    'syn1024rgb': _data('syn1024rgb', 'synthetic black images at 1024x1024, no files'),
    **{f'lsun-{category}-100k': _data(f'lsun-{category}-100k', '100000 pictures at 256x256', mirror=True)
       for category in _LSUN_CATEGORIES},
    'ffhq': _data('ffhq', '70000 faces at 1024x1024', mirror=True),
    'lsun-bedroom-full': _data('lsun-bedroom-full', '3033042 bedrooms at 256x256, all there are'),
    'lsun-car-512x384': _data('lsun-car-512x384', '893000 cars, 512x384 in the middle of 512x512'),
    'lsun-cat-full': _data('lsun-cat-full', '1657266 cats at 256x256, all there are'),
    'faces32': _data('faces32', '10000 drawn faces at 32x32, made when missing', mirror=True),
    'lsun-car': _data('lsun-car', '893000 cars, 512x384 in the middle of 512x512, for StyleGAN2'),
    'lsun-cat': _data('lsun-cat', '1657266 cats at 256x256, for StyleGAN2'),
    'lsun-church': _data('lsun-church', '126227 churches at 256x256, for StyleGAN2'),
    'lsun-horse': _data('lsun-horse', '2000340 horses at 256x256, for StyleGAN2'),
}
