"""Runs a command of the project where no file can grow beyond some bytes, which stands in for a disk that is full.

    python tests/helpers/full_disk.py BYTES COMMAND.py ARGUMENTS...
"""
import resource
import runpy
import signal
import sys

if __name__ == '__main__':
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
    sys.argv = sys.argv[2:]
    sys.path[0] = '.'
    runpy.run_path(sys.argv[0], run_name='__main__')
