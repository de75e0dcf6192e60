"""People's own pictures are the same pixels to evaluate.py as in the data set that is built from them."""
import os
import shutil
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageCms
from small_inception import small_graph

from data.build import build
from data.folders import from_images
from data.tfrecords import Dataset
from metrics.image_sets import Pictures, open_images, real_images, to_rgb
from metrics.inception import Inception
from metrics.run_evaluation import REALS, RunEvaluation
from metrics.table import parse_specs


def gamma_profile():
    """sRGB's profile with its red and green primaries exchanged: colours that nobody takes for sRGB."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    red, green = data.index(b'rXYZ', 128), data.index(b'gXYZ', 128)
    data[red:red + 4], data[green:green + 4] = b'gXYZ', b'rXYZ'
    return bytes(data)


def rotated(image, path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(path, exif=exif)


KINDS = {
    'plain': lambda image, path: image.save(path),
    'rgba': lambda image, path: Image.merge('RGBA', [*image.split(), image.getchannel(1)]).save(path),
    'gray_alpha': lambda image, path: Image.merge('LA', image.split()[:2]).save(path),
    '16_bit': lambda image, path: Image.fromarray(np.asarray(image.convert('L')).astype(np.uint16) * 200).save(path),
    'exif': rotated,
    'palette': lambda image, path: image.quantize(16).save(path, transparency=3),
    'profile': lambda image, path: image.save(path, icc_profile=gamma_profile()),
}


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of 16 pictures of a kind, in two folders."""
    def make(kind):
        shutil.rmtree(tmp_path / 'set', ignore_errors=True)
        for i in range(16):
            pixels = np.random.RandomState(i).randint(256, size=[16, 16, 3]).astype(np.uint8)
            path = tmp_path / 'set' / str(i % 2) / f'{i}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            KINDS[kind](Image.fromarray(pixels), path)
        (tmp_path / 'set' / '._0.png').write_bytes(b'x')
        return tmp_path / 'set'
    return make


@pytest.mark.parametrize('kind', KINDS)
def test_a_folder_a_zip_file_and_a_link_hold_the_pixels_of_their_data_set(folder, tmp_path, kind):
    path = folder(kind)
    with zipfile.ZipFile(tmp_path / 'set.zip', 'w') as file:
        for picture in sorted(path.rglob('*.png')):
            file.write(picture, picture.relative_to(path))
    (tmp_path / 'links').mkdir()
    os.symlink(path, tmp_path / 'links' / 'linked')
    os.symlink('.', path / 'again')
    build(tmp_path / 'data', from_images(str(path), shuffle=0), num_workers=0)
    dataset = open_images(str(tmp_path / 'data'))
    assert isinstance(dataset, Dataset)
    expected = to_rgb(dataset.read(0, np.arange(16)))
    for place in path, tmp_path / 'set.zip', tmp_path / 'links':
        pictures = open_images(str(place))
        assert (pictures.num_images, pictures.resolution) == (16, 16)
        assert_array_equal(pictures.read(0, np.arange(16)), expected)
    if kind != 'plain':
        assert (expected != np.stack([Pictures(str(folder('plain'))).read(0, np.arange(16))])[0]).any()


def test_a_change_of_one_picture_changes_the_fingerprint(folder):
    path = folder('plain')
    before = Pictures(str(path)).fingerprint()
    assert Pictures(str(path)).fingerprint() == before
    Image.new('RGB', (16, 16)).save(path / '1' / '7.png')
    assert Pictures(str(path)).fingerprint() != before


def test_too_many_pixels_and_files_that_are_nothing_are_refused(folder, tmp_path, run_command):
    result = run_command('evaluate.py', f'--fake={folder("plain")}', '--metrics=msssim', '--max_pixels=255')
    assert result.returncode == 1
    assert result.stderr.endswith(' has 256 pixels, 255 are allowed; if that is right, give --max_pixels=256.\n')
    (tmp_path / 'text').write_text('text')
    with pytest.raises(ValueError, match="text' is neither a folder nor a zip file, or is damaged"):
        open_images(str(tmp_path / 'text'))


@pytest.mark.parametrize('kind', ['folder', 'zip', 'data set'])
def test_what_was_measured_of_pictures_is_measured_again_once_one_of_them_has_changed(folder, tmp_path, kind):
    path = folder('plain')

    def written():
        if kind == 'zip':
            return Pictures(shutil.make_archive(tmp_path / 'set', 'zip', path))
        if kind == 'data set':
            shutil.rmtree(tmp_path / 'records', ignore_errors=True)
            build(str(tmp_path / 'records'), from_images(str(path)), num_workers=0)
            return Dataset(str(tmp_path / 'records'))
        return Pictures(str(path))

    (tmp_path / 'graph.pb').write_bytes(small_graph().SerializeToString())
    fakes = np.random.RandomState(99).randint(256, size=[16, 3, 16, 16]).astype(np.uint8)

    def measured():  # As evaluate.py does: features of reals and what is on record are there from the last time.
        found = RunEvaluation(str(tmp_path), parse_specs('fid-16,swd-16'), 16, written(),
                              judges={'inception': Inception(str(tmp_path / 'graph.pb'))}, cache=str(tmp_path / 'cache'))
        missing = found.missing(REALS, None)
        values = found.measure('fakes', None, lambda count: [fakes], again=True)
        return missing, np.array([values['FID'], values['SWDx1e3_16']])

    first, values = measured()
    again, same = measured()
    assert len(first) == 2 and again == [] and (same == values).all()
    Image.new('RGB', (16, 16)).save(path / '1' / '7.png')
    anew, changed = measured()
    assert anew == first and (abs(changed - values) > 1e-3 * values).all()


def test_pictures_without_a_bright_pixel_bring_a_hint(tmp_path, caplog):
    Image.fromarray(np.full([16, 16], 4095, np.uint16)).save(tmp_path / '0.png')
    pictures = Pictures(str(tmp_path))
    assert next(real_images(pictures, 2, 2)).max() == 16 and not caplog.text  # Not before all have been seen.
    list(real_images(pictures, 3, 2))
    assert 'is brighter than 16 of 255; if the pictures hold 12 bits in 16, scale them first' in caplog.text
