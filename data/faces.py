"""Photographs with face landmarks, laid out as CelebA: a folder img_celeba/ and one landmark file."""
import collections
import dataclasses
import os

import numpy as np

NUM_CELEBA = 202599
IMAGE_DIR, LANDMARK_FILE = 'img_celeba', os.path.join('Anno', 'list_landmarks_celeba.txt')


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
                                    f'(the In-The-Wild Images of CelebA) and {LANDMARK_FILE}')
    names, landmarks = read_landmarks(landmark_path)
    files = {name for name in os.listdir(image_dir) if name.lower().endswith(('.jpg', '.jpeg', '.png'))}
    if expected_images and len(files) != expected_images:
        raise ValueError(f"'{image_dir}' holds {len(files)} images; expected {expected_images} (for other "
                         'photographs than CelebA give --expected_images=0)')
    for missing, there, where in ((files - set(names), image_dir, landmark_path),
                                  (set(names) - files, landmark_path, image_dir)):
        if missing:
            raise ValueError(f"'{min(missing)}' is in '{there}' but not in '{where}' ({len(missing)} such); "
                             'each image needs one line of landmarks')
    return Faces(image_dir, names, landmarks)


def read_landmarks(path):
    """Reads a landmark file: a count, a line of column names, then `file x y x y x y x y x y` per image.

    Returns (names, float32 [N, 5, 2]).
    """
    with open(path, encoding='utf-8', errors='replace') as file:
        lines = file.read().splitlines()
    names, values = [], []
    for number, line in enumerate(lines[2:], 3):
        if not line.strip():
            continue
        name, *numbers = line.rsplit(None, 10)  # A name may hold spaces.
        try:
            values.append(np.array(numbers, np.float32).reshape(5, 2))
        except ValueError:
            raise ValueError(f"'{path}' line {number}: expected a file name and ten numbers, found '{line}'"
                             ) from None
        names.append(name)
    count = lines[0].strip() if lines else ''
    if not names or count != str(len(names)):
        raise ValueError(f"'{path}' is truncated or no landmark file: by its first line it lists "
                         f"'{count}' images, but {len(names)} lines of landmarks follow")
    name, times = collections.Counter(names).most_common(1)[0]
    if times > 1:
        raise ValueError(f"'{path}' lists '{name}' {times} times")
    return tuple(names), np.stack(values)
