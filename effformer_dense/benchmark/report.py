"""Running groups of cases, and reporting them."""

from __future__ import annotations

import json
import os
import platform
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from ..files import make_output_dir, write_atomically, write_text
from ..version import __version__
from .cases import Case, pairs
from .contender import TooLargeError
from .others import DISTURBED_CORES
from .rounds import Measurement, Spread, measure_group


def run(
    groups: Sequence[Sequence[Case]],
    rounds: int,
    reference: str | None,
    out_dir: Path,
    command: str = '',
    in_pairs: bool = False,
) -> list[Measurement]:
    """Measure all groups; show progress and a table, write ``benchmark.json``, ``.md`` and ``.png``.

    Args:
        groups: of cases that take turns.
        rounds: of each group.
        reference: contender that the others are compared with.
        out_dir: for the files.
        command: written into them.
        in_pairs: let each contender take turns with the reference alone, as is done anyway where they do not fit into
            memory together. It takes longer; a contender that takes more memory than there is even so is left out, and
            named below the table.

    Raises:
        UserError: ``out_dir`` cannot be written, or the reference takes more memory than there is.
    """
    make_output_dir(out_dir)
    console = Console(width=None if os.isatty(1) else 160)
    done: list[Measurement] = []
    left_out: list[str] = []
    with Progress(console=console, transient=True) as progress, TemporaryDirectory() as files:
        task = progress.add_task('Benchmark', total=len(groups))
        for group in groups:
            cases = [replace(case, files=Path(files)) for case in group]
            found, missing = _measure(
                cases, rounds, reference, in_pairs, lambda text: progress.update(task, description=text)
            )
            done, left_out = [*done, *found], [*left_out, *missing]
            _write(done, left_out, out_dir, command)  # what is measured is kept, should a later group fail
            progress.advance(task)
    console.print(_table(done))
    for measurement in done:
        if measurement.parts_ms:
            console.print(_parts(measurement))
    for warning in (*left_out, *_warnings(done)):
        console.print(f'[yellow]{warning}')
    return done


def _measure(
    cases: Sequence[Case], rounds: int, reference: str | None, in_pairs: bool, note: Callable[[str], None]
) -> tuple[list[Measurement], list[str]]:
    """Measure a group, and say what is left out. Of pairs, the reference's own figures are those of the first one."""
    if not in_pairs:
        try:
            return measure_group(cases, rounds, reference, note), []
        except TooLargeError as error:
            if len(cases) == 1:
                raise
            note(f'{error.name}: not enough memory for all at once, so each takes turns with the reference alone')
    found: list[Measurement] = []
    left_out = []
    for pair in pairs(cases, reference):
        try:
            measured = measure_group(pair, rounds, None, note)
        except TooLargeError as error:
            if error.name != pair[-1].name or len(pair) == 1:
                raise
            left_out.append(f'{error.name} {pair[-1].conditions}: takes more memory than there is.')
        else:
            found += measured[1:] if found else measured
    return found or measure_group([pair[0]], rounds, None, note), left_out


#: Heads of a table's columns, and what stands in them.
_LEFT = ('model', 'input', 'contender')
_RIGHT = (
    'ms',
    'fastest',
    'time / {reference}',
    'share of floor',
    'floor ms',
    'img/s',
    'peak MiB',
    'GMACs',
    'M par.',
    'others',
)


def _columns(measurements: Sequence[Measurement]) -> list[str]:
    references = {m.reference for m in measurements}
    name = references.pop() if len(references) == 1 else 'first'
    return [*_LEFT, *(head.format(reference=name) for head in _RIGHT)]


def _cells(m: Measurement) -> list[str]:
    return [
        m.case.label,
        m.case.conditions,
        m.case.contender,
        f'{m.median_ms:.1f}',
        f'{min(m.times_ms):.1f}',
        _spread(m.ratio, '.2f'),
        _spread(m.share, '.0%'),
        f'{m.floor_ms:.1f}',
        f'{m.images_per_s:.2f}',
        '' if m.peak_mib is None else f'{m.peak_mib:.0f}',
        f'{m.gmacs:.2f}',
        f'{m.parameters / 1e6:.1f}',
        '' if m.others is None else f'{m.others:.2f}',
    ]


def _spread(value: Spread, form: str) -> str:
    return f'{value.median:{form}} [{value.low:{form}}, {value.high:{form}}]'


def _table(measurements: Sequence[Measurement]) -> Table:
    table = Table(title=f'Medians over rounds, and quartiles in brackets. {machine()}')
    for name in _columns(measurements):
        table.add_column(name, justify='left' if name in _LEFT else 'right')
    last = None
    for m in measurements:
        if last not in (None, _group(m)):
            table.add_section()
        last = _group(m)
        table.add_row(*map(escape, _cells(m)))
    return table


