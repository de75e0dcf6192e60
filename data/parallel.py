"""Work on many items in worker processes, with the results in order, bounded memory and a progress bar."""
import collections
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading

from absl import logging

from progress import progress

_function = None  # What a worker process computes, given once when it starts.


def ordered_map(function, items, num_workers=None, start=0, chunk=1, on_error='stop', total=None):
    """Yields (index, function(items[index])) in order, from index `start` on.

    `function` runs in `num_workers` processes (None: one per core; 0: in this one) on `chunk` items at a time, and only
    a few chunks ahead of the consumer. It must be importable by name, as must the main module. Where it raises a
    ValueError or OSError, a ValueError names the item; with on_error 'skip' a warning does, and the item is left out.
    An item for which it returns None is left out without a word.
    """
    if num_workers is None:
        num_workers = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    chunks = (items[i:i + chunk] for i in range(start, len(items), chunk))
    if num_workers:
        outcomes = _in_processes(function, chunks, num_workers)
    else:
        outcomes = (_outcomes(some, function) for some in chunks)
    with contextlib.closing(outcomes), progress(total=total or len(items), initial=start) as shown:
        for index, (result, error) in enumerate(itertools.chain.from_iterable(outcomes), start):
            shown.update()
            if error is None:
                if result is not None:
                    yield index, result
            elif on_error == 'skip':
                logging.warning("left out '%s': %s", items[index], error)
            else:
                raise ValueError(f"'{items[index]}' {str(error).removesuffix('.')}.") from error


def _in_processes(function, chunks, num_workers):
    """Yields the outcomes of each chunk in order, computed at most two chunks per worker ahead."""
    # The platform's own way to start a process, unless TensorFlow's threads are there: a forked copy may wait for them.
    context = multiprocessing.get_context('spawn' if 'tensorflow' in sys.modules else None)
    pool = concurrent.futures.ProcessPoolExecutor(num_workers, context, _start_worker, (function,))
    pending = collections.deque()
    try:
        for items in chunks:
            pending.append(pool.submit(_outcomes, items))
            if len(pending) > 2 * num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except concurrent.futures.process.BrokenProcessPool as error:
        raise OSError('a worker process was killed, probably for want of memory; '
                      'give it a smaller --num_workers.') from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(function):
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the main process, which ends the workers.
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent():
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _outcomes(items, function=None):
    """Applies the function to each item: [(result, None) or (None, error)]."""
    outcomes = []
    for item in items:
        try:
            outcomes.append(((function or _function)(item), None))
        except (ValueError, OSError) as error:
            outcomes.append((None, error))
    return outcomes
