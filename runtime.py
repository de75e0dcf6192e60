"""Settings of the whole process; every command imports this before NumPy and TensorFlow."""
import contextlib
import ctypes
import gc
import io
import logging as python_logging
import os
import re
import resource
import select
import sys
import traceback
import warnings

from quiet import TensorFlowFinder, has_driver


def _open_streams():
    """Lets all be said, whatever of it is heard: with standard streams that are closed, and in a locale of few letters."""
    while (opened := os.open(os.devnull, os.O_RDWR)) < 3:  # Otherwise the next file is taken for one of them.
        os.set_inheritable(opened, True)
    os.close(opened)
    for number, (name, mode) in enumerate([('stdin', 'r'), ('stdout', 'w'), ('stderr', 'w')]):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode))  # noqa: SIM115 (for as long as the process lives)
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, io.TextIOWrapper):  # In a notebook it is none.
            stream.reconfigure(errors='backslashreplace')  # Names of files may be of any bytes.


_open_streams()

# oneDNN's kernels are faster than Eigen's for every convolution here, but TensorFlow leaves them off on AVX2-only CPUs.
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')  # Errors only: warnings of the C++ side bury ours.
os.environ.setdefault('KERAS_BACKEND', 'tensorflow')


def _explain_missing(kind, error, trace):
    """Says in a sentence that a package is not installed; all else is printed as Python does."""
    package = (getattr(error, 'name', None) or '').partition('.')[0]
    here = {name.removesuffix('.py') for name in os.listdir(os.path.dirname(os.path.abspath(__file__)))}
    if not issubclass(kind, ModuleNotFoundError) or package in here or '--traceback' in sys.argv:
        sys.__excepthook__(kind, error, trace)
        return
    print(f'{os.path.basename(sys.argv[0])}: {package} is not installed for {sys.executable}; run make setup, then '
          f'. .venv/bin/activate.', file=sys.stderr)


sys.excepthook = _explain_missing  # Early: what follows may be missing, too.


def _about_the_processor():
    """The lines of /proc/cpuinfo, without tabs; none where this is not Linux."""
    try:
        with open('/proc/cpuinfo') as file:
            return {line.strip().replace('\t', '') for line in file}
    except OSError:
        return set()


def _is_zen_4():
    return {'vendor_id: AuthenticAMD', 'cpu family: 25'} <= _about_the_processor()


def has_avx512():
    """Whether oneDNN's kernels use AVX-512; True where that cannot be told."""
    limit = os.environ.get('ONEDNN_MAX_CPU_ISA', 'ALL').upper()
    flags_of_cores = [line.split() for line in _about_the_processor() if line.startswith('flags:')]
    return 'AVX512' in limit or (limit in ('ALL', 'DEFAULT') and all('avx512f' in flags for flags in flags_of_cores))


# NumPy's AVX-512 sort, where SWD spends its time, is 4 times slower there than AVX2's (x86-simd-sort#6). NumPy reads this
# once, while it is imported, and warns of names that its version or the processor does not have.
if _is_zen_4() and 'NPY_DISABLE_CPU_FEATURES' not in os.environ:
    os.environ['NPY_DISABLE_CPU_FEATURES'] = 'AVX512_SKX AVX512_ICL AVX512_SPR X86_V4'
    with warnings.catch_warnings(action='ignore', category=ImportWarning):
        import numpy  # noqa: F401
    del os.environ['NPY_DISABLE_CPU_FEATURES']


class _KerasExtras:
    """Tells Keras, while it is imported, that these are not installed: it would import them for wrappers not used here.

    They take a third of the start of every command, and 85 MB.
    """
    names = {'sklearn', 'matplotlib', 'pandas'}

    def find_spec(self, name, path=None, target=None):
        keras = sys.modules.get('keras')
        if name in self.names and getattr(getattr(keras, '__spec__', None), '_initializing', False):
            raise ModuleNotFoundError(f'{name} is not for Keras', name=name)


sys.meta_path[:0] = [_KerasExtras(), TensorFlowFinder()]

