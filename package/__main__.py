"""`progan COMMAND ...`, or `python -m progan COMMAND ...`: what a checkout runs as `python COMMAND.py ...`."""
import runpy
import sys

COMMANDS = {
    'dataset_tool': 'builds, shows and checks data sets',
    'train': 'trains networks',
    'generate': 'makes pictures and videos',
    'evaluate': 'measures networks and sets of images',
    'export': 'writes a network as a model to serve',
    'project': 'finds the latents of given images',
    'experiments': 'runs the experiments of ProGAN\'s paper again',
    'serve_client': 'asks a server for pictures',
    'import_official': 'turns an official network file into a snapshot',
    'grade_demo': 'grades the demo',
}


def main():
    """The console script."""
    name = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if name in COMMANDS:
        del sys.argv[1]
        runpy.run_module(f'{__package__}.{name}', run_name='__main__', alter_sys=True)
    elif name in ('--help', '-h', 'help'):
        print('usage: progan COMMAND ...; progan COMMAND --help tells its flags.\n')
        print('\n'.join(f'  {command:18s}{what}' for command, what in COMMANDS.items()))
    else:
        sys.exit(f'progan: there is no command {name!r}; it has {", ".join(COMMANDS)}.')


if __name__ == '__main__':
    main()
