"""What was measured: metrics.jsonl, one record per set of images and metric, and the table and plot made of it."""
import itertools
import json
import os
from collections import Counter

from files import is_number, json_lines, replacing, write_text, writing
from wording import format_time


class Records:
    """The records of a file in the order they were added; `settings(spec)` tell those of this evaluation from others."""

    def __init__(self, path, settings=lambda spec: {}):
        self._path, self._settings = path, settings
        self._all = [record for record in json_lines(path, 'seconds') if _is_whole(record)]

    def find(self, row, nimg, spec):
        """The latest record of a row and spec, or None."""
        wanted = {'row': row, 'nimg': nimg, 'metric': str(spec), **self._settings(spec)}
        return next((record for record in reversed(self._all) if wanted.items() <= record.items()), None)

    def values(self, row, specs):
        """{column: value} of what `specs` tell of a row, the latest of each; empty if one of them is not on record."""
        found = {record['metric']: record['values'] for record in self._all if record.get('row') == row}
        if not {str(spec) for spec in specs} <= found.keys():
            return {}
        return {name: value for spec in specs for name, value in found[str(spec)].items()}

    def curves(self):
        """{(metric, column): {nimg: value}} of all networks on record, the latest value of each moment, moments rising."""
        found = {}
        for record in self._all:
            for name, value in record['values'].items():
                if record.get('nimg') is not None:
                    found.setdefault((record['metric'], name), {})[record['nimg']] = value
        return {key: dict(sorted(curve.items())) for key, curve in found.items()}

    def add(self, row, nimg, spec, seconds, values):
        """Appends a record to the file."""
        record = {'row': row, 'nimg': nimg, 'metric': str(spec), **self._settings(spec), 'seconds': round(seconds, 1),
                  'values': {name: float(value) for name, value in values.items()}}
        self._all.append(record)
        with writing(self._path), open(self._path, 'a+b') as file:
            if file.tell() and _last_byte(file) != b'\n':
                file.write(b'\n')  # The last record was cut off when its evaluation was killed.
            file.write(json.dumps(record).encode() + b'\n')


def _is_whole(record):
    values, nimg = record.get('values'), record.get('nimg')
    return (isinstance(record.get('metric'), str) and (nimg is None or is_number(nimg))
            and isinstance(values, dict) and all(type(value) in (int, float) for value in values.values()))


def _last_byte(file):
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def table(records, rows, specs):
    """Text of one line per row, (name, nimg): the seconds it took and every value, '-' where there is none."""
    found = {(row, spec): records.find(*row, spec) for row in rows for spec in specs}
    columns = list(dict.fromkeys((spec, name) for (_, spec), r in found.items() if r for name in r['values']))
    columns.sort(key=lambda column: specs.index(column[0]))
    named = Counter(name for _, name in columns)
    titles = [name if named[name] == 1 else f'{name}_{spec}' for spec, name in columns]
    width = max(len(name) for name, _ in [('Snapshot', None), *rows])
    lines = ['  '.join([f'{"Snapshot":{width}s}', f'{"Time_eval":11s}', *titles])]
    for row in rows:
        here = {spec: found[row, spec] for spec in specs if found[row, spec]}
        seconds = max([record['seconds'] for record in here.values()], default=None)
        cells = [f'{row[0]:{width}s}', f'{"-" if seconds is None else format_time(seconds):11s}']
        for title, (spec, name) in zip(titles, columns, strict=True):
            cells.append(f'{here[spec]["values"][name]:<{len(title)}.4f}' if spec in here else f'{"-":{len(title)}s}')
        lines.append('  '.join(cells).rstrip())
    return '\n'.join(lines) + '\n'


def save_table(path, records, rows, specs):
    """Writes the table, which appears complete or not at all."""
    write_text(path, table(records, rows, specs))


def save_plot(path, records, rows, specs):
    """Draws every metric over kimg as a PNG, rows without a kimg as lines across.

    Where further reals tell what can be reached, the first row, the reals themselves, is left out: it is 0 by definition.
    """
    import matplotlib  # Takes a second to import; only this needs it.
    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(specs), 1, figsize=(8, 3.2 * len(specs)), squeeze=False, sharex=True)
    for axis, spec in zip(axes[:, 0], specs, strict=True):
        found = [record for row in rows if (record := records.find(*row, spec))]
        across = [record for record in found if record['nimg'] is None][spec.metric.other_reals:]
        styles = dict(zip((record['row'] for record in across), itertools.cycle(['--', ':', '-.'])))
        for i, name in enumerate(dict.fromkeys(name for record in found for name in record['values'])):
            points = sorted((r['nimg'] / 1000, r['values'][name]) for r in found if r['nimg'] is not None)
            axis.plot([kimg for kimg, _ in points], [value for _, value in points], 'o-', color=f'C{i}', label=name)
            for record in across:
                axis.axhline(record['values'][name], color=f'C{i}', linestyle=styles[record['row']], linewidth=1)
        for row, style in styles.items():
            axis.plot([], [], color='gray', linestyle=style, linewidth=1,
                      label=f'{row}: the floor' if spec.metric.other_reals else row)
        axis.set(title=str(spec), ylabel=spec.metric.axis)
        axis.legend()
        axis.grid(alpha=0.3)
    axes[-1, 0].set_xlabel('kimg')
    figure.tight_layout()
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100)
    pyplot.close(figure)
