"""Backbones beside each other: one interleaved run over all of them, as a table and as a picture."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from ..errors import UserError
from ..files import make_output_dir, write_atomically, write_text
from ..options import BenchmarkOptions
from .cases import Case, make_groups
from .models import TIMM_PREFIX, is_config
from .others import DISTURBED_CORES
from .report import machine
from .rounds import Measurement, measure_group, spread
from .subjects import has_own_backbone

COLUMNS = ('model', 'contender', 'M parameters', 'GMACs', 'ms', 'ms, quartiles', 'time / first', 'peak MiB')


def make_cases(
    models: Sequence[str], size: tuple[int, int], modes: Sequence[str], options: BenchmarkOptions
) -> list[Case]:
    """All contenders of a comparison, checked; a config stands for its backbone.

    Raises:
        UserError: several numbers of threads, or what :func:`.cases.make_groups` refuses.
    """
    if len(options.thread_counts) > 1:
        raise UserError(f'compare takes one number of threads; got {", ".join(map(str, options.thread_counts))}.')
    groups = make_groups(models, [(options.batch, *size)], modes, options, part='backbone')
    cases = [case for group in groups for case in group]
    for case, times in Counter(cases).items():
        if times > 1:
            raise UserError(f'compare got {case.name} twice: name each model, mode and precision once.')
    for config in {case.model for case in cases if is_config(case.model) and case.mode != 'eager'}:
        if not has_own_backbone(config):
            raise UserError(f'{config} has a backbone that is not of this package: it is measured by --modes eager.')
    return cases


def compare(cases: Sequence[Case], rounds: int, out_dir: Path, command: str = '') -> list[Measurement]:
    """Let all cases take turns; show a table, write ``compare.csv``, ``.md``, ``.json`` and ``.png``.

    Args:
        cases: from :func:`make_cases`; the first is what times are compared with.
        rounds: in each, every case is timed once.
        out_dir: for the files.
        command: written into them.

    Raises:
        UserError: ``out_dir`` cannot be written, or a case takes more memory than there is.
    """
    make_output_dir(out_dir)
    console = Console(width=None if os.isatty(1) else 160)
    with Progress(console=console, transient=True) as progress, TemporaryDirectory() as files:
        task = progress.add_task('Compare', total=None)
        placed = [replace(case, files=Path(files)) for case in cases]
        found = measure_group(placed, rounds, None, lambda text: progress.update(task, description=text))
    rows = [_row(measurement) for measurement in found]
    head = [f'{date.today()}, {machine()}', cases[0].conditions, *_warnings(found)]
    write_text(out_dir / 'compare.csv', _csv(rows))
    write_text(out_dir / 'compare.md', _markdown(rows, head, command))
    content = dict(about=head, command=command, rows=[{**asdict(m), 'contender': m.case.contender} for m in found])
    write_text(out_dir / 'compare.json', json.dumps(content, indent=1, default=str))
    write_atomically(out_dir / 'compare.png', lambda scratch: _plot(found, head[1], scratch))
    console.print(_table(rows, head))
    return found


def _row(m: Measurement) -> dict[str, str]:
    _, low, high = spread(m.times_ms)
    peak = '' if m.peak_mib is None else f'{m.peak_mib:.0f}'
    values = (
        m.case.label, m.case.contender, f'{m.parameters / 1e6:.2f}', f'{m.gmacs:.2f}', f'{m.median_ms:.1f}',
        f'{low:.1f} to {high:.1f}', f'{m.ratio.median:.2f}', peak,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _warnings(found: Sequence[Measurement]) -> list[str]:
    others = found[0].others
    if others is None or others < DISTURBED_CORES:
        return []
    return [f'Other programs kept {others:.2f} cores busy meanwhile: measure again on a quiet machine.']


def _csv(rows: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(rows: Sequence[dict[str, str]], head: Sequence[str], command: str) -> str:
    lines = [f'| {" | ".join(COLUMNS)} |', '|---' * len(COLUMNS) + '|']
    lines += [f'| {" | ".join(row.values())} |' for row in rows]
    return '\n\n'.join([*head, *([f'`{command}`'] if command else []), '\n'.join(lines)]) + '\n'


def _table(rows: Sequence[dict[str, str]], head: Sequence[str]) -> Table:
    table = Table(title='\n'.join(head))
    for name in COLUMNS:
        table.add_column(name, justify='left' if name in COLUMNS[:2] else 'right')
    for row in rows:
        table.add_row(*map(escape, row.values()))
    return table


def _plot(found: Sequence[Measurement], conditions: str, path: Path) -> None:
    """Time against parameters, operations and peak memory: a point for each case, a colour for each contender."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = all(m.peak_mib is not None for m in found)
    panels = [
        ('parameters, M', [m.parameters / 1e6 for m in found]),
        ('multiply-accumulates, G', [m.gmacs for m in found]),
        *([('peak memory, MiB', [m.peak_mib or 0.0 for m in found])] if known else []),
    ]
    contenders = list(dict.fromkeys(m.case.contender for m in found))
    figure = Figure(figsize=(5.5 * len(panels), 5), layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(conditions)
    for axes, (name, values) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for contender in contenders:
            points = [(m, value) for m, value in zip(found, values, strict=True) if m.case.contender == contender]
            axes.scatter([m.median_ms for m, _ in points], [value for _, value in points], label=contender)
        for m, value in zip(found, values, strict=True):
            if m.case.contender == contenders[0]:  # the others of a model lie at its height, and names would overlap
                name_only = m.case.label.removeprefix(TIMM_PREFIX)
                axes.annotate(name_only, (m.median_ms, value), fontsize=7, xytext=(3, 4), textcoords='offset points')
        axes.set(xscale='log', yscale='log', xlabel='median time, ms', ylabel=name)
        axes.grid(which='both', alpha=0.3)
    figure.axes[0].legend()
    figure.savefig(path, dpi=110)
