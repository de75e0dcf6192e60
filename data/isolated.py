"""Reading by libraries that a damaged file can crash: in a process of its own, so that a sentence survives."""
import multiprocessing
import signal
import sys


def isolated(function, *arguments):
    """function(*arguments) in another process -> its result; its ValueError or OSError, or a ValueError if it crashed.

    `function` must be importable by name.
    """
    context = multiprocessing.get_context('spawn' if 'tensorflow' in sys.modules else None)  # As in parallel.py.
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, function, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        result, error = ours.recv()
    except EOFError:
        process.join()
        name = signal.Signals(-process.exitcode).name if process.exitcode < 0 else f'status {process.exitcode}'
        raise ValueError(f'its reader crashed ({name})') from None
    process.join()
    if error:
        raise error
    return result


def _send(pipe, function, arguments):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        outcome = function(*arguments), None
    except (ValueError, OSError) as error:
        outcome = None, error
    except Exception as error:
        outcome = None, ValueError(f'{type(error).__name__}: {error}')
    pipe.send(outcome)
