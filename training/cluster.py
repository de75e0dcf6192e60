"""Workers meet before TensorFlow starts and watch each other: it would wait for missing ones for ever, without a word."""
import contextlib
import os
import socket
import threading
import time

from absl import logging

import runtime

PAUSE_SEC = 0.5        # Between two looks at the others.
TELL_EVERY_SEC = 10
LOST_AFTER = 4         # Looks in a row at which a worker does not answer.


def meet(addresses, index, timeout):
    """Waits until each of `addresses`, 'host:port', answers, and answers for `index`; a line says who is missing.

    OSError when the own port is taken, TimeoutError when one has not come after `timeout` seconds.
    """
    start, missing = time.monotonic(), {}
    told = start
    with _listening(addresses[index], index) as listener:
        while missing := {i: reason for i, address in enumerate(addresses) if i != index
                          and (reason := (missing.get(i, True) and _problem(address)))}:
            who = ', '.join(f'worker {i} ({addresses[i]}: {reason})' for i, reason in missing.items())
            now = time.monotonic()
            if now - start > timeout:
                raise TimeoutError(f'{who} has not come within {timeout:g} s; start the same command on every machine that '
                                   f'TF_CONFIG names, check its addresses, or wait longer with --worker_timeout.')
            if now - told >= TELL_EVERY_SEC or told == start:
                told = now
                logging.info('Waiting for %s; %.0f s are left of --worker_timeout', who, timeout - (now - start))
            _accept_all(listener, now + PAUSE_SEC)


def _listening(address, index):
    port = int(address.rpartition(':')[2])
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(('', port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both)
    except OSError as error:
        raise OSError(f'worker {index} cannot listen at {address} ({os.strerror(error.errno)}); end what uses the port, or '
                      f'write another one into TF_CONFIG on all machines.') from error


def _accept_all(listener, until):
    while (left := until - time.monotonic()) > 0:
        listener.settimeout(left)
        with contextlib.suppress(OSError):
            listener.accept()[0].close()


def _problem(address):
    """Why nobody answers at 'host:port', or ''."""
    host, _, port = address.rpartition(':')
    try:
        socket.create_connection((host.strip('[]'), int(port)), timeout=5).close()
    except UnicodeError as error:  # No name of the network.
        return str(error)
    except OSError as error:
        return error.strerror or str(error) or 'no answer'
    return ''


@contextlib.contextmanager
def watched(addresses, index):
    """Ends this process with a sentence when another worker is gone: its collectives would wait for it."""
    done = threading.Event()

    def watch():
        lost = [0] * len(addresses)
        while not done.wait(PAUSE_SEC):
            for i, address in enumerate(addresses):
                lost[i] = lost[i] + 1 if i != index and _problem(address) else 0
                if lost[i] >= LOST_AFTER and not done.is_set():
                    runtime.end_with(f'worker {i} ({address}) is gone; what it says tells why. Start all workers again with '
                                     f'--resume=latest: they go on from the last checkpoint.')

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
