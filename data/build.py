"""From a Source to a data set."""
import collections
import contextlib
import itertools

import numpy as np

from data.images import warn_if_dark
from data.parallel import ordered_map
from data.writer import Writer
from wording import counted

BATCH_BYTES = 2 ** 20  # Of images that are written at a time; their levels stay in the cache.


def build(target, source, recipe='', num_workers=None, resume=False, shards=1, on_error=None):
    """Writes the images and labels of a Source as the data set folder `target`.

    `recipe` tells what the data set is made from, for `resume`; `on_error`: 'stop' or 'skip', by default as the source
    wants it. The other arguments are those of ordered_map and Writer. Memory does not grow with the number of images.
    """
    if source.labels is not None and not np.isfinite(source.labels).all():
        row = np.flatnonzero(~np.isfinite(source.labels).all(axis=1))[0]
        raise ValueError(f"'{source.items[row]}' has the label {source.labels[row].tolist()}; expected finite numbers.")
    some = max(BATCH_BYTES // (source.num_channels * source.resolution ** 2), 1)
    label_size = 0 if source.labels is None else source.labels.shape[1]
    wanted = min(len(source.items), source.max_images or len(source.items))
    remarks = collections.Counter()
    recipe = f'{recipe}, {len(source.items)} images'
    with Writer(target, source.resolution, source.num_channels, label_size, shards, resume, recipe,
                source.class_names) as writer:
        before, brightest = writer.num_images, 0
        loaded = ordered_map(source.load, source.items, num_workers if source.heavy else 0, writer.position,
                             chunk=max(some // 4, 1), on_error=on_error or source.on_error, total=wanted)
        with contextlib.closing(loaded):
            while batch := list(itertools.islice(loaded, min(some, wanted - writer.num_images))):
                indices, images = map(list, zip(*batch, strict=True))
                if source.remarks:
                    images, words = zip(*images, strict=True)
                    remarks.update(words)
                images = np.stack(images)
                brightest = max(brightest, images.max())
                writer.add(images, source.labels[indices] if label_size else None, indices)
    left_out = writer.position - writer.num_images
    print(f"'{target}': {counted(writer.num_images, 'image')} of {source.resolution}x{source.resolution}"
          + (f', {writer.num_images - before} of them built now' if before else '')
          + ''.join(f', {count} {word}' for word, count in sorted(remarks.items()))
          + (f'; {left_out} could not be used and were left out' if left_out else ''))
    if writer.num_images > before:
        warn_if_dark(target, brightest)
