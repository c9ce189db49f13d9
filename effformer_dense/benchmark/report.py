"""Running cases one by one, and reporting them."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import re
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ..errors import UserError
from ..files import make_output_dir, write_atomically, write_text
from ..version import __version__
from .cases import Case, Measurement
from .measure import measure


def run(cases: Sequence[Case], out_dir: Path) -> list[Measurement]:
    """Measure all cases, each in a fresh process; show progress and a table, write ``benchmark.json`` and ``.png``.

    Raises:
        UserError: ``out_dir`` cannot be written, or a case takes more memory than there is.
    """
    make_output_dir(out_dir)
    console = Console(width=None if os.isatty(1) else 160)
    done: list[Measurement] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task('Benchmark', total=len(cases))
        for case in cases:
            progress.update(task, description=f'{case.label} {case.mode} {case.height}x{case.width}')
            # A process each: peaks of memory, compiled code and allocator state of one case are not the next one's.
            done.append(_measure_apart(case))
            _write(done, out_dir)  # what is measured is kept, should a later case fail
            progress.advance(task)
    console.print(_table(done))
    for measurement in done:
        if measurement.parts_ms:
            console.print(_parts(measurement))
    return done


def _measure_apart(case: Case) -> Measurement:
    """Measure in a new process."""
    spawn = multiprocessing.get_context('spawn')
    try:
        with ProcessPoolExecutor(1, mp_context=spawn, initializer=_end_with_parent) as pool:
            return pool.submit(measure, case).result()
    except (BrokenProcessPool, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search('(?i)memory|storage size|abruptly', str(error)):
            raise
        raise UserError(
            f'{case.label} {case.mode} at {case.batch}x{case.height}x{case.width} takes more memory than there is: '
            f'{str(error).splitlines()[0]} Choose smaller --sizes or --batch.'
        ) from error


def _end_with_parent() -> None:
    """End this process when the benchmark that started it is killed."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None, 'this runs in processes that multiprocessing has started'
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _table(measurements: Sequence[Measurement]) -> Table:
    table = Table(title=f'Beside each time: time x GEMM rate, and the share of it that the model computes. {machine()}')
    columns = (
        'model',
        'mode',
        'input',
        'ms',
        'fastest-slowest',
        'img/s',
        'GFLOP',
        'share',
        'peak MiB',
        'GMACs',
        'M par.',
    )
    for name in (*columns, 'vs timm'):
        table.add_column(name, justify='left' if name in ('model', 'mode', 'input') else 'right', no_wrap=True)
    reference = {
        (m.case.model, m.case.height, m.case.batch): m.median_ms for m in measurements if m.case.library == 'timm'
    }
    for m in measurements:
        case = m.case
        theirs = reference.get((case.model, case.height, case.batch)) if case.height == case.width else None
        table.add_row(
            case.label,
            case.conditions,
            f'{case.batch}x{case.height}x{case.width}',
            f'{m.median_ms:.1f}',
            f'{m.fastest_ms:.1f}-{m.slowest_ms:.1f}',
            f'{m.images_per_s:.2f}',
            f'{m.gflop_equivalent:.1f}',
            f'{m.share:.0%}',
            '' if m.peak_mib is None else f'{m.peak_mib:.0f}',
            f'{m.gmacs:.2f}',
            f'{m.parameters / 1e6:.1f}',
            '' if theirs is None else f'{theirs / m.median_ms:.2f}x',
        )
    return table


def _parts(measurement: Measurement) -> str:
    rest = measurement.median_ms - sum(measurement.parts_ms.values())
    parts = {**measurement.parts_ms, 'rest': rest}
    shares = ', '.join(f'{name} {ms:.0f} ms ({ms / measurement.median_ms:.0%})' for name, ms in parts.items())
    return f'{measurement.case.label} {measurement.case.mode}: {shares}'


def machine() -> str:
    """Describe the machine: processor, threads, GPU, versions."""
    gpu = f', {torch.cuda.get_device_name()}' if torch.cuda.is_available() else ''
    return f'{_processor()}, {os.cpu_count()} cores{gpu}, torch {torch.__version__}, effformer_dense {__version__}'


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()


def _write(measurements: Sequence[Measurement], out_dir: Path) -> None:
    content = {'machine': machine(), 'rows': [asdict(measurement) for measurement in measurements]}
    write_text(out_dir / 'benchmark.json', json.dumps(content, indent=1))
    write_atomically(out_dir / 'benchmark.png', lambda scratch: _plot(measurements, scratch))


def _plot(measurements: Sequence[Measurement], path: Path) -> None:
    """Time against pixels, one line per model and mode."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for m in measurements:
        pixels = m.case.height * m.case.width / 1e6
        lines[f'{m.case.label}, {m.case.mode}, batch {m.case.batch}'].append((pixels, m.median_ms))
    figure = Figure(figsize=(8, 5), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for label, points in lines.items():
        axes.plot(*zip(*sorted(points), strict=True), marker='o', label=label)
    axes.set(xscale='log', yscale='log', xlabel='megapixels of the input', ylabel='median time of a step, ms')
    axes.grid(which='both', alpha=0.3)
    axes.legend(fontsize='small')
    figure.savefig(path, dpi=120)
