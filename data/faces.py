"""Photographs with landmarks, laid out as CelebA, as a source of images: create_celebahq of dataset_tool.py."""
import collections
import dataclasses
import functools
import os

import numpy as np

from data import celebahq, deltas
from data.parallel import ordered_map
from data.sharpness import sharpness
from data.sources import Source
from files import read

NUM_CELEBA = 202599
IMAGE_DIR, LANDMARK_FILE = 'img_celeba', os.path.join('Anno', 'list_landmarks_celeba.txt')
APPROXIMATE = 'approximate (decoded otherwise than by the makers, within a few levels)'


@dataclasses.dataclass(frozen=True)
class Faces:
    """Files in `image_dir` and what the landmark file says of them, in its order.

    landmarks: float32 [N, 5, 2], x and y in pixels of left eye, right eye, nose, left and right mouth corner.
    """
    image_dir: str
    names: tuple
    landmarks: np.ndarray


def open_faces(celeba_dir, expected_images=NUM_CELEBA):
    """Opens a folder and checks that it has landmarks for each of its `expected_images` images (0: any)."""
    image_dir = os.path.join(celeba_dir, IMAGE_DIR)
    landmark_path = os.path.join(celeba_dir, LANDMARK_FILE)
    for path, found in (image_dir, os.path.isdir(image_dir)), (landmark_path, os.path.isfile(landmark_path)):
        if not found:
            raise FileNotFoundError(f"'{path}' does not exist; '{celeba_dir}' must hold {IMAGE_DIR}/*.jpg "
                                    f'(the In-The-Wild Images of CelebA) and {LANDMARK_FILE}.')
    names, landmarks = read_landmarks(landmark_path)
    files = {name for name in os.listdir(image_dir) if name.lower().endswith(('.jpg', '.jpeg', '.png'))}
    if expected_images and len(files) != expected_images:
        raise ValueError(f"'{image_dir}' holds {len(files)} images; expected {expected_images} (for other "
                         'photographs than CelebA give --expected_images=0).')
    for missing, there, where in ((files - set(names), image_dir, landmark_path),
                                  (set(names) - files, landmark_path, image_dir)):
        if missing:
            raise ValueError(f"'{min(missing)}' is in '{there}' but not in '{where}' ({len(missing)} such); "
                             'each image needs one line of landmarks.')
    return Faces(image_dir, names, landmarks)


def read_landmarks(path):
    """Reads a landmark file: a count, a line of column names, then `file x y x y x y x y x y` per image.

    Returns (names, float32 [N, 5, 2]).
    """
    lines = read(path).decode('utf-8', 'replace').splitlines()
    names, values = [], []
    for number, line in enumerate(lines[2:], 3):
        if not line.strip():
            continue
        name, *numbers = line.rsplit(None, 10)  # A name may hold spaces.
        try:
            values.append(np.array(numbers, np.float32).reshape(5, 2))
        except ValueError:
            raise ValueError(f"'{path}' line {number}: expected a file name and ten numbers, found '{line}'."
                             ) from None
        names.append(name)
    count = lines[0].strip() if lines else ''
    if not names or count != str(len(names)):
        raise ValueError(f"'{path}' is truncated or no landmark file: by its first line it lists "
                         f"'{count}' images, but {len(names)} lines of landmarks follow.")
    name, times = collections.Counter(names).most_common(1)[0]
    if times > 1:
        raise ValueError(f"'{path}' lists '{name}' {times} times.")
    return tuple(names), np.stack(values)


@dataclasses.dataclass(frozen=True)
class Face:
    """One image to build: its file, its landmarks (float32 [5, 2]) and, in CelebA-HQ, its delta."""
    path: str
    landmarks: np.ndarray
    delta: deltas.Delta | None = None

    def __str__(self):
        return self.path


