"""Where things are, for tests in any folder."""
import pathlib

TESTS = pathlib.Path(__file__).parent.parent
ROOT = TESTS.parent
GOLDENS = TESTS / 'goldens'
