"""Imported first: lets a benchmark import the project, whose root is the folder above."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
