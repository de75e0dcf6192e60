"""Which files of a folder or zip file are its pictures, and what tells that one of them was changed."""
import io
import os
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from data.image_files import ImageFiles


def png(shade):
    """A PNG file of one shade of gray."""
    buffer = io.BytesIO()
    Image.new('L', (4, 4), shade).save(buffer, 'PNG')
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Four pictures of the shades 0 to 3."""
    (tmp_path / 'set').mkdir()
    for i in range(4):
        (tmp_path / 'set' / f'{i}.png').write_bytes(png(i))
    return tmp_path / 'set'


def shades(files):
    return [files.decode(name).getpixel((0, 0)) for name in files.names]


def archive(path, *members):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
    return str(path)


LITTER = ['.DS_Store', 'Thumbs.db', '._0.png', 'desktop.ini', '__MACOSX/._1.png', '.hidden/0.png']


@pytest.mark.parametrize('others, line', [
    ([], ''),
    (LITTER, ''),
    (['0.HEIC', '1.heic'], '4 of 6 files are pictures; passed over: 2 .heic (pip install pillow-heif makes them readable)'),
    (['clip.mpg', 'features.h5', 'notes.txt', 'README', *LITTER],
     '4 of 8 files are pictures; passed over: 1 without an ending, 1 .h5, 1 .mpg, 1 .txt'),
])
def test_litter_is_passed_over_and_other_files_are_counted(folder, tmp_path, others, line, caplog):
    caplog.set_level('INFO', 'absl')
    for name in others:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b'x')
    paths = sorted(path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    zipped = archive(tmp_path / 'set.zip', *((f'top/{path}', (folder / path).read_bytes()) for path in paths))
    for place, top in (str(folder), ''), (zipped, 'top/'):
        files = ImageFiles(place)
        assert files.names == [f'{top}{i}.png' for i in range(4)]
        assert shades(files) == [0, 1, 2, 3]
        assert line in caplog.text and bool(line) == bool(caplog.text)
        caplog.clear()


def test_every_kind_of_picture_is_listed_whatever_the_case_of_its_ending(tmp_path):
    names = ['a.JPG', 'b.Jpeg', 'c.jfif', 'd.gif', 'e.avif', 'f.webp', 'g.tif', 'h.ppm', 'i.bmp', 'j.tga', 'k.jp2']
    kinds = ['JPEG', 'JPEG', 'JPEG', 'GIF', 'AVIF', 'WEBP', 'TIFF', 'PPM', 'BMP', 'TGA', 'JPEG2000']
    for name, kind in zip(names, kinds, strict=True):
        Image.new('RGB', (16, 16), (200, 200, 200)).save(tmp_path / name, kind)
    files = ImageFiles(str(tmp_path))
    assert files.names == names
    assert max(abs(shade - 200) for pixel in shades(files) for shade in pixel) <= 1


def test_linked_folders_are_seen_once(folder, tmp_path):
    os.symlink('.', folder / 'again')
    os.symlink(folder, folder / 'and_again')
    (folder / 'z').mkdir()
    (folder / 'z' / '4.png').write_bytes(png(4))
    os.symlink('z', folder / 'a')
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'elsewhere' / '5.png').write_bytes(png(5))
    os.symlink(tmp_path / 'elsewhere', folder / 'linked')
    os.symlink(tmp_path / 'elsewhere', folder / 'linked_twice')
    os.symlink(folder, tmp_path / 'elsewhere' / 'back')
    os.symlink(folder, tmp_path / 'way')
    for place in folder, tmp_path / 'way':
        assert ImageFiles(str(place)).names == ['0.png', '1.png', '2.png', '3.png', 'linked/5.png', 'z/4.png']


def test_members_of_one_name_are_each_themselves(tmp_path):
    with pytest.warns(UserWarning, match='Duplicate name'):
        path = archive(tmp_path / 'dup.zip', *(('same.png', png(i)) for i in range(3)), ('other.png', png(9)),
                       ('more\\0.png', png(10)))
    files = ImageFiles(path)
    assert files.names == ['more/0.png', 'other.png', 'same#2.png', 'same#3.png', 'same.png']
    assert shades(files) == [10, 9, 1, 2, 0]


def test_members_below_a_dot_and_what_is_appended_are_read_as_others(tmp_path):
    path = archive(tmp_path / 'a.zip', ('./cat/0.png', png(0)), ('dog//1.png', png(1)), ('../2.png', png(2)))
    with open(path, 'ab') as file:
        file.write(b'signature' * 9)
    files = ImageFiles(path)
    assert files.names == ['../2.png', 'cat/0.png', 'dog/1.png'] and shades(files) == [2, 0, 1]


def test_a_zip_file_that_is_written_again_is_read_again(tmp_path):
    path = archive(tmp_path / 'a.zip', ('0.png', png(0)), ('1.png', png(1)))
    before = ImageFiles(path)
    assert shades(before) == [0, 1]
    archive(tmp_path / 'b.zip', ('0.png', png(7)), ('2.png', png(2)), ('3.png', png(3)))
    os.replace(tmp_path / 'b.zip', path)
    assert shades(ImageFiles(path)) == [7, 2, 3] and ImageFiles(path).fingerprint() != before.fingerprint()


def test_names_of_any_writing_are_read(tmp_path):
    for i, name in enumerate(['Überraschung', '日本語', "it's", 'emoji😀', 'caf\udce9']):
        (tmp_path / f'{name}.png').write_bytes(png(i))
    files = ImageFiles(str(tmp_path))
    assert sorted(shades(files)) == [0, 1, 2, 3, 4]
    assert files.fingerprint()


def test_zip_files_that_cannot_be_read_are_refused(folder, tmp_path):
    whole = archive(tmp_path / 'whole.zip', ('0.png', png(0)))
    data = (tmp_path / 'whole.zip').read_bytes()
    (tmp_path / 'short.zip').write_bytes(data[:-30])
    with pytest.raises(ValueError, match="short.zip' is neither a folder nor a zip file, or is damaged .*; get it again.$"):
        ImageFiles(str(tmp_path / 'short.zip'))
    encrypted = bytearray(data)
    for signature, offset in (b'PK\3\4', 6), (b'PK\1\2', 8):  # Bit 0 of the flags of each header.
        encrypted[data.index(signature) + offset] |= 1
    (tmp_path / 'secret.zip').write_bytes(encrypted)
    with pytest.raises(ValueError, match='^is encrypted; unpack the zip file and name the folder.$'):
        ImageFiles(str(tmp_path / 'secret.zip')).decode('0.png')
    assert shades(ImageFiles(whole)) == [0]


def test_where_there_are_no_pictures_it_is_said_what_there_is(tmp_path):
    archive(tmp_path / 'inner.zip', ('0.png', png(0)))
    with pytest.raises(FileNotFoundError, match="holds no image files, but 1 .zip; name a folder or a zip file of images."):
        ImageFiles(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="none' is neither a folder nor a zip file; check its name."):
        ImageFiles(str(tmp_path / 'none'))


def test_every_change_changes_the_fingerprint(folder, tmp_path):
    def both():
        members = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
        nonlocal number
        number += 1
        return ImageFiles(str(folder)).fingerprint(), ImageFiles(archive(tmp_path / f'{number}.zip', *members)).fingerprint()

    number = 0
    before = both()
    assert both() == before
    (folder / '2.png').write_bytes(png(7))
    assert not set(both()) & set(before)
    (folder / '2.png').write_bytes(png(2))
    changed = os.stat(folder / '2.png')
    assert both()[1] == before[1]
    os.utime(folder / '2.png', ns=(changed.st_atime_ns, changed.st_mtime_ns + 1))
    assert both()[0] != before[0] and both()[1] == before[1]
    (folder / '3.png').rename(folder / '4.png')
    assert not set(both()) & set(before)


def test_a_picture_of_too_many_pixels_is_refused_with_the_way_to_allow_it(tmp_path):
    Image.new('1', (20000, 10000)).save(tmp_path / 'big.png')
    with pytest.raises(ValueError, match='^has 200000000 pixels, 178956970 are allowed; .* give --max_pixels=200000000.$'):
        ImageFiles(str(tmp_path)).decode('big.png')
    assert_array_equal(np.shape(ImageFiles(str(tmp_path), 2 * 10 ** 8).decode('big.png')), [10000, 20000])


def test_a_link_to_nothing_is_told_like_a_damaged_picture(folder):
    os.symlink('/nowhere/4.png', folder / '4.png')
    files = ImageFiles(str(folder))
    assert files.names[-1] == '4.png'
    with pytest.raises(ValueError, match='cannot be read'):
        files.decode('4.png')
