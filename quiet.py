"""TensorFlow's start without what it always says of a CPU, written by C++ before any of its settings counts."""
import contextlib
import gc
import glob
import importlib.util
import os
import subprocess
import sys

_ALWAYS = ['absl::InitializeLog', 'oneDNN custom operations are on', 'cpu_feature_guard', 'rebuild TensorFlow with']
_WITHOUT_DRIVER = ['cudart_stub', 'Could not find cuda drivers', 'failed call to cuInit', 'cuda_diagnostics']


def has_driver():
    """Whether this machine has a driver of NVIDIA's, whose errors are worth reading."""
    return any(map(glob.glob, ('/proc/driver/nvidia', '/dev/nvidia*', '/dev/dxg')))


@contextlib.contextmanager
def uncollected():
    """What is made meanwhile is for good: Python's garbage collector neither runs nor looks at it ever again.

    Importing TensorFlow makes some 400000 objects, and the collector would go through them time and again, then and while
    graphs are traced: a quarter of the time that either takes.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextlib.contextmanager
def without_lines(patterns):
    """Drops lines that hold one of `patterns` from what is written to file descriptor 2 meanwhile, by C++ too.

    All others pass through a process of its own, so that a crash hides none of them.
    """
    try:
        screen = os.dup(2)
    except OSError:  # Closed: nobody reads it.
        yield
        return
    filters = [part for pattern in patterns for part in ('-e', pattern)]
    with contextlib.ExitStack() as opened:
        opened.callback(os.close, screen)
        with contextlib.suppress(OSError):  # No grep, as on Windows.
            grep = subprocess.Popen(['grep', '-a', '-v', '-F', '--line-buffered', *filters],
                                    stdin=subprocess.PIPE, stdout=screen)
            os.dup2(grep.stdin.fileno(), 2)
            grep.stdin.close()
            opened.callback(grep.wait)
            opened.callback(os.dup2, screen, 2)
        yield


class TensorFlowFinder:
    """Goes into sys.meta_path: lets TensorFlow be imported, and look for GPUs, without those lines."""

    def find_spec(self, name, path=None, target=None):
        if name != 'tensorflow':
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self._execute(execute, module)
        return spec

    def _execute(self, execute, module):
        driver = has_driver()
        with without_lines(_ALWAYS if driver else _ALWAYS + _WITHOUT_DRIVER), uncollected():
            execute(module)
            if not driver:  # Otherwise what it says of GPUs is to be seen.
                module.config.list_physical_devices()
