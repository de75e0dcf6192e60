"""The house keeps its order: imports run downward only, and a method's name stands in its own files, presets and tables."""
import ast
import subprocess

from places import ROOT

from networks.architectures import ARCHITECTURES
from presets.table import METHODS
from training.objectives.table import OBJECTIVES

# From the ground up; a module imports its own floor, when its own folder, and those below (docs/architecture.md).
FLOORS = [('quiet', 'stopping', 'wording'), ('files', 'hdf5', 'pickles', 'progress', 'children', 'command_line'),
          ('runtime',),
          ('runs', 'presets', 'pictures'), ('config', 'data', 'networks'), ('serving', 'official'), ('metrics',),
          ('training',),
          ('train', 'generate', 'evaluate', 'export', 'import_official', 'project', 'dataset_tool', 'serve_client',
           'experiments', 'grade_demo')]
FLOOR_OF = {name: height for height, names in enumerate(FLOORS) for name in names}
TABLES = {'presets/table.py', 'networks/architectures.py', 'official/load.py', 'training/objectives/table.py',
          'config.py'}  # config.py: its defaults are the first method's.


def sources():
    """{path: syntax tree} of what users run."""
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '*.py'], cwd=ROOT, capture_output=True,
                            text=True, check=True).stdout.split()
    return {path: ast.parse((ROOT / path).read_text()) for path in listed
            if not path.startswith(('tests/', 'benchmarks/', 'package/', 'setup.py')) and (ROOT / path).exists()}


def imported(tree):
    """Dotted names of everything that a module imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def upward(trees):
    """(file, import) of each import that does not run downward."""
    for path, tree in trees.items():
        own = path.removesuffix('.py').split('/')[0]
        for name in imported(tree):
            floor = name.split('.')[0]
            if floor in FLOOR_OF and floor != own and FLOOR_OF[floor] >= FLOOR_OF[own]:
                yield path, name


def out_of_place(trees):
    """(file, import) of each import of a method's own module outside of that method's modules and the tables."""
    own = {f'{folder}.{module}' for folder, modules in (
        ('presets', [method.__name__.split('.')[-1] for method in METHODS]),
        ('networks', [classes[0].__module__.split('.')[-1] for classes in ARCHITECTURES.values()]),
        ('training.objectives', [objective.__module__.split('.')[-1] for objective in OBJECTIVES.values()]),
        ('official', [method.__name__.split('.')[-1] for method in METHODS])) for module in modules}
    for path, tree in trees.items():
        if path not in TABLES and path.removesuffix('.py').replace('/', '.') not in own:
            yield from ((path, name) for name in imported(tree) if name in own)


def compared_kinds(trees):
    """(file, line) of each comparison with the name of an architecture or objective."""
    kinds = {*ARCHITECTURES, *OBJECTIVES}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare | ast.Match) and any(
                    isinstance(part, ast.Constant) and part.value in kinds for part in ast.walk(node)):
                yield path, node.lineno


def test_every_file_has_a_floor():
    assert {path.removesuffix('.py').split('/')[0] for path in sources()} == FLOOR_OF.keys()


def test_imports_run_downward_only():
    assert list(upward(sources())) == []
    assert list(upward({'data/pipeline.py': ast.parse('from networks.growth import lerp')})) != []
    assert list(upward({'metrics/records.py': ast.parse('def f():\n  import training.report')})) != []


def test_a_method_is_named_in_its_own_files_and_the_tables_alone():
    assert list(out_of_place(sources())) == [] and list(compared_kinds(sources())) == []
    assert list(out_of_place({'training/loop.py': ast.parse('from networks.progan import Generator')})) != []
    assert list(out_of_place({'serving/generate.py': ast.parse('from presets import progan')})) != []
    assert list(compared_kinds({'training/loop.py': ast.parse("if config.loss.kind == 'wgan_gp': pass")})) != []
