"""Builds, shows and checks data sets: `python dataset_tool.py` lists the commands."""
import runtime  # isort: skip (it tells what is not installed)

import difflib
import inspect

from absl import flags

from command_line import Command, check_flags, explain
from data import inspection, toyfaces
from data.build import build
from data.commands import SOURCES
from data.writer import check_target

TOOLS = {
    'display': inspection.display,
    'extract': inspection.extract,
    'compare': inspection.compare,
    'info': inspection.info,
    'verify': inspection.verify,
    'create_toyfaces': toyfaces.create,
}
BUILD_FLAGS = ['num_workers', 'resume', 'shards', 'on_error']

# All default to None, which leaves the choice to the function of the command.
flags.DEFINE_integer('num_workers', None, 'Worker processes (default: one per core; 0: none).')
flags.DEFINE_bool('resume', None, 'Continues a build that was interrupted, if there is one.')
flags.DEFINE_integer('shards', None, 'Files per resolution (default 1).')
flags.DEFINE_enum('on_error', None, ['stop', 'skip'], 'What to do about a bad image.')
flags.DEFINE_integer('shuffle', None, '1 (default): shuffles; 0: keeps the order of the source.')
flags.DEFINE_integer('resolution', None, 'Power of two that images are resized to.')
flags.DEFINE_integer('width', None, 'Width and height of the square in which images are pasted (default 512).')
flags.DEFINE_integer('height', None, 'Height of the images in it (default 384).')
flags.DEFINE_enum('fit', None, ['error', 'crop', 'pad', 'stretch'], 'How images become square.')
flags.DEFINE_integer('channels', None, '1 makes all images gray, 3 makes all RGB.')
flags.DEFINE_string('labels', None, "'folders', 'none', or a .json or .csv file with the label of each image.")
flags.DEFINE_integer('label_level', None, 'Which folders are the classes of --labels=folders: 1 for the uppermost, and on.')
flags.DEFINE_integer('max_pixels', None, 'Takes images of up to so many pixels (default: 178956970).')
flags.DEFINE_integer('max_file_mib', None, 'Takes files that unpack to so many MiB (default: 1024).')
flags.DEFINE_integer('max_images', None, 'Stops after so many images.')
flags.DEFINE_integer('num_images', None, 'How many images to make.')
flags.DEFINE_integer('expected_images', None, 'Refuses another number of images than the published one; 0 takes any.')
flags.DEFINE_integer('cx', None, 'Column of the centre of the crop (default 89).')
flags.DEFINE_integer('cy', None, 'Row of the centre of the crop (default 121).')
flags.DEFINE_string('celeba_dir', None, 'Folder of img_celeba/*.jpg and Anno/list_landmarks_celeba.txt.')
flags.DEFINE_string('delta_dir', None, 'Folder of image_list.txt and deltas*.zip; without it, images are only aligned.')
flags.DEFINE_integer('size', None, 'Width and height of the images: 256, 512 or 1024 (default).')
flags.DEFINE_string('image_list', None, 'Text file of the images to use, one name per line (default: all).')
flags.DEFINE_integer('select', None, 'How many images to use, the sharpest (default: 0, all).')
flags.DEFINE_string('grades', None, 'File that keeps the grades of --select, to go on after an interruption.')
flags.DEFINE_integer('num_deltas', None, 'How many of the drawn faces get a delta (default: 8).')
flags.DEFINE_integer('seed', None, 'Seed of what is drawn (default: 0).')
flags.DEFINE_bool('ignore_labels', None, 'Compare the images only.')
flags.DEFINE_string('output', None, 'File that the contact sheet is written to.')
flags.DEFINE_integer('start', None, 'First image of the contact sheet.')
flags.DEFINE_bool('overwrite', None, 'Replaces a contact sheet that exists.')
flags.DEFINE_bool('show', None, 'Opens the contact sheet in a viewer too.')


def parameters(command):
    """What a command takes, from the signature of its function: {positional argument: required}, [flags]."""
    taken = inspect.signature(SOURCES.get(command) or TOOLS[command]).parameters.values()
    positional = {p.name: p.default is p.empty for p in taken if p.kind is p.POSITIONAL_OR_KEYWORD}
    switches = [p.name for p in taken if p.kind is p.KEYWORD_ONLY]
    if command in SOURCES:
        return {'tfrecord_dir': True, **positional}, list(dict.fromkeys(switches + BUILD_FLAGS))
    return positional, switches


def usage(command):
    """One line: the command and its arguments."""
    places = [name.upper() if required else f'[{name.upper()}]' for name, required in parameters(command)[0].items()]
    return ' '.join([command, *places])


def described():
    """{name: Command} of all commands."""
    return {name: Command(usage(name), inspect.getdoc(function), (*parameters(name)[1], *parameters(name)[0].keys() & set(
        flags.FLAGS))) for name, function in (SOURCES | TOOLS).items()}


def parse(command, values):
    """Arguments of a command by name, from its values on the command line and the flags that were given."""
    commands = described()
    check_flags(command, commands)
    positional = parameters(command)[0]
    given = {name: flags.FLAGS[name].value for name in commands[command].flags if flags.FLAGS[name].present}
    places = [name for name in positional if name not in given]
    if not sum(positional[name] for name in places) <= len(values) <= len(places):
        raise ValueError(f'usage: python dataset_tool.py {usage(command)}.')
    return given | dict(zip(places, values, strict=False))


def create(command, tfrecord_dir, **arguments):
    """Builds the data set of a create command."""
    check_target(tfrecord_dir, arguments.get('resume', False))  # Before hours of looking at the source, perhaps.
    describe = SOURCES[command]
    own = {name: arguments[name] for name in inspect.signature(describe).parameters if name in arguments}
    recipe = ' '.join([command, *(f'{name}={value}' for name, value in own.items() if name not in BUILD_FLAGS)])
    build(tfrecord_dir, describe(**own), recipe, **{name: arguments[name] for name in BUILD_FLAGS if name in arguments})


def main(argv):
    if len(argv) < 2:
        print(explain(argv, main, described()))
        return
    command, *values = argv[1:]
    if command not in SOURCES | TOOLS:
        close = difflib.get_close_matches(command, SOURCES | TOOLS, 1)
        hint = f"did you mean '{close[0]}'?" if close else 'run without arguments to see the commands.'
        raise ValueError(f"unknown command '{command}'; {hint}")
    arguments = parse(command, values)
    try:
        if command in TOOLS:
            TOOLS[command](**arguments)
        else:
            create(command, **arguments)
    except KeyboardInterrupt:
        raise InterruptedError('interrupted; a create command goes on where it was with --resume.') from None


if __name__ == '__main__':
    runtime.run(main, described())
