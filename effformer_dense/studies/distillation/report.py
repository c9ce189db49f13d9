"""What the study of distillation found: JSON, tables and a plot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import ttest_ind

from ...files import write_atomically, write_text
from ..estimates import Estimate
from ..trainings import METRIC
from .arms import ARMS, RIVAL, TEACHER
from .settings import Settings


def difference(left: Sequence[float], right: Sequence[float]) -> Estimate:
    """Of two means of two values or more, with the 95 % interval of Welch's t: few seeds, and spreads of their own."""
    mean = float(np.mean(left) - np.mean(right))
    if np.ptp(left) == 0 and np.ptp(right) == 0:
        return Estimate(mean, mean, mean)
    interval = ttest_ind(left, right, equal_var=False).confidence_interval(0.95)
    return Estimate(mean, float(interval.low), float(interval.high))


def write_report(folder: Path, settings: Settings, scores: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Write ``results.json``, ``tables.md`` and ``scores.png``.

    Args:
        folder: of the study.
        settings: of it.
        scores: of the teacher and of every arm, seed by seed.

    Returns:
        What stands in ``results.json``.
    """
    results: dict[str, Any] = dict(
        settings=asdict(settings),
        scores={name: list(values) for name, values in scores.items()},
        differences={f'{left} - {right}': asdict(difference(scores[left], scores[right])) for left, right in _pairs()},
    )
    write_text(folder / 'results.json', json.dumps(results, indent=1))
    write_text(folder / 'tables.md', '\n'.join(_tables(results)) + '\n')
    write_atomically(folder / 'scores.png', lambda path: _plot(results).savefig(path, dpi=110))
    return results


def _pairs() -> Iterable[tuple[str, str]]:
    first = ARMS[0].name
    taught = [arm.name for arm in ARMS if arm.lesson]
    yield RIVAL, first
    for name in taught:
        yield name, RIVAL
        yield name, first
    yield taught[1], taught[0]


def _tables(results: dict[str, Any]) -> Iterable[str]:
    """Markdown."""
    yield from (f'| training | {METRIC}, mean | seed by seed |', '|---|---|---|')
    for name, values in results['scores'].items():
        yield f'| {name} | {np.mean(values):.3f} | {", ".join(f"{value:.3f}" for value in values)} |'
    yield from ('', f'| difference of {METRIC} | mean (95 % interval) |', '|---|---|')
    for name, found in results['differences'].items():
        yield f'| {name} | {found["mean"]:+.3f} ({found["low"]:+.3f} to {found["high"]:+.3f}) |'


def _plot(results: dict[str, Any]) -> Figure:
    """Points are seeds, bars their means; the line is the teacher."""
    figure = Figure(figsize=(7, 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    arms = {name: values for name, values in results['scores'].items() if name != TEACHER}
    for place, values in enumerate(arms.values()):
        axes.plot([place] * len(values), values, 'o', color='C0', alpha=0.5)
        axes.plot([place], [np.mean(values)], '_', color='C3', markersize=24, markeredgewidth=2)
    (taught_by,) = results['scores'][TEACHER]
    axes.axhline(taught_by, linestyle='--', color='grey', label=f'{TEACHER}, all labels')
    axes.set_xticks(range(len(arms)), [name.replace(', ', ',\n') for name in arms])
    axes.set(ylabel=f'{METRIC} on held-out pictures')
    axes.legend()
    axes.grid(alpha=0.3, axis='y')
    return figure
