"""From a photograph and five landmarks to an aligned 1024x1024 face of CelebA-HQ: one pure function per step.

The md5s recorded with the deltas hold only if every rounding below stays as it is (paper, appendix C):
landmarks and quads are float32, lengths are rounded to float32 before they are taken as float64, and pad
widths are Python ints, so that masks stay float32.
"""
import functools
import io
import math
from dataclasses import dataclass, replace

import numpy as np
import PIL.Image
import scipy  # Its parts come when they are first used: they take longer to import than most commands run.

from data.images import MAX_PIXELS

OUTPUT_SIZE = 1024
TRANSFORM_SIZE = 4096  # Bilinear sampling straight to the output would alias; this much finer it does not.


@dataclass(frozen=True)
class View:
    """An image and the part of it to keep.

    quad: float32 [4, 2], x and y of the upper left, lower left, lower right, upper right corner, in pixels.
    zoom: output pixels per pixel of `image`.
    border: pixels kept around the quad's bounding box for the later filters; 0 until `crop` sets it.
    """
    image: PIL.Image.Image
    quad: np.ndarray
    zoom: float
    border: int = 0


def align(jpeg, landmarks):
    """Runs all steps. jpeg: the file's bytes; landmarks: float32 [5, 2]. Returns uint8 [3, 1024, 1024]."""
    return align_image(decode(jpeg), landmarks)


def align_image(image, landmarks):
    """Runs all steps but `decode`. image: RGB; landmarks: float32 [5, 2]. Returns uint8 [3, 1024, 1024]."""
    check_landmarks(landmarks, image.size)
    return transform(pad(supersample(crop(shrink(View(image, *face_quad(landmarks)))))))


def decode(jpeg):
    """Decodes an image file's bytes to an RGB image; ValueError if they are damaged."""
    try:
        image = PIL.Image.open(io.BytesIO(jpeg), formats=('JPEG', 'PNG'))
        if image.width * image.height > MAX_PIXELS:
            raise OSError(f'{image.width}x{image.height} pixels, {MAX_PIXELS} are allowed')
        image.load()
    except Exception as error:  # Pillow raises many kinds for damaged files.
        reason = 'it is no image' if isinstance(error, PIL.UnidentifiedImageError) else error
        raise ValueError(f'cannot be decoded ({reason}); get this file again.') from error
    return image if image.mode == 'RGB' else image.convert('RGB')


def check_landmarks(landmarks, size):
    """ValueError unless the landmarks span a face that lies, at least in part, in an image (w, h)."""
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks
    if not np.isfinite(landmarks).all():
        raise ValueError('has landmarks that are not all finite numbers.')
    if np.array_equal(left_eye, right_eye):
        raise ValueError(f'has degenerate landmarks: both eyes are at {left_eye.tolist()}.')
    points = (left_eye, right_eye, (left_mouth + right_mouth) / 2)
    if not any(0 <= x <= size[0] and 0 <= y <= size[1] for x, y in points):
        raise ValueError(f'has landmarks that place the face outside its {size[0]}x{size[1]} pixels (the left eye '
                         f'at {left_eye.tolist()}); use the landmarks of these very images.')
    with np.errstate(invalid='ignore'):
        _, zoom = face_quad(landmarks)
    if not zoom <= OUTPUT_SIZE / 2:  # Infinite or not a number where eyes and mouth cancel out.
        raise ValueError('has degenerate landmarks: eyes and mouth span a square of less than 2 pixels.')


def _length(vector):
    return float(np.hypot(vector[0], vector[1]))  # Of float32, so rounded to float32: the md5s need that.


def _rot90(vector):
    return np.stack([-vector[1], vector[0]])


def face_quad(landmarks):
    """Places an oriented square on a face. float32 [5, 2] -> (quad float32 [4, 2], zoom).

    Its centre is eyes + 0.1 m and its half-axes are x and rot90(x), where m leads from the eyes to the mouth,
    e from eye to eye, and x is the direction of e - rot90(m) times max(2 |e|, 1.8 |m|).
    """
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks
    eyes = (left_eye + right_eye) * np.float32(0.5) + np.float32(0.5)
    mouth = (left_mouth + right_mouth) * np.float32(0.5) + np.float32(0.5)
    eye_to_eye = right_eye - left_eye
    eyes_to_mouth = mouth - eyes
    x = eye_to_eye - _rot90(eyes_to_mouth)
    x /= np.float32(_length(x))
    x *= np.float32(max(2.0 * _length(eye_to_eye), 1.8 * _length(eyes_to_mouth)))
    y = _rot90(x)
    centre = eyes + eyes_to_mouth * np.float32(0.1)
    quad = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
    return quad, OUTPUT_SIZE / (2 * _length(x))


def shrink(view):
    """Shrinks an image that is four times as fine as the output or finer, by floor(0.5 / zoom)."""
    factor = math.floor(0.5 / view.zoom)
    if factor <= 1:
        return view
    size = [max(round(extent / factor), 1) for extent in view.image.size]
    image = view.image.resize(size, PIL.Image.Resampling.LANCZOS)
    return replace(view, image=image, quad=view.quad / np.float32(factor), zoom=view.zoom * factor)


