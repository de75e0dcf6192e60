import pytest


@pytest.fixture
def write(tmp_path):
    """Writes the bytes of a file, the only one of its folder -> its path."""
    def write(data):
        (tmp_path / 'file').write_bytes(data)
        return str(tmp_path / 'file')
    return write
