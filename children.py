"""Commands of this project that another one starts, and stops."""
import os
import subprocess
import sys
import threading

from stopping import StopRequest
from wording import command


class Children(StopRequest):
    """The commands that are running. SIGINT and SIGTERM stop them, as each stops by itself: with a checkpoint."""

    def __init__(self):
        super().__init__()
        self._running, self._starting = set(), threading.Lock()

    def call(self, environment, lock, name, *arguments):
        """Runs a command, whose lines go to stderr, and which holds the lock too; ValueError if it fails."""
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), f'{name}.py')
        program = ['-m', __package__, name] if __package__ else [script]
        with self._starting:
            if self.received:
                raise ValueError('Stopped.')
            child = subprocess.Popen(  # In a session of its own: a terminal's ^C comes to this process alone.
                [sys.executable, *program, *arguments], stdout=sys.stderr, env={**os.environ, **environment},
                pass_fds=[lock.fileno()], start_new_session=True)
            self._running.add(child)
        status = child.wait()
        self._running.discard(child)
        if status:
            raise ValueError(f'{command(name)} {arguments[0]} .. ended with status {status}; see its lines above.')

    def _receive(self, number, frame):
        super()._receive(number, frame)
        with self._starting:  # What is just being started is to be stopped, too.
            for child in [*self._running]:
                child.terminate()
