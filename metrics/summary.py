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


def curve_of(run_dir, specs, column):
    """(kimg, values) of a column of `specs` over a run's snapshots."""
    named = [str(spec) for spec in specs]
    curve = {nimg / 1000: value for (spec, name), points in _records(run_dir).curves().items()
             if spec in named and name == column for nimg, value in points.items()}
    return [*curve], [*curve.values()]


def _records(run_dir):
    return Records(os.path.join(run_dir, 'metrics.jsonl'))


def cell(values):
    """'mean +- deviation' of the values of several seeds, of one seed the value, of none '-'."""
    if not values:
        return '-'
    mean = f'{np.mean(values):.4g}'
    return f'{mean} +- {np.std(values, ddof=1):.2g}' if len(values) > 1 else mean


def cells(rows):
    """[[text]] of `rows`, (label, [columns of a seed], published {column: value}), below their titles."""
    ours = dict.fromkeys(name for _, seeds, _ in rows for columns in seeds for name in columns)
    theirs = dict.fromkeys(name for _, _, published in rows for name in published)
    table = [['', 'seeds', *ours, *(f'{name} published' for name in theirs)]]
    for label, seeds, published in rows:
        found = [cell([columns[name] for columns in seeds if name in columns]) for name in ours]
        table.append([label, str(len(seeds)), *found,
                      *(f'{published[name]:.4g}' if name in published else '-' for name in theirs)])
    return table


def save_tables(path, table):
    """Writes path.txt, path.md and path.csv. -> the text of the first"""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    text = ''.join('  '.join(f'{entry:{width}s}' for entry, width in zip(line, widths, strict=True)).rstrip() + '\n'
                   for line in table)
    of_csv = io.StringIO(newline='')
    csv.writer(of_csv, lineterminator='\n').writerows(table)
    lines = [f'| {" | ".join(line)} |\n' for line in table]
    lines.insert(1, f'|{"---|" * len(table[0])}\n')
    for ending, content in ('txt', text), ('md', ''.join(lines)), ('csv', of_csv.getvalue()):
        write_text(f'{path}.{ending}', content)
    return text


def save_curves(path, rows, specs, column):
    """Draws a column of `specs` over kimg: the mean, a line for each of `rows`, (label, [run folders]); seeds are dots."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, axis = pyplot.subplots(figsize=(9, 5))
    for number, (label, run_dirs) in enumerate(rows):
        curves = [curve for curve in (curve_of(run_dir, specs, column) for run_dir in run_dirs) if curve[0]]
        shared = sorted(set.intersection(*(set(kimg) for kimg, _ in curves))) if curves else []
        for kimg, values in curves:
            axis.plot(kimg, values, '.', color=f'C{number}', alpha=0.5)
        means = [np.mean([values[kimg.index(x)] for kimg, values in curves]) for x in shared]
        axis.plot(shared, means, color=f'C{number}', linestyle=('-', '--')[number // 10 % 2], label=label)
    axis.set(xlabel='real images shown (thousands)', ylabel=column)
    axis.grid(alpha=0.3)
    axis.legend(fontsize='small')
    figure.tight_layout()
    with replacing(path) as partial:
        figure.savefig(partial, format='png', dpi=100)
    pyplot.close(figure)
