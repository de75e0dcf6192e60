"""Networks that metrics look through: each is downloaded once to a cache, and its checksum watched from then on."""
import os
import urllib.error
import urllib.request

from absl import logging

from files import sha256


def default_cache():
    """Returns the folder for downloads and features of reals: $XDG_CACHE_HOME/progan, or ~/.cache/progan."""
    return os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'progan')


def obtain(cache, url, what, option, inspect, name=None):
    """Returns the path of a file in the folder `cache`, by the address's name or another, downloading it if it is not there.

    `inspect(path)` raises ValueError for another file than expected. Publishers state no checksums, so the one of the first
    download is recorded beside it, as `sha256sum` prints it, and every later use is checked against that. OSError if the
    download fails: it says `what` could not be downloaded, and which `option` takes a copy.
    """
    path = os.path.join(cache, name or os.path.basename(url))
    record = path + '.sha256'
    if not os.path.exists(path):
        os.makedirs(cache, exist_ok=True)
        logging.info('Downloading %s to %s, once', url, cache)
        partial = f'{path}.{os.getpid()}.partial'
        try:
            with urllib.request.urlopen(url, timeout=30) as response, open(partial, 'wb') as file:
                while block := response.read(1 << 20):
                    file.write(block)
            inspect(partial)
            with open(record, 'w') as file:
                file.write(f'{sha256(partial)}  {os.path.basename(path)}\n')
            os.replace(partial, path)
        except (ValueError, OSError) as error:
            reason = getattr(error, 'reason', error)
            raise OSError(f'cannot download {what} from {url} ({reason}); '
                          f'give a copy of {os.path.basename(url)} with --{option}=FILE, '
                          f'or for training with --set=train.{option}=FILE.') from error
        finally:
            if os.path.exists(partial):
                os.remove(partial)
    if os.path.exists(record):
        with open(record) as file:
            check(path, file.read().split()[0])
    return path


def check(path, expected):
    """Raises ValueError unless the file's SHA-256 is, or begins as, the expected one."""
    found = sha256(path)
    if not expected or not found.startswith(expected.lower()):
        raise ValueError(f'{path} has SHA-256 {found}, expected {expected}; '
                         'replace it, or remove it to download it again.')