from absl import app, flags, logging

import command_line

flags.DEFINE_bool('traceback', False, 'Print the Python traceback of an error too.')


def two_at_a_time(fmap_max):
    """Whether a CPU does best with two chains of kernels: those of few feature maps are too short for all cores."""
    return fmap_max <= 64


def suit_threads_to(fmap_max, one_device=False):
    """Lets small networks run two kernels at a time, each on half of the cores; call it before TensorFlow runs anything.

    Two, whatever the number of cores: so many chains of kernels the training step has, and generating. Larger networks on
    `one_device` run one kernel at a time on all cores, which needs less memory; several devices would have to wait for each
    other. GPUs do not care. TF_NUM_INTEROP_THREADS and TF_NUM_INTRAOP_THREADS, if set, are left alone.
    """
    small = two_at_a_time(fmap_max)
    chosen = {'TF_NUM_INTEROP_THREADS', 'TF_NUM_INTRAOP_THREADS'} & os.environ.keys()
    if chosen or has_driver() or not (small or one_device):
        return
    import tensorflow as tf
    with contextlib.suppress(RuntimeError):  # Something ran already: then the threads stay as they are.
        tf.config.threading.set_inter_op_parallelism_threads(2 if small else 1)
        tf.config.threading.set_intra_op_parallelism_threads(max(os.cpu_count() // (2 if small else 1), 1))


def release_memory():
    """Gives the memory that was freed back to the system; with another C library than glibc it does nothing."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_memory_mib():
    """Peak memory of this process so far, in MiB."""
    try:  # ru_maxrss starts at the size of the process that started this one.
        with open('/proc/self/status') as file:
            return int(re.search(r'VmHWM:\s*(\d+) kB', file.read())[1]) / 2 ** 10
    except (OSError, TypeError):  # Not Linux.
        unit = 2 ** 20 if sys.platform == 'darwin' else 2 ** 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def end_with(sentence):
    """Ends the process with a sentence and status 1 from any thread, whatever the others wait for."""
    print(f'{command_line.program()}: {sentence}', file=sys.stderr)
    end_at_once()


def end_at_once():
    """Ends the process with status 1 and leaves out what libraries would do at its end, and wait for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _is_chatter(record):
    """Whether TensorFlow, which logs through absl as well, says what concerns nobody: much of it about every checkpoint."""
    # Graphs that a run makes one after the other, each once, look to it like one that is traced again and again.
    return record.levelno <= python_logging.INFO or 'tf.function retracing' in str(record.msg)


def _is_read(descriptor):
    """Whether anybody still reads what is printed: `head` does not once it has enough."""
    watched = select.poll()
    watched.register(descriptor, select.POLLOUT)
    return not any(event & select.POLLERR for _, event in watched.poll(0))


def run(main, commands=None):
    """Runs `main(argv)` as a program; where it has several `commands`, {name: command_line.Command}, argv[1] is one.

    --help explains it. User errors (ValueError, OSError, and what a device has too little of) print one sentence and exit
    with status 1.
    """
    def guarded(function):
        def call(argv):
            try:
                return function(argv)
            except (ValueError, OSError, MemoryError, FloatingPointError, RecursionError) as error:
                if isinstance(error, BrokenPipeError) and not _is_read(1):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                    sys.exit(1)
                if flags.FLAGS['traceback'].value:
                    traceback.print_exc()
                sentence = str(error) or 'there is too little memory for what was asked.'
                print(f'{command_line.program()}: {sentence}', file=sys.stderr)
                sys.exit(1)
        return call

    if command_line.wants_help(sys.argv):
        print(command_line.explain(sys.argv, main, commands or {}))
        return
    logging.set_verbosity(logging.INFO)
    handler = logging.get_absl_handler()
    handler.setFormatter(python_logging.Formatter('%(message)s'))
    handler.addFilter(lambda record: 'tensorflow' not in record.pathname or not _is_chatter(record))
    app.run(guarded(main), flags_parser=guarded(command_line.parse))
