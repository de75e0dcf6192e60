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
