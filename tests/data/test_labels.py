"""Labels as people write them: right, or refused with the file and the image."""
import json
import unicodedata
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from data.folders import from_images
from data.image_files import ImageFiles
from data.labels import read_labels

NAMES = [f'{i:02d}.png' for i in range(12)]


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of black pictures of these names."""
    def make(names=NAMES):
        for name in names:
            path = tmp_path / 'lab' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new('L', (4, 4)).save(path)
        return tmp_path / 'lab'
    return make


def zipped(folder, path, **texts):
    """The folder as a zip file, with these files beside."""
    with zipfile.ZipFile(path, 'w') as file:
        for image in sorted(folder.rglob('*.png')):
            file.write(image, image.relative_to(folder))
        for name, text in texts.items():
            file.writestr(name.replace('_', '.'), text)
    return str(path)


def table(labels, line='{},{}\n', head='', names=NAMES):
    return head + ''.join(line.format(name, label) for name, label in zip(names, labels, strict=True))


def pairs(labels, name='{}'):
    return json.dumps({'labels': [[name.format(each), label] for each, label in zip(NAMES, labels, strict=True)]})


def classes(numbers):
    return np.eye(max(numbers) + 1, dtype=np.float32)[numbers]


TWELVE, TENTHS, TWO = list(range(12)), [i / 10 for i in range(12)], [i % 2 for i in range(12)]
ZOO = [('zebra', 'ape', 'cat')[i % 3] for i in range(12)]
ONE_OF_THREE = np.eye(3)[np.arange(12) % 3].tolist()


@pytest.mark.parametrize('name, text, expected', [
    ('plain.csv', table(TWELVE), classes(TWELVE)),
    ('space.csv', table(TWELVE, '{}, {} \n'), classes(TWELVE)),
    ('bom.csv', table(TWELVE).encode('utf-8-sig'), classes(TWELVE)),
    ('utf16.csv', table(TWELVE).encode('utf-16'), classes(TWELVE)),
    ('semicolon.csv', table(TWELVE, '{};{}\n'), classes(TWELVE)),
    ('tab.csv', table(TWELVE, '{}\t{}\r\n'), classes(TWELVE)),
    ('header.csv', table(TWELVE, head='filename,label\n'), classes(TWELVE)),
    ('blank.csv', table(TWELVE, head='\n') + '\n , \n', classes(TWELVE)),
    ('quoted.csv', table(TWELVE, '"{}","{}"\n'), classes(TWELVE)),
    ('more.csv', table(TWELVE) + 'another.png,40\n', classes(TWELVE)),
    ('floats.csv', table(TENTHS), np.float32(TENTHS)[:, np.newaxis]),
    ('commas.csv', table(['0,5', '1,5'] * 6, '{};{}\n'), np.float32([[0.5], [1.5]] * 6)),
    ('several.csv', table(['1,2.5'] * 12, head='file,x,y\n'), np.float32([[1, 2.5]] * 12)),
    ('zoo.csv', table(ZOO), classes([2, 0, 1] * 4)),
    ('zeros.csv', table(['01', '1', '2'] * 4), classes([0, 1, 2] * 4)),
    ('accents.csv', table(['caf\xe9', 'cafe\u0301', 'zoo'] * 4), classes([0, 0, 1] * 4)),
    ('ada.json', pairs(TWELVE), classes(TWELVE)),
    ('ADA.JSON', pairs(TWELVE), classes(TWELVE)),
    ('strings.json', pairs(map(str, TWELVE)), classes(TWELVE)),
    ('whole.json', pairs(map(float, TWELVE)), classes(TWELVE)),
    ('floats.json', pairs(TENTHS), np.float32(TENTHS)[:, np.newaxis]),
    ('gap.json', pairs([1 + i for i in TWO]), classes([1 + i for i in TWO])),
    ('high.json', pairs([9000 + i for i in TWELVE]), classes([9000 + i for i in TWELVE])),
    ('ids.json', pairs([10000 * (2 - i) + 1 for i in TWO]), classes([1 - i for i in TWO])),
    ('lists.json', pairs(ONE_OF_THREE), np.float32(ONE_OF_THREE)),
    ('back.json', pairs(TWELVE, '.\\{}'), classes(TWELVE)),
    ('prefix.json', pairs(TWELVE, 'lab/{}'), classes(TWELVE)),
    ('absolute.json', pairs(TWELVE, 'C:\\pictures\\{}'), classes(TWELVE)),
    ('object.json', json.dumps(dict(zip(NAMES, ZOO, strict=True))), classes([2, 0, 1] * 4)),
    ('objects.json', json.dumps({'labels': dict(zip(NAMES, TWELVE, strict=True))}), classes(TWELVE)),
    ('list.json', json.dumps(list(zip(NAMES, TWELVE, strict=True))), classes(TWELVE)),
    ('utf16.json', pairs(TWELVE).encode('utf-16'), classes(TWELVE)),
    ('twice.json', pairs(TWELVE)[:-2] + ', ["./00.png", 0]]}', classes(TWELVE)),
])
def test_label_files_are_read_as_they_are_meant(folder, tmp_path, name, text, expected):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    labels, names = read_labels(ImageFiles(str(folder())), str(tmp_path / name))
    assert_array_equal(labels, expected)
    assert labels.dtype == np.float32
    assert names == {'zeros.csv': ['01', '1', '2'], 'accents.csv': ['caf\xe9', 'zoo'],
                     'zoo.csv': ['ape', 'cat', 'zebra'], 'object.json': ['ape', 'cat', 'zebra'],
                     'ids.json': ['10001', '20001']}.get(name)


@pytest.mark.parametrize('name, text, message', [
    ('missing.csv', table(TWELVE[:3] + [''] + TWELVE[4:]), "gives '03.png' the label \"\", which is empty"),
    ('semicolons.csv', table(TWELVE, '{},{},\n'), "gives '00.png' the label .*, which is empty"),
    ('negative.csv', table([2 * i - 1 for i in TWO]), "gives '00.png' the class -1; number classes from 0"),
    ('latin.csv', table(['caf\xe9'] * 12).encode('latin-1'), "is not a JSON object or a CSV table .*can't decode"),
    ('names.csv', '00.png\n01.png\n', "has no label for 10 of 12 images, the first is '02.png'"),
    ('mixed.csv', table(TWELVE[:3] + ['cat'] + TWELVE[4:]), "gives '00.png' \"0\" and '03.png' \"cat\"; give all images"),
    ('empty.csv', '\n', 'holds no labels; expected a file name and a label'),
    ('null.json', '{"labels": null}', 'holds no labels; expected a file name and a label'),
    ('nulls.json', pairs(TWELVE[:3] + [None] + TWELVE[4:]), "gives '03.png' the label null"),
    ('mixed.json', pairs([[1.0], *TWELVE[1:]]), "gives '00.png' \\[1.0\\] and '01.png' 1; give all images"),
    ('lengths.json', pairs([[1]] * 11 + [[1, 2]]), "gives '00.png' \\[1\\] and '11.png' \\[1, 2\\]; give all images"),
    ('nan.json', pairs([[float('nan'), 1.0]] * 12), "gives '00.png' the label \\[NaN, 1.0\\], which is not finite"),
    ('nan.csv', table(['nan'] * 12), "gives '00.png' the label \"nan\", which is not finite"),
    ('single.json', pairs([[1e39]] * 12), "gives '00.png' the label \\[1e\\+39\\], which 32 bits do not hold"),
    ('huge.json', pairs([10 ** 400] * 12), "gives '00.png' the label 10*, which is not finite"),
    ('words.json', pairs([['a', 'b']] * 12), 'which is no list of numbers'),
    ('true.json', pairs([True] * 12), 'which is neither a number nor a name'),
    ('dup.json', pairs(TWELVE)[:-2] + ', ["00.png", 5]]}', "lists '00.png' twice, with 0 and 5; remove one"),
    ('keys.json', '{"00.png": 1, "00.png": 2}', "lists '00.png' twice, with 1 and 2; remove one"),
    ('triple.json', json.dumps([[name, 0, 1] for name in NAMES]), 'it holds \\["00.png", 0, 1\\] where a pair'),
    ('trailing.json', '{"labels": [["00.png", 0], ["01.png", 1],]}', 'is not a JSON object .*line 1 column 4'),
    ('numbers.json', '[1, 2]', 'is not a JSON object or a CSV table .*it holds 1 where a pair'),
    ('number.json', '5', 'is not a JSON object or a CSV table'),
    ('other.json', pairs(TWELVE, 'a{}'), "12 of 12 images, the first is '00.png'; a name in it is 'a11.png'"),
    ('one.json', '{"00.png": 1}', "no label for 11 of 12 images, the first is '01.png'"),
])
def test_what_is_no_label_is_refused_with_the_file_and_the_image(folder, tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"^'.*{name}' .*{message}.*\\.$"):
        read_labels(ImageFiles(str(folder())), str(tmp_path / name))


def test_a_missing_label_file_is_refused_with_what_labels_can_be(folder):
    with pytest.raises(ValueError, match="'none.csv' cannot be read .*; --labels takes 'folders', 'none', or a"):
        read_labels(ImageFiles(str(folder())), 'none.csv')


def test_accents_written_either_way_are_one_name(folder, tmp_path):
    names = ['café.png', 'naïve.png']
    files = ImageFiles(str(folder([unicodedata.normalize('NFD', name) for name in names])))
    (tmp_path / 'nfc.json').write_text(json.dumps({unicodedata.normalize('NFC', name): i for i, name in enumerate(names)}))
    assert_array_equal(read_labels(files, str(tmp_path / 'nfc.json'))[0], np.eye(2))


def test_names_with_or_without_the_leading_folders_are_the_same(folder, tmp_path):
    names = [f'{c}/{i}.png' for c in range(3) for i in range(2)]
    path = folder(names)
    for given in names, [name.replace('/', '\\') for name in names], [f'lab\\{name}' for name in names]:
        (tmp_path / 'labels.json').write_text(json.dumps({name: i // 2 for i, name in enumerate(given)}))
        for files in ImageFiles(str(path)), ImageFiles(str(path.parent)):
            assert_array_equal(read_labels(files, str(tmp_path / 'labels.json'))[0], classes([0, 0, 1, 1, 2, 2]))


PETS = [f'{animal}/{i}.png' for animal in ('cat', 'dog') for i in range(3)]
TWICE = ([0] * 3 + [1] * 3) * 2


@pytest.mark.parametrize('names, level, expected, class_names', [
    (PETS, None, [0] * 3 + [1] * 3, ['cat', 'dog']),
    ([f'pets/{name}' for name in PETS], None, [0] * 3 + [1] * 3, ['cat', 'dog']),
    ([f'my/own/{name}' for name in PETS], None, [0] * 3 + [1] * 3, ['cat', 'dog']),
    ([f'{part}/{name}' for part in ('train', 'val') for name in PETS], None, TWICE, ['cat', 'dog']),
    ([f'top/{part}/{name}' for part in ('Test', 'Training') for name in PETS], None, TWICE, ['cat', 'dog']),
    ([name.replace('/', '/deeper/') for name in PETS], None, [0] * 3 + [1] * 3, ['cat', 'dog']),
    ([f'{name[:-4]}{name[:-4].replace("/", "")}/only.png' for name in PETS], None, [0] * 3 + [1] * 3, ['cat', 'dog']),
    (['cat/0.png', 'dog/deeper/0.png', 'dog/deeper/1.png'], None, [0, 1, 1], ['cat', 'dog']),
    ([f'{year}/{name}' for year in ('y1', 'y2') for name in PETS], 2, TWICE, ['cat', 'dog']),
    ([f'{year}/{name}' for year in ('y1', 'y2') for name in PETS], 1, [0] * 6 + [1] * 6, ['y1', 'y2']),
    ([f'{part}/{i}.png' for part in ('train', 'val') for i in range(2)], 1, [0, 0, 1, 1], ['train', 'val']),
    ([f'{i}/x.png' for i in TWELVE], None, sorted(TWELVE, key=str), None),
    ([f'{i}/x.png' for i in ('01', '1', '2')], None, [0, 1, 2], ['01', '1', '2']),
    ([f'{i}/x.png' for i in ('7', 'up')], None, [0, 1], ['7', 'up']),
    ([f'{i}/x.png' for i in ('7', '8' * 200)], None, [0, 1], ['7', '8' * 200]),
    ([f'{i}/x.png' for i in ('70000', '800000')], None, [0, 1], ['70000', '800000']),
])
def test_class_folders_are_those_that_differ(folder, tmp_path, names, level, expected, class_names):
    path = folder(names)
    for files in ImageFiles(str(path)), ImageFiles(zipped(path, tmp_path / 'lab.zip')):
        labels, found = read_labels(files, 'folders', level)
        assert_array_equal(labels, classes(expected))
        assert found == class_names


@pytest.mark.parametrize('names, level, message', [
    (['0.png', '1.png'], None, "needs every image in the folder of a class; '0.png' is in none"),
    ([*PETS, 'alone.png'], None, "needs every image in the folder of a class; 'alone.png' is in none"),
    ([f'pets/{name}' for name in [*PETS, 'alone.png']], None, "every image in the folder of a class; 'pets/alone.png'"),
    (['cat/0.png', 'cat/1.png'], None, r'classes \(level 1: cat\); choose with --label_level=N'),
    (['train/0.png', 'val/1.png'], None, r'classes \(level 1: train, val\); choose with --label_level=N'),
    ([f'{year}/{name}' for year in ('y1', 'y2') for name in PETS], None,
     r'classes \(level 1: y1, y2; level 2: cat, dog\); choose with --label_level=N'),
    (PETS, 2, r'--label_level=2 is none that all images have; expected 1 to 1 \(level 1: cat, dog\)'),
])
def test_where_the_class_folders_are_not_clear_what_was_found_is_said(folder, names, level, message):
    with pytest.raises(ValueError, match=message):
        read_labels(ImageFiles(str(folder(names))), 'folders', level)


def test_a_level_without_folders_as_labels_is_refused(folder):
    with pytest.raises(ValueError, match='--label_level=1 chooses among folders; add --labels=folders.'):
        read_labels(ImageFiles(str(folder())), None, 1)


@pytest.mark.parametrize('top', ['', 'top/', 'my/top/'])
def test_a_dataset_json_among_the_images_gives_their_labels_unless_left(folder, tmp_path, top, caplog):
    names = [f'0000{i % 2}/img{i:08d}.png' for i in range(8)]
    caplog.set_level('INFO', 'absl')
    path = folder([f'{top}{name}' for name in names])
    text = json.dumps({'labels': [[name, i % 3] for i, name in enumerate(names)]})
    archive = zipped(path, tmp_path / 'ada.zip', **{f'{top}dataset_json': text})
    (path / top / 'dataset.json').write_text(text)
    for place in str(path), archive:
        source = from_images(place, shuffle=0)
        assert source.labels.argmax(axis=1).tolist() == [int(name[-5]) % 3 for name in source.items]
        assert f"'{place}/{top}dataset.json' gives the labels; --labels=none leaves it." in caplog.text
        assert from_images(place, labels='none').labels is None
    (path / top / 'dataset.json').write_text('{"labels": null}')
    assert from_images(str(path)).labels is None
    (path / top / 'dataset.json').write_text('{"images": []}')
    with pytest.raises(ValueError, match='dataset.json. has no label for 8 of 8 images'):
        from_images(str(path))
