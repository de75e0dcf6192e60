"""Data sets that need no download, made where they are missing."""
import os
import time

from presets.datasets import MADE_BY
from wording import command


def make_missing(folder, name):
    """Makes the data set `name` of `folder` if it is missing and needs no download; where others make it, waits for them."""
    path = os.path.join(folder, name)
    if name not in MADE_BY or os.path.exists(path):
        return
    from data.build import build  # Only now: they take longer to import than a data set to open.
    from data.commands import SOURCES
    print(f"'{path}' does not exist and needs no download; it is made by: {command('dataset_tool')} {MADE_BY[name]} {path}",
          flush=True)
    while not os.path.exists(path):
        try:
            build(path, SOURCES[MADE_BY[name]](), MADE_BY[name], resume=True)
        except (BlockingIOError, FileExistsError):  # Another worker or run makes it, or just has.
            time.sleep(0.5)