def _bounding_box(quad):
    """Whole-pixel (left, top, right, bottom) around a quad."""
    return [int(v) for v in (*np.floor(quad.min(axis=0)), *np.ceil(quad.max(axis=0)))]


def crop(view):
    """Crops to the quad's bounding box plus a border of a tenth of its width."""
    width, height = view.image.size
    border = max(round(OUTPUT_SIZE * 0.1 / view.zoom), 3)
    left, top, right, bottom = _bounding_box(view.quad)
    box = (max(left - border, 0), max(top - border, 0),
           min(right + border, width), min(bottom + border, height))
    return replace(view, image=view.image.crop(box), quad=view.quad - np.float32(box[:2]), border=border)


def supersample(view):
    """Enlarges a coarse image by 2**ceil(log2(zoom)); Lanczos, in place of the paper's super-resolution."""
    factor = 2 ** math.ceil(math.log2(view.zoom))
    if factor <= 1:
        return view
    size = [extent * factor for extent in view.image.size]
    image = view.image.resize(size, PIL.Image.Resampling.LANCZOS)
    return replace(view, image=image, quad=view.quad * np.float32(factor), zoom=view.zoom / factor)


def pad(view):
    """Mirrors the image outward where the quad leaves it, fading to a blur and then to the median colour."""
    width, height = view.image.size
    left, top, right, bottom = _bounding_box(view.quad)
    margins = [max(v + view.border, 0) for v in (-left, -top, right - width, bottom - height)]
    if max(margins) <= view.border - 4:
        return view
    left, top, right, bottom = (max(v, round(OUTPUT_SIZE * 0.3 / view.zoom)) for v in margins)
    margins = ((top, bottom), (left, right))
    mask = _outwardness(height + top + bottom, width + left + right, margins)
    blur_weight, median_weight = np.clip(3 * mask + 1, 0, 1), np.clip(mask, 0, 1)
    sigma = OUTPUT_SIZE * 0.02 / view.zoom
    planes = []
    for plane in view.image.split():  # One by one, to save memory: they may have 30 million pixels.
        plane = np.pad(np.float32(plane), margins, 'reflect')
        plane += (gaussian_blur(plane, sigma) - plane) * blur_weight
        plane += (np.median(plane) - plane) * median_weight
        planes.append(PIL.Image.fromarray(np.uint8(np.clip(np.rint(plane), 0, 255))))
    image = PIL.Image.merge('RGB', planes)
    return replace(view, image=image, quad=view.quad + np.float32([left, top]))


def _outwardness(height, width, margins):
    """1 - min over sides of distance / margin: 1 at the rim, 0 where the margin ends, less inside."""
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    (top, bottom), (left, right) = margins
    return 1 - np.minimum(np.minimum(x / left, (width - 1 - x) / right),
                          np.minimum(y / top, (height - 1 - y) / bottom))


def gaussian_blur(plane, sigma):
    """scipy.ndimage.gaussian_filter by FFT: its cost does not grow with sigma, which is 20 to 80 here.

    float32 [H, W] -> float32 [H, W], edges mirrored, kernel cut at 4 sigma. Both compute each axis in float64
    and round to float32. They differ by some 1e-13 before that, so about one value in 1e8 ends up one unit in
    the last place apart, which moves less than one uint8 pixel in all of CelebA-HQ.
    """
    return _blur_rows(_blur_rows(plane.T, sigma).T, sigma)


def _blur_rows(plane, sigma):
    radius = int(4 * sigma + 0.5)
    length = plane.shape[1]
    padded_length = scipy.fft.next_fast_len(length + 2 * radius, real=True)
    response = _frequency_response(sigma, radius, padded_length)
    blurred = np.empty(plane.shape, np.float32)
    for start in range(0, len(plane), 64):  # Few rows at a time stay in the cache.
        rows = np.pad(np.float64(plane[start:start + 64]), ((0, 0), (radius, radius)), 'symmetric')
        rows = scipy.fft.irfft(scipy.fft.rfft(rows, padded_length) * response, padded_length)
        blurred[start:start + 64] = rows[:, radius:radius + length]
    return blurred


@functools.lru_cache(maxsize=8)
def _frequency_response(sigma, radius, length):
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    centred = np.zeros(length)
    centred[offsets] = kernel / kernel.sum()
    return scipy.fft.rfft(centred).real  # Real because the kernel is symmetric.


def transform(view):
    """Samples the quad to 4096x4096, bilinearly, and Lanczos-resizes that. Returns uint8 [3, 1024, 1024]."""
    corners = (view.quad + np.float32(0.5)).flatten()
    image = view.image.transform((TRANSFORM_SIZE, TRANSFORM_SIZE), PIL.Image.Transform.QUAD, corners,
                                 PIL.Image.Resampling.BILINEAR)
    image = image.resize((OUTPUT_SIZE, OUTPUT_SIZE), PIL.Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))  # [H, W, 3] -> [3, H, W]
