"""What commands share at the command line: flags that are checked, and --help."""
import inspect
import os
import re
import sys
import textwrap
from typing import NamedTuple

from absl import flags

from wording import command, did_you_mean

FLAGS = flags.FLAGS
_MOST = 1e9  # Of a number: what is larger is a slip, or not finite.
_HELP = {'--help', '-help', '-h', '--helpshort', '--helpfull'}


class Command(NamedTuple):
    """One of the commands of a program."""
    usage: str    # Its name and what follows it.
    about: str
    flags: tuple  # Names of those that it takes.


def program():
    """The name of what the user has called: train.py in a checkout, where it is installed progan train."""
    return _typed().removeprefix('python ')


def _typed():
    """What starts it at a prompt."""
    return command(os.path.basename(sys.argv[0]).removesuffix('.py'))


def wants_help(argv):
    """Whether the arguments ask for an explanation."""
    return not _HELP.isdisjoint(argv[1:])


def explain(argv, main, commands):
    """Text for --help: of the command that is named, of all commands, or of a program that has none."""
    named = next((argument for argument in argv[1:] if argument in commands), None)
    if named:
        usage, about, names = commands[named]
        return '\n'.join([f'usage: {_typed()} {usage} [flags]', '', about, '', *map(_explain_flag, names)])
    module = sys.modules[main.__module__]
    if commands:
        return '\n'.join([inspect.cleandoc(module.__doc__), *map(_summary, commands.values()), '',
                          f'The flags of a command: {_typed()} COMMAND --help'])
    names = [flag.name for flag in FLAGS.get_key_flags_for_module(module)]
    return '\n'.join([inspect.cleandoc(module.__doc__), '', *map(_explain_flag, names)])


def _summary(command):
    return f'\n{command.usage}\n{textwrap.indent(textwrap.fill(command.about, 100), "    ")}'


def _explain_flag(name):
    flag = FLAGS[name]
    kind = {'string': 'TEXT', 'int': 'N', 'float': 'X', 'string enum': '|'.join(getattr(flag.parser, 'enum_values', []))}
    value = '' if flag.boolean else f'={kind.get(flag.flag_type(), "A,B,..")}'
    text = re.sub('^<.*?>: ', '', flag.help)  # Absl puts the values of an enum there.
    if flag.default not in (None, False, []) and not flag.boolean and 'default' not in text:
        default = flag.default_as_str.strip("'")
        text = f'{text.removesuffix(".")} (default: {default}).'
    left = f'  --{"[no]" if flag.default is True else ""}{name}{value}'
    lines = textwrap.wrap(text, 96)
    first = [f'{left:24s} {lines[0]}'] if len(left) < 25 else [left, f'{"":24s} {lines[0]}']
    return '\n'.join([*first, *(f'{"":24s} {line}' for line in lines[1:])])


def parse(argv):
    """Sets the flags -> the other arguments; ValueError for a flag that does not exist or a value that is none."""
    try:
        arguments = FLAGS(argv)
        for name in FLAGS:
            value = FLAGS[name].value
            if isinstance(value, float) and not abs(value) <= _MOST:
                raise ValueError(f'--{name}={value:g} is not possible; expected is a number up to {_MOST:g}.')
        return arguments
    except flags.UnrecognizedFlagError as error:
        hint = did_you_mean(f'--{error.flagname}', [f'--{name}' for name in FLAGS])
        raise ValueError(f'there is no flag --{error.flagname}{hint or "; --help lists them."}') from None
    except flags.Error as error:
        raise ValueError(f'{str(error).removesuffix(".")}.') from None


def check_flags(name, commands):
    """ValueError for a flag that command `name` of `commands` would ignore."""
    taken = commands[name].flags
    for other in sorted({flag for known in commands.values() for flag in known.flags} - set(taken)):
        if FLAGS[other].present:
            hint = did_you_mean(f'--{other}', [f'--{flag}' for flag in taken])
            raise ValueError(f'{name} has no flag --{other}{hint or f"; {program()} {name} --help lists them."}')


def check_given(*names):
    """ValueError for one of the flags `names` that has no value."""
    for name in names:
        if not FLAGS[name].value:
            raise ValueError(f'--{name} is missing; {FLAGS[name].help[0].lower() + FLAGS[name].help[1:]}')


def check_needed(flag, condition, names):
    """ValueError for one of the flags `names` that has no meaning unless `condition`, which `flag` is to bring about."""
    for name in names:
        if FLAGS[name].present and not condition:
            raise ValueError(f'--{name} has no meaning without {flag}.')
