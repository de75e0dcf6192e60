"""Cartoon faces in CelebA's layout, deltas included: the whole path of CelebA-HQ without a download."""
import bz2
import dataclasses
import io
import math
import os
import zipfile

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
from cryptography.fernet import Fernet

import files
from data import celebahq, deltas, drawing, faces
from wording import command

# Width, height; radius and centre of the head, in parts of the shorter side. CelebA in the wild, too, has
# thumbnails and posters, and heads that the picture cuts off.
_FRAMES = (
    (178, 218, 0.34, 0.5, 0.55), (60, 80, 0.36, 0.5, 0.6), (640, 480, 0.15, 1.2, 0.5),
    (500, 400, 0.25, 0.2, 0.3), (2200, 1800, 0.45, 0.6, 0.5), (409, 687, 0.3, 0.5, 0.7),
    (300, 200, 0.3, 1.1, 0.6), (900, 900, 0.22, 0.8, 0.2),
)
_POINTS = ('lefteye', 'righteye', 'nose', 'leftmouth', 'rightmouth')


def draw(index, seed=0):
    """Draws face number `index`. Returns (RGB image, landmarks int [5, 2] in pixels)."""
    random = np.random.default_rng([seed, index])
    width, height, radius, x, y = _FRAMES[index % len(_FRAMES)]
    scale = 2 if max(width, height) <= 1000 else 1  # Small pictures are drawn larger, for smooth edges.
    radius, *centre = (v * min(width, height) * random.uniform(0.95, 1.05) for v in (radius, x, y))
    angle = random.uniform(-0.6, 0.6)
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    image = _backdrop(random, width * scale, height * scale)
    pen = PIL.ImageDraw.Draw(image)

    def place(points):
        return np.asarray(points) @ rotation * radius + centre

    def paint(points, colour, shape=pen.polygon, **style):
        shape((place(points) * scale).ravel().tolist(), drawing.rgb(colour), **style)

    # From the front and without glasses: where eyes are to be after alignment is then known.
    face = dataclasses.replace(drawing.random_face(random), yaw=0, pitch=0, glasses='none')
    for points, colour in drawing.back(face):
        paint(points, colour)
    for _ in range(400):  # Single hairs are the fine detail that the frequency criterion looks for.
        direction = random.uniform(0, 2 * math.pi)
        ends = direction, direction + random.normal(0, 0.1)
        hair = drawing.ellipse(0, -0.15, *random.uniform((0.6, 0.9), (0.9, 1.2)), ends)
        paint(hair, face.hair * random.uniform(0.5, 1.4), pen.line, width=scale)
    for points, colour in drawing.front(face):
        paint(points, colour)
    pixels = np.float32(image.resize((width, height), PIL.Image.Resampling.LANCZOS))
    pixels += random.normal(0, 2, (height, width, 1))  # A camera's noise.
    return PIL.Image.fromarray(np.uint8(np.clip(pixels, 0, 255))), np.rint(place(drawing.landmarks(face))).astype(int)


def _backdrop(random, width, height):
    """Soft blobs of colour under a faint texture."""
    blobs = PIL.Image.fromarray(random.integers(0, 256, (4, 5, 3), np.uint8))
    blobs = np.float32(blobs.resize((width, height), PIL.Image.Resampling.BICUBIC))
    texture = PIL.Image.fromarray(random.integers(0, 256, (height, width), np.uint8))
    texture = np.float32(texture.filter(PIL.ImageFilter.GaussianBlur(1)))
    return PIL.Image.fromarray(np.uint8(blobs * 0.8 + texture[:, :, np.newaxis] * 0.2))


def create(toyfaces_dir, *, num_images=16, num_deltas=8, seed=0):
    """Draws a new folder of img_celeba/, Anno/ and deltas/ (for the first images), or none at all."""
    if not 1 <= num_images <= 999999 or not 0 <= num_deltas <= num_images:
        raise ValueError(f'{num_images} images with {num_deltas} deltas were asked for; expected 1 to 999999 '
                         'images and at most one delta for each.')
    if os.path.exists(toyfaces_dir):
        raise FileExistsError(f"'{toyfaces_dir}' exists already; give another name or delete it first.")
    with files.staging(toyfaces_dir, 'drawn') as partial, files.writing(toyfaces_dir):
        _write(partial, num_images, num_deltas, seed)
        files.move_folder(partial, toyfaces_dir)
    print(f"'{toyfaces_dir}': {num_images} faces; use them with: {command('dataset_tool')} create_celebahq datasets/toyhq "
          f'{toyfaces_dir} ' + (f'{os.path.join(toyfaces_dir, "deltas")} ' if num_deltas else '') + '--expected_images=0')


def _write(folder, num_images, num_deltas, seed):
    image_dir, delta_dir = os.path.join(folder, faces.IMAGE_DIR), os.path.join(folder, 'deltas')
    landmark_path = os.path.join(folder, faces.LANDMARK_FILE)
    for path in image_dir, delta_dir, os.path.dirname(landmark_path):
        os.makedirs(path)
    landmark_lines = [str(num_images), ' '.join(f'{point}_{axis}' for point in _POINTS for axis in 'xy')]
    delta_lines = ['idx orig_idx orig_file proc_md5 final_md5']
    for index in range(num_images):
        image, landmarks = draw(index, seed)
        name = f'{index + 1:06d}.jpg'
        jpeg = encode(image)
        with open(os.path.join(image_dir, name), 'wb') as file:
            file.write(jpeg)
        landmark_lines.append(' '.join([name, *(str(v) for v in landmarks.flat)]))
        if index < num_deltas:
            token, proc_md5, final_md5 = make_delta(jpeg, np.float32(landmarks), name)
            delta_lines.append(f'{index} {index} {name} {proc_md5} {final_md5}')
            zip_path = os.path.join(delta_dir, f'deltas{index // 1000 * 1000:05d}.zip')
            with zipfile.ZipFile(zip_path, 'a') as archive:
                archive.writestr(f'delta{index:05d}.dat', token)
    list_path = os.path.join(delta_dir, 'image_list.txt')
    for path, lines in (landmark_path, landmark_lines), (list_path, delta_lines):
        with open(path, 'w') as file:
            file.write('\n'.join(lines) + '\n')


def encode(image):
    """The image as the bytes of a JPEG file."""
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=92)
    return file.getvalue()


def make_delta(jpeg, landmarks, name):
    """Delta from the aligned image to a sharpened one: (encrypted bytes, md5 aligned, md5 sharpened)."""
    aligned = celebahq.align(jpeg, landmarks)
    sharpen = PIL.ImageFilter.UnsharpMask(radius=4, percent=120, threshold=0)
    published = np.asarray(PIL.Image.fromarray(aligned.transpose(1, 2, 0)).filter(sharpen)).transpose(2, 0, 1)
    difference = bz2.compress((published - aligned).tobytes())  # Modulo 256.
    token = Fernet(deltas.derive_key(jpeg, name)).encrypt(difference)
    return token, deltas.md5(aligned), deltas.md5(published)
