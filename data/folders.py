"""Pictures of any kind in a folder or a zip file, with labels from sub-folders, JSON or CSV."""
import functools

from data.image_files import ImageFiles
from data.images import fit_square, to_planes
from data.labels import read_labels
from data.sources import Source


def from_images(image_dir, *, shuffle=1, resolution=None, fit='error', channels=None, labels=None, label_level=None,
                max_pixels=None, max_file_mib=None):
    """Images of a folder, its sub-folders included, or of a zip file, in the order of their names.

    All must be squares of one power of two, as the first image is, unless `resolution` is given: then they are resized,
    and `fit` (crop, pad or stretch) makes them square. `channels`: 1 or 3, by default as the first image has. `labels`:
    'folders' makes a class of each sub-folder, at the level `label_level` if there are several; a .json or .csv file
    names one per image; by default a dataset.json among the images does, unless it is 'none'.
    """
    files = ImageFiles(image_dir, max_pixels, max_file_mib)
    name, first = first_image(files)
    if resolution is None:
        resolution = first.width
        if fit != 'error':
            raise ValueError(f'--fit={fit} needs a --resolution, the power of two that images are brought to.')
        if first.width != first.height or resolution & (resolution - 1):
            raise ValueError(f"'{name}' is {first.width}x{first.height}, not a square power of two; choose a "
                             '--resolution, and --fit=crop, --fit=pad or --fit=stretch.')
        fit = None
    load = functools.partial(_load, files, resolution, fit, channels, len(first.getbands()))
    channels = channels or len(first.getbands())
    labels, class_names = read_labels(files, labels, label_level)
    source = Source(resolution, channels, files.names, load, labels, class_names, heavy=True)
    return source.shuffled() if shuffle else source


def first_image(files):
    """Name and pixels of the first image that can be read; the others are reported when their turn comes."""
    for name in files.names:
        try:
            return name, files.decode(name)
        except ValueError as error:
            failure = error
    raise ValueError(f"none of the {len(files.names)} images of '{files.path}' can be read: '{files.names[-1]}' {failure}")


def _load(files, resolution, fit, channels, first_channels, name):
    """One image as uint8 [C, R, R]; `fit` None demands that it has that size."""
    image = files.decode(name)
    if fit is None and image.size != (resolution, resolution):
        raise ValueError(f'is {image.width}x{image.height}, the first is {resolution}x{resolution}; '
                         'choose a --resolution.')
    if channels is None and len(image.getbands()) > first_channels:
        raise ValueError('has colours, the first is gray; choose --channels=1 or --channels=3.')
    if fit is not None:
        image = fit_square(image, resolution, fit)
    return to_planes(image.convert('L' if (channels or first_channels) == 1 else 'RGB'))
