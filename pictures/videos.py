"""Frames -> MP4, animated WebP or GIF, and the frames of a video of a run's training."""
import contextlib
import itertools
import os
import subprocess

import numpy as np

from files import json_lines, replacing
from pictures.pictures import pil_image
from pictures.sheets import strip
from wording import format_time

EXTENSIONS = ('.mp4', '.webp', '.gif')


def video_path(path, fps):
    """The path of a video, which without an ending becomes an MP4; ValueError for one that cannot be written."""
    root, extension = os.path.splitext(path)
    if extension.lower() not in ('', *EXTENSIONS):
        raise ValueError(f'{path} ends in no known kind of video; use one of {", ".join(EXTENSIONS)}.')
    if extension.lower() == '.gif' and fps > 50:
        raise ValueError(f'--fps={fps:g} is more than the 50 frames per second that a GIF can have; use .mp4 or .webp.')
    return path if extension else f'{root}.mp4'


def save_video(frames, path, fps):
    """Writes an iterable of uint8 [H, W, 1 or 3] as a looping video, which appears complete or not at all."""
    path = video_path(path, fps)
    extension = os.path.splitext(path)[1].lower()
    with replacing(path) as partial:
        if extension == '.mp4':
            _save_mp4(frames, partial, fps)
        else:
            first, *rest = map(pil_image, frames)
            # A GIF counts in hundredths of a second: frames are of two durations, so that the whole takes its time.
            unit, options = (1, {'quality': 90}) if extension == '.webp' else (10, {})
            ends = np.rint(np.arange(len(rest) + 2) * 1000 / (fps * unit)) * unit
            first.save(partial, save_all=True, append_images=rest, duration=np.diff(ends).astype(int).tolist(), loop=0,
                       **options)


def _save_mp4(frames, path, fps):
    import imageio_ffmpeg  # Its wheel carries the ffmpeg program; only videos need it.
    frames, sent = iter(frames), 0
    first = next(frames)
    h, w, c = first.shape
    # H.264 in 4:2:0, which every player shows, needs even sizes.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-y', '-v', 'error', '-f', 'rawvideo', '-s', f'{w}x{h}', '-r', str(fps),
               '-pix_fmt', 'gray' if c == 1 else 'rgb24', '-i', '-', '-vcodec', 'libx264', '-crf', '10',
               '-pix_fmt', 'yuv420p', '-vf', 'scale=ceil(iw/2)*2:ceil(ih/2)*2', path]
    # Apart from our process group, so that Ctrl-C does not end it before us.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as encoder:
        try:
            with contextlib.suppress(BrokenPipeError):  # It has ended early, as its status says.
                for frame in itertools.chain([first], frames):
                    encoder.stdin.write(np.ascontiguousarray(frame))
                    sent += 1
        except BaseException:
            encoder.kill()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                encoder.stdin.close()
    try:
        written, _ = imageio_ffmpeg.count_frames_and_secs(path)
    except RuntimeError:  # It is no video at all.
        written = 0
    if encoder.returncode or written != sent:
        raise OSError(f'{written} of {sent} frames are in the file, and the encoder ended with status {encoder.returncode}')


def training_moments(total_nimg, num_frames, time_warp):
    """The number of real images shown at each frame: total * t^time_warp, t in 0..1; > 1 lingers at the start."""
    t = np.arange(num_frames) / max(num_frames - 1, 1)
    return total_nimg * t ** time_warp


def latest_before(moments, nimgs):
    """For each moment the index of the last snapshot, of ascending `nimgs`, that existed; the first before any."""
    return np.maximum(np.searchsorted(nimgs, moments, side='right') - 1, 0)


def training_times(run_dir, nimgs):
    """Seconds of training until each of `nimgs`, by a run's stats.jsonl; None where it has none."""
    path = os.path.join(run_dir, 'stats.jsonl')
    if not os.path.exists(path):
        return None
    times = {0: 0.0} | {record['nimg']: record['total_sec'] for record in json_lines(path, 'nimg', 'total_sec')}
    known = sorted(times)
    return np.interp(nimgs, known, [times[nimg] for nimg in known])


def caption(picture, nimg, lod, seconds):
    """Appends a strip that names kimg, lod and training time. uint8 [H, W, C] -> [H + strip, W, C]"""
    width, channels = picture.shape[1:]
    text = f'kimg {nimg / 1000:.1f}   lod {lod:.2f}' + ('' if seconds is None else f'   {format_time(seconds)}')
    size = int(np.clip(width // 24, 10, 24))
    return np.concatenate([picture, strip({(0, width): text}, width, size, channels)])
