"""Progress of long work: a bar on a terminal, elsewhere a line every ten seconds."""
import sys
import time

from tqdm import tqdm

from wording import format_time


def progress(items=None, total=None, unit='images', what='', initial=0):
    """Shows how far work is that goes through `items`, or that calls `update(n)` of what is returned, a context."""
    if sys.stderr.isatty():
        tqdm.monitor_interval = 0  # No thread of its own: it would be there when workers are forked.
        return tqdm(items, what or None, total, unit=f' {unit}', initial=initial)
    return Lines(items, total, unit, what, initial)


class Lines:
    """Writes a line to `file` whenever `every` seconds have passed; short work goes without a word."""

    def __init__(self, items, total, unit, what, initial=0, every=10.0, file=None):
        self._items, self._total, self._unit, self._what = items, total, unit, what
        if total is None and hasattr(items, '__len__'):
            self._total = len(items)
        self._file, self._every, self._initial, self._n = file or sys.stderr, every, initial, initial
        self._start = self._last = time.monotonic()

    def update(self, n=1):
        """Tells that `n` more are done."""
        self._n += n
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            print(self._line((self._n - self._initial) / max(now - self._start, 1e-9)), file=self._file, flush=True)

    def _line(self, rate):
        of = f' of {self._total}' if self._total else ''
        left = f', {format_time((self._total - self._n) / rate)} left' if self._total and rate else ''
        return f'{self._what and self._what + ": "}{self._n}{of} {self._unit}, {rate:.3g} per second{left}'

    def __iter__(self):
        for item in self._items:
            yield item
            self.update()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass
