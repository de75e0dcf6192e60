"""Several runs as one table: means and deviations over seeds, beside published values, and how they came about."""
import csv
import io
import os

import numpy as np

from files import json_lines, replacing, write_text
from metrics.records import Records


def columns_of(run_dir, specs, snapshot='network-final.h5'):
    """{column: value} of what a run's metrics.jsonl tells last of a snapshot by metrics.table.Specs, if it tells all of
    them, and 'minutes' of training."""
    found = _records(run_dir).values(snapshot, specs)
    ticks = json_lines(os.path.join(run_dir, 'stats.jsonl'), 'total_sec')
    return found | ({'minutes': ticks[-1]['total_sec'] / 60} if ticks else {})


def curves_of(run_dir, specs):
    """{column: {kimg: value}} of `specs` over a run's snapshots."""
    named = [str(spec) for spec in specs]
    return {name: {nimg / 1000: value for nimg, value in sorted(points.items())}
            for (spec, name), points in _records(run_dir).curves().items() if spec in named}


def _records(run_dir):
    return Records(os.path.join(run_dir, 'metrics.jsonl'))


def cell(values):
    """'mean +- deviation' of the values of several seeds, of one seed the value, of none '-'."""
    if not values:
        return '-'
    mean = _rounded(np.mean(values), 4)
    return f'{mean} +- {_rounded(np.std(values, ddof=1), 2)}' if len(values) > 1 else mean


def _rounded(value, digits):
    """To so many digits, and never with an exponent: 230, not 2.3e+02."""
    return np.format_float_positional(value, digits, fractional=False, trim='-')


def cells(rows):
    """[[text]] of `rows`, (label, [columns of a seed], published {column: value}), below their titles."""
    ours, theirs = _names(rows)
    table = [['row', 'seeds', *ours, *(f'{name} published' for name in theirs)]]
    for label, seeds, published in rows:
        found = [cell([columns[name] for columns in seeds if name in columns]) for name in ours]
        table.append([label, str(len(seeds)), *found,
                      *(f'{published[name]:.4g}' if name in published else '-' for name in theirs)])
    return table


def _names(rows):
    """The columns of a table, and those of them that were published."""
    ours = dict.fromkeys(name for _, seeds, _ in rows for columns in seeds for name in columns)
    return [*ours], [name for name in dict.fromkeys(name for *_, published in rows for name in published) if name in ours]


def numbers(rows):
    """[[entry]] of the same rows for programs: a column for each mean and each deviation, None where there is none."""
    ours, theirs = _names(rows)
    table = [['row', 'seeds', *(title for name in ours for title in (name, f'{name} deviation')),
              *(f'{name} published' for name in theirs)]]
    for label, seeds, published in rows:
        found = [[columns[name] for columns in seeds if name in columns] for name in ours]
        table.append([label, len(seeds), *(entry for values in found for entry in (
            np.mean(values) if values else None, np.std(values, ddof=1) if len(values) > 1 else None)),
                      *(published.get(name) for name in theirs)])
    return table


def save_tables(path, title, rows, below=''):
    """Writes path.txt and path.md, with a title and what is to be said below, and path.csv. -> the text of the first"""
    table = cells(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    text = ''.join('  '.join(f'{entry:{width}s}' for entry, width in zip(line, widths, strict=True)).rstrip() + '\n'
                   for line in table)
    lines = [f'| {" | ".join(line)} |\n' for line in table]
    lines.insert(1, f'|{"---|" * len(table[0])}\n')
    text = f'{title}\n{text}{below}'
    write_text(f'{path}.txt', text)
    write_text(f'{path}.md', f'{title}\n\n{"".join(lines)}\n{below}'.rstrip() + '\n')
    _save_csv(f'{path}.csv', numbers(rows))
    return text


def save_moments(path, rows, specs):
    """Writes a CSV of `specs` at each moment of each run that was measured: of `rows`, (label, [run folders])."""
    found = [(label, run_dir, curves_of(run_dir, specs)) for label, run_dirs in rows for run_dir in run_dirs]
    names = [*dict.fromkeys(name for *_, curves in found for name in curves)]
    table = [['row', 'run', 'kimg', *names]]
    for label, run_dir, curves in found:
        for kimg in sorted({kimg for points in curves.values() for kimg in points}):
            table.append([label, run_dir, kimg, *(curves.get(name, {}).get(kimg) for name in names)])
    _save_csv(path, table)


def _save_csv(path, table):
    text = io.StringIO(newline='')
    csv.writer(text, lineterminator='\n').writerows(table)
    write_text(path, text.getvalue())


def save_curves(path, rows, specs, column):
    """Draws a column of `specs` over kimg: the mean, a line for each of `rows`, (label, [run folders]); seeds are dots."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, axis = pyplot.subplots(figsize=(9, 5))
    for number, (label, run_dirs) in enumerate(rows):
        curves = [curve for curve in (curves_of(run_dir, specs).get(column) for run_dir in run_dirs) if curve]
        if not curves:
            continue
        for curve in curves:
            axis.plot([*curve], [*curve.values()], '.', color=f'C{number}', alpha=0.5)
        shared = sorted(set.intersection(*map(set, curves)))
        means = [np.mean([curve[kimg] for curve in curves]) for kimg in shared]
        axis.plot(shared, means, color=f'C{number}', linestyle=('-', '--')[number // 10 % 2], label=label)
    axis.set(xlabel='real images shown (thousands)', ylabel=column)
    axis.grid(alpha=0.3)
    axis.legend(fontsize='small')
    figure.tight_layout()
    with replacing(path) as partial:
        figure.savefig(partial, format='png', dpi=100)
    pyplot.close(figure)
