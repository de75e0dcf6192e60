"""How things are told to people."""
import difflib


def format_time(seconds):
    """E.g. '1d 02h 03m', '2h 03m 04s', '3m 04s', '4s'."""
    s = round(seconds)
    if s < 60:
        return f'{s}s'
    if s < 3600:
        return f'{s // 60}m {s % 60:02d}s'
    if s < 86400:
        return f'{s // 3600}h {s // 60 % 60:02d}m {s % 60:02d}s'
    return f'{s // 86400}d {s // 3600 % 24:02d}h {s // 60 % 60:02d}m'


def counted(number, what):
    """E.g. '1 image', '2 images'."""
    return f'{number} {what}{"" if number == 1 else "s"}'


def command(name):
    """What to type to run a command: in a checkout, or where the package is installed."""
    return f'progan {name}' if __name__.startswith('progan.') else f'python {name}.py'


def did_you_mean(name, known):
    """"; did you mean 'x'?" for the known name nearest to a wrong one, or nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean {close[0]!r}?' if close else ''