def _group(m: Measurement) -> tuple[str, str]:
    return m.case.label, m.case.conditions


def _markdown(measurements: Sequence[Measurement], left_out: Sequence[str], command: str) -> str:
    rows = [_columns(measurements), *map(_cells, measurements)]
    lines = [f'| {" | ".join(row)} |' for row in rows]
    lines.insert(1, '|' + '---|' * len(rows[0]))
    head = [f'{date.today()}, {machine()}', *([f'`{command}`'] if command else []), *left_out, *_warnings(measurements)]
    return '\n\n'.join([*head, '\n'.join(lines)]) + '\n'


def _warnings(measurements: Sequence[Measurement]) -> list[str]:
    """A line for each group that other work has disturbed."""
    disturbed = {_group(m): m.others for m in measurements if m.others is not None and m.others >= DISTURBED_CORES}
    return [
        f'{label} {conditions}: other programs kept {cores:.2f} cores busy meanwhile: measure again on a quiet machine.'
        for (label, conditions), cores in disturbed.items()
    ]


def _parts(measurement: Measurement) -> str:
    rest = measurement.median_ms - sum(measurement.parts_ms.values())
    parts = {**measurement.parts_ms, 'rest': rest}
    shares = ', '.join(f'{name} {ms:.0f} ms ({ms / measurement.median_ms:.0%})' for name, ms in parts.items())
    return f'{measurement.case.label} {measurement.case.contender}: {shares}'


def machine() -> str:
    """Describe the machine: processor, threads, GPU, versions."""
    gpu = f', {torch.cuda.get_device_name()}' if torch.cuda.is_available() else ''
    return (
        f'{_processor()} ({torch.backends.cpu.get_cpu_capability()}), {os.cpu_count()} cores{gpu}, '
        f'torch {torch.__version__}, effformer_dense {__version__}'
    )


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()


def _write(measurements: Sequence[Measurement], left_out: Sequence[str], out_dir: Path, command: str) -> None:
    rows = [{**asdict(m), 'contender': m.case.contender, 'median_ms': m.median_ms} for m in measurements]
    content = {'machine': machine(), 'date': str(date.today()), 'command': command, 'left_out': left_out, 'rows': rows}
    write_text(out_dir / 'benchmark.json', json.dumps(content, indent=1, default=str))
    write_text(out_dir / 'benchmark.md', _markdown(measurements, left_out, command))
    write_atomically(out_dir / 'benchmark.png', lambda scratch: _plot(measurements, scratch))


def _plot(measurements: Sequence[Measurement], path: Path) -> None:
    """Time against pixels: a panel per model and number of threads, a line per contender, and the floors."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for m in measurements:
        panels[m.case.label, m.case.conditions.split(', ', 1)[1]].append(m)
    labels, kinds = ([*dict.fromkeys(names)] for names in zip(*panels, strict=True))
    contenders = list(dict.fromkeys(m.case.contender for m in measurements))
    figure = Figure(figsize=(1 + 3.6 * len(labels), 1.2 + 3 * len(kinds)), layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(kinds), len(labels), sharex=True, sharey=True, squeeze=False)
    for (label, kind), shown in panels.items():
        axes = grid[kinds.index(kind)][labels.index(label)]
        for index, contender in enumerate(contenders):
            of_it = [m for m in shown if m.case.contender == contender]
            _line(axes, of_it, [m.median_ms for m in of_it], color=f'C{index}', marker='o', label=contender)
        for precision, style in zip(
            dict.fromkeys(m.case.precision for m in measurements), (':', '--', '-.'), strict=False
        ):
            of_it = [m for m in shown if m.case.precision == precision]
            look = dict(color='black', marker='_', linestyle=style, label=f'floor, {precision}')
            _line(axes, of_it, [m.floor_ms for m in of_it], **look)
        axes.set(xscale='log', yscale='log', title=f'{label}, {kind}')
        axes.grid(which='both', alpha=0.3)
    figure.supxlabel('megapixels of the input')
    figure.supylabel('median time of a step, ms')
    handles = {
        text: handle for axes in grid.flat for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc='outside upper center', ncols=5, fontsize='small')
    figure.savefig(path, dpi=120)


def _line(axes: Any, measurements: Sequence[Measurement], times_ms: Sequence[float], **look: Any) -> None:
    pixels = [m.case.batch * m.case.height * m.case.width / 1e6 for m in measurements]
    if pixels:
        axes.plot(*zip(*sorted(zip(pixels, times_ms, strict=True)), strict=True), **look)
