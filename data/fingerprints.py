"""Short checksums of facts about files, which tell that somebody changed them without reading them."""
import json
import os

from files import sha256_of


def fingerprint(facts):
    """Checksum of anything that JSON can write: 16 hexadecimal digits."""
    return sha256_of([json.dumps(facts).encode()])[:16]


def file_facts(folder, names):
    """Name, size and time (in ns) of each file."""
    stats = [(name, os.stat(os.path.join(folder, name))) for name in names]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