def celebahq_source(celeba_dir, delta_dir=None, *, expected_images=NUM_CELEBA, size=1024, image_list=None,
                    select=0, grades=None, max_images=0, num_workers=None, on_error='stop'):
    """CelebA-HQ from CelebA and the deltas; without `delta_dir` the aligned photographs themselves.

    These may be all, those that the text file `image_list` names line by line, or the `select` sharpest. The file
    `grades` keeps the grades of all for another time. `max_images` limits either, for a trial.
    """
    if size not in (256, 512, 1024):
        raise ValueError(f'--size={size} is not possible; expected 256, 512 or 1024.')
    if select < 0 or max_images < 0:
        raise ValueError('--select and --max_images are numbers of images, not below 0.')
    if delta_dir and (image_list or select):
        raise ValueError('--image_list and --select choose images where there is no --delta_dir: the deltas bring '
                         'their own list.')
    faces = open_faces(celeba_dir, expected_images)
    items = [Face(os.path.join(faces.image_dir, name), landmarks)
             for name, landmarks in zip(faces.names, faces.landmarks, strict=True)]
    if delta_dir:
        num_zips = deltas.NUM_OFFICIAL_ZIPS if expected_images == NUM_CELEBA else None
        items = [dataclasses.replace(items[delta.orig_idx], delta=delta)
                 for delta in deltas.read_deltas(delta_dir, faces.names, num_zips)]
    if image_list:
        items = [items[i] for i in read_choice(image_list, faces.names)]
    items = items[:max_images or None]
    if select:
        items = sharpest(items, select, grades, num_workers, on_error)
    load = functools.partial(load_face, size=size)
    return Source(size, 3, items, load, heavy=True, remarks=bool(delta_dir)).shuffled()


def read_choice(path, names):
    """Positions in `names` of the names that a text file lists, one per line."""
    chosen = [line.strip() for line in read(path).decode('utf-8', 'replace').splitlines() if line.strip()]
    position = {name: i for i, name in enumerate(names)}
    for name, times in collections.Counter(chosen).items():
        if name not in position:
            raise ValueError(f"'{path}' lists '{name}', which has no landmarks.")
        if times > 1:
            raise ValueError(f"'{path}' lists '{name}' {times} times.")
    return [position[name] for name in chosen]


def load_face(face, size):
    """Builds one image, uint8 [3, size, size]; with a delta also whether it is exact, in words."""
    jpeg = read(face.path)
    image = celebahq.align(jpeg, face.landmarks)
    if not face.delta:
        return shrink(image, size)
    image, exact = deltas.publish(image, jpeg, face.delta)
    return shrink(image, size), 'exact' if exact else APPROXIMATE


def shrink(image, size):
    """Box means, rounded half to even: uint8 [3, R, R] -> uint8 [3, size, size]."""
    factor = image.shape[1] // size
    if factor == 1:
        return image
    boxes = image.reshape(3, size, factor, size, factor)
    return np.rint(boxes.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)


def sharpest(faces, count, grades_path, num_workers, on_error):
    """The `count` faces with the highest grade, in their own order.

    Grades already in the text file `grades_path` (name and grade per line) are not computed again; new ones are
    appended as they come, so that an interrupted run goes on where it was.
    """
    grades = read_grades(grades_path) if grades_path else {}
    ungraded = [face for face in faces if os.path.basename(face.path) not in grades]
    with open(grades_path or os.devnull, 'a', encoding='utf-8') as file:
        for index, grade in ordered_map(grade_face, ungraded, num_workers, on_error=on_error):
            name = os.path.basename(ungraded[index].path)
            grades[name] = grade
            file.write(f'{name} {grade:.6f}\n')
            file.flush()
    graded = [face for face in faces if os.path.basename(face.path) in grades]
    if count > len(graded):
        raise ValueError(f'--select={count} is more than the {len(graded)} images there are.')
    ranking = sorted(range(len(graded)), key=lambda i: -grades[os.path.basename(graded[i].path)])
    return [graded[i] for i in sorted(ranking[:count])]


def grade_face(face):
    """Sharpness of the aligned 1024x1024 image, to six digits."""
    return round(sharpness(load_face(dataclasses.replace(face, delta=None), celebahq.OUTPUT_SIZE)), 6)


def read_grades(path):
    """Name -> grade of a file of grades; removes a last line that an interruption cut short."""
    if not os.path.exists(path):
        return {}
    complete, newline, fragment = read(path).rpartition(b'\n')
    grades = {}
    for number, line in enumerate(complete.decode('utf-8', 'replace').split('\n') if newline else [], 1):
        try:
            name, grade = line.rsplit(None, 1)
            grades[name] = float(grade)
        except ValueError:
            raise ValueError(f"'{path}' line {number}: expected a file name and its grade, found '{line}'.") from None
    if fragment:
        if not grades:  # Rather not touch a file that may be something else.
            raise ValueError(f"'{path}' is no file of grades, a name and a number per line.")
        os.truncate(path, len(complete) + 1)
    return grades
