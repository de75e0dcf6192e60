"""What happens when a command is asked to stop."""
import signal


class StopRequest:
    """Turns SIGINT and SIGTERM into a request to stop, `received`; a second one kills as usual."""

    def __init__(self):
        self.received = False

    def __enter__(self):
        self._previous = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number, frame):
        self.received = True
        self.__exit__()
