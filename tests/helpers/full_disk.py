"""Runs a command of the project where the disk is full.

    python tests/helpers/full_disk.py BYTES FOLDER COMMAND.py ARGUMENTS...

FOLDER, which is empty, becomes a disk of its own of so many bytes: a tmpfs in a mount namespace that ends with the command.
What the command leaves there is printed to FOLDER.left, a name per line. Where the system allows no such thing, no file of
the command can grow beyond so many bytes.
"""
import os
import resource
import runpy
import signal
import subprocess
import sys

_INSIDE = ('mount -t tmpfs -o size="$0" none "$1" || exit 99; "${@:3}"; status=$?; '
           '(cd "$1" && find . -mindepth 1) > "$2"; exit $status')


def namespace():
    """The command line that makes a mount namespace, or None where none can be made."""
    for unshare in (['unshare', '--mount'], ['unshare', '--user', '--map-root-user', '--mount']):
        try:
            if subprocess.run([*unshare, 'mount', '-t', 'tmpfs', 'none', '/mnt'], stderr=subprocess.DEVNULL).returncode == 0:
                return unshare
        except OSError:  # No Linux.
            return None
    return None


def main(size, folder, *command):
    unshare = namespace()
    if unshare:
        inside = ['bash', '-c', _INSIDE, size, folder, f'{folder}.left', sys.executable, *command]
        os.execvp(unshare[0], [*unshare, *inside])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size),) * 2)
    sys.argv = list(command)
    sys.path[0] = '.'
    runpy.run_path(command[0], run_name='__main__')


if __name__ == '__main__':
    main(*sys.argv[1:])
