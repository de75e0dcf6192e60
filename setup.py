"""Builds the package `progan` of the modules at the top level, whose names are too general to be installed as they are.

`from networks import progan` becomes `from progan.networks import progan`, in each module as it is copied: nothing is
decided at import, `sys.path` stays as it is, and no module of the user's is shadowed.
"""
import ast
import pathlib
import re
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).parent
NAME = 'progan'
FOLDERS = ('data', 'metrics', 'networks', 'official', 'pictures', 'presets', 'serving', 'training')
OURS = {path.stem for path in ROOT.glob('*.py')} - {'setup'} | {*FOLDERS}
SUBFOLDERS = sorted({str(path.parent.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).rglob('*.py')})


def renamed(source, path):
    """A module's text with its imports of our modules below `progan`; SyntaxError for a form that has no such equal."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            named = [alias for alias in node.names if alias.name.partition('.')[0] in OURS]
            if named and (len(node.names) > 1 or '.' in named[0].name):
                raise SyntaxError(f'{path}, line {node.lineno}: write it as `from folder import module`.')
            new = ('import ', f'from {NAME} import ') if named else None
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module.partition('.')[0] in OURS:
            new = ('from ', f'from {NAME}.')
        else:
            continue
        if new:
            line = lines[node.lineno - 1].encode()  # Columns count bytes.
            start, rest = line[:node.col_offset], line[node.col_offset:].decode()
            lines[node.lineno - 1] = start.decode() + re.sub(rf'^{new[0].strip()}\s+', new[1], rest)
    return ''.join(lines)


class Build(build_py):
    def run(self):
        if self.editable_mode:
            raise SystemExit('An editable install is not possible, for modules are renamed as they are copied; run the '
                             'commands in the checkout, or install it without -e.')
        shutil.rmtree(pathlib.Path(self.build_lib, NAME), ignore_errors=True)  # What an earlier build has left.
        super().run()

    def build_module(self, module, module_file, package):
        target, copied = super().build_module(module, module_file, package)
        text = pathlib.Path(module_file).read_text(encoding='utf-8')
        pathlib.Path(target).write_text(renamed(text, module_file), encoding='utf-8')
        return target, copied

    def find_package_modules(self, package, package_dir):
        found = super().find_package_modules(package, package_dir)
        if package == NAME:  # The commands and what they share lie beside the package's own two files.
            found += [(NAME, stem, f'{stem}.py') for stem in sorted(OURS - {*FOLDERS})]
        return found


setup(cmdclass={'build_py': Build}, packages=[NAME, *(f'{NAME}.{folder.replace("/", ".")}' for folder in SUBFOLDERS)],
      package_dir={NAME: 'package', **{f'{NAME}.{folder.replace("/", ".")}': folder for folder in SUBFOLDERS}})
