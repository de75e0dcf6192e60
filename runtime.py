"""Settings of the whole process; every command imports this before NumPy and TensorFlow."""
import logging as python_logging
import os
import sys
import traceback

# oneDNN's kernels are faster than Eigen's for every convolution here, but TensorFlow leaves them off on AVX2-only CPUs.
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')  # Errors only: warnings of the C++ side bury ours.
os.environ.setdefault('KERAS_BACKEND', 'tensorflow')


def _is_zen_4():
    try:
        with open('/proc/cpuinfo') as file:
            lines = {line.strip().replace('\t', '') for line in file}
    except OSError:  # Not Linux.
        return False
    return {'vendor_id: AuthenticAMD', 'cpu family: 25'} <= lines


# NumPy's AVX-512 sort, where SWD spends its time, is 4 times slower there than AVX2's (x86-simd-sort#6).
if _is_zen_4():
    os.environ.setdefault('NPY_DISABLE_CPU_FEATURES', 'AVX512_SKX AVX512_ICL AVX512_SPR X86_V4')

from absl import app, flags, logging

_TRACEBACK = flags.DEFINE_bool('traceback', False, 'Print the Python traceback of an error too.')


def suit_threads_to(fmap_max):
    """Lets small networks train on one thread per kernel, two kernels at a time; call it before TensorFlow is imported.

    On 2 cores this made steps of at most 64 feature maps 1.7 times faster at 4x4, 1.4 at 8x8, 1.1 at 32x32: their
    kernels are too short to be shared. With 512 maps sharing is up to 1.3 times faster; on a GPU it does not matter.
    """
    if fmap_max <= 64 and not os.path.exists('/proc/driver/nvidia'):
        os.environ.setdefault('TF_NUM_INTEROP_THREADS', str(os.cpu_count()))
        os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')


def run(main):
    """Runs `main(argv)` as a command.

    User errors (ValueError, OSError, and what a device has too little of) print one sentence and exit with status 1.
    """
    def guarded(argv):
        try:
            return main(argv)
        except (ValueError, OSError, MemoryError, FloatingPointError) as error:
            if _TRACEBACK.value:
                traceback.print_exc()
            print(f'{os.path.basename(sys.argv[0])}: {error}', file=sys.stderr)
            sys.exit(1)

    logging.set_verbosity(logging.INFO)
    handler = logging.get_absl_handler()
    handler.setFormatter(python_logging.Formatter('%(message)s'))
    # TensorFlow logs through absl as well, at its chattiest about every checkpoint.
    handler.addFilter(lambda record: record.levelno > python_logging.INFO or 'tensorflow' not in record.pathname)
    app.run(guarded)
