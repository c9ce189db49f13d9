"""What a study found: JSON, tables and plots, from the scores in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...backbones.relpos import TABLE_MODES, resize_table
from ...files import write_atomically, write_text
from ..estimates import Estimate, estimate
from .evaluation import Contender, contenders, place_of, read_counts
from .settings import ARMS, BASE_SIZE, DEFAULT, Settings
from .statistics import TASKS, decide, miou, resampled_miou

Size = tuple[int, int]
_REFERENCES = ('matrix', 'bicubic')
#: No defaults: one is for published weights, the other for studies.
_NO_DEFAULTS = ('matrix', 'zero', DEFAULT)


class Scores:
    """Resampled scores, read once each.

    Args:
        settings, folder: of the study.
        nets: *where* at 224 px of all that were trained, by seed.
    """

    def __init__(self, settings: Settings, folder: Path, nets: Mapping[int, float]) -> None:
        self.settings, self.folder, self.nets = settings, folder, nets
        self.seeds = [seed for seed, where in nets.items() if where >= settings.learned]
        self._known: dict[tuple, np.ndarray] = {}

    def at(self, contender: Contender, arm: str, size: Size, task: str = 'where') -> np.ndarray:
        """Shape (resamples + 1,), all data first."""
        key = contender, arm, size, task
        if key not in self._known:
            counts = read_counts(self.folder, self.seeds, contender, arm, size)
            self._known[key] = resampled_miou(counts, task, self.settings.resamples)
        return self._known[key]

    def over_arm(self, contender: Contender, arm: str) -> np.ndarray:
        """Mean over the sizes that nets were not trained at."""
        sizes = [size for size in self.settings.sizes if size != BASE_SIZE]
        return np.mean([self.at(contender, arm, size) for size in sizes], axis=0)


def best_modes(scores: Scores, count: int = 3) -> list[str]:
    """Those to fine-tune: by *where* over the canvas arm, without what can be no contender."""
    modes = [mode for mode in scores.settings.modes if mode not in ('matrix', 'zero')]
    return sorted(modes, key=lambda mode: -scores.over_arm(Contender(mode), 'canvas')[0])[:count]


def write_report(scores: Scores) -> dict[str, Any]:
    """Write ``results.json``, ``tables.md`` and plots to the study's folder.

    Returns:
        What stands in ``results.json``.
    """
    settings, folder = scores.settings, scores.folder
    results = dict(
        settings=asdict(settings),
        nets=dict(scores.nets),
        control=_control(scores),
        main=list(_main(scores)),
        arms=list(_arms(scores)),
        tuned=list(_tuned(scores)),
        decision=asdict(_decision(scores)),
    )
    write_text(folder / 'results.json', json.dumps(results, indent=1))
    write_text(folder / 'tables.md', '\n'.join(_tables(results)))
    write_atomically(folder / 'accuracy.png', lambda path: _plot_accuracy(scores).savefig(path, dpi=110))
    net = _weights(scores)
    if net is not None:
        figure = _plot_tables(net)
        write_atomically(folder / 'tables.png', lambda path: figure.savefig(path, dpi=110))
    return results


def _weights(scores: Scores) -> Path | None:
    """Weights of a net; None where the scores alone have been brought here."""
    places = (scores.folder / f'seed_{seed}' / 'trained.pth' for seed in scores.seeds)
    return next((place for place in places if place.exists()), None)


def _control(scores: Scores) -> dict[str, Any]:
    """With the bias and without, where nets were trained: all seeds, and each."""
    found: dict[str, Any] = {}
    for mode in (DEFAULT, 'zero'):
        for task in TASKS:
            found[f'{task} {mode}'] = asdict(estimate(scores.at(Contender(mode), 'canvas', BASE_SIZE, task)))
            counts = read_counts(scores.folder, scores.seeds, Contender(mode), 'canvas', BASE_SIZE)
            found[f'{task} {mode}']['seeds'] = miou(counts.sum(axis=1), task).tolist()
    return found


def _main(scores: Scores) -> Iterable[dict[str, Any]]:
    for arm in ARMS:
        for size in scores.settings.sizes:
            for contender in contenders(scores.settings):
                yield _row(scores, contender, arm, size)


def _row(scores: Scores, contender: Contender, arm: str, size: Size) -> dict[str, Any]:
    """Scores of a contender at a size; differences to those that had the same fine-tuning."""
    row: dict[str, Any] = dict(arm=arm, size=list(size), **asdict(contender))
    for task in TASKS:
        row[task] = asdict(estimate(scores.at(contender, arm, size, task)))
    for mode in _REFERENCES:
        reference = Contender(mode, None, contender.tuned)
        if contender.tuned and not _was_tuned(scores, reference):
            continue
        row[f'where - {mode}'] = asdict(estimate(scores.at(contender, arm, size) - scores.at(reference, arm, size)))
    return row


def _arms(scores: Scores) -> Iterable[dict[str, Any]]:
    for arm in ARMS:
        for contender in contenders(scores.settings):
            mean = scores.over_arm(contender, arm)
            row: dict[str, Any] = dict(arm=arm, **asdict(contender), where=asdict(estimate(mean)))
            for mode in _REFERENCES:
                row[f'where - {mode}'] = asdict(estimate(mean - scores.over_arm(Contender(mode), arm)))
            yield row


def tuned_contenders(scores: Scores) -> list[Contender]:
    """Those to fine-tune, with no steps so far: the best three modes, two to compare with, and the best with means."""
    best = best_modes(scores)
    return [*(Contender(mode) for mode in (*best, 'zero', 'matrix')), Contender(best[0], talking='mean')]


def _was_tuned(scores: Scores, contender: Contender) -> bool:
    size = scores.settings.tuned_size
    return all(place_of(scores.folder, seed, contender, 'canvas', size).exists() for seed in scores.seeds)


def _tuned(scores: Scores) -> Iterable[dict[str, Any]]:
    """Of the contenders that all nets have been tuned with so far."""
    size = scores.settings.tuned_size
    for steps in scores.settings.tuned_steps:
        for contender in (replace(one, tuned=steps) for one in tuned_contenders(scores)):
            if _was_tuned(scores, contender):
                yield _row(scores, contender, 'canvas', size)


def _decision(scores: Scores) -> Any:
    modes = [mode for mode in scores.settings.modes if mode not in _NO_DEFAULTS]

    def difference(a: Contender, b: Contender) -> dict[str, Estimate]:
        return {arm: estimate(scores.over_arm(a, arm) - scores.over_arm(b, arm)) for arm in ARMS}

    to_default = {mode: difference(Contender(mode), Contender(DEFAULT)) for mode in modes}
    of_scale = {mode: difference(Contender(mode, 'log_tokens'), Contender(mode)) for mode in [DEFAULT, *modes]}
    of_mean = {mode: difference(Contender(mode, talking='mean'), Contender(mode)) for mode in [DEFAULT, *modes]}
    return decide(to_default, of_scale, of_mean, DEFAULT)


def _tables(results: dict[str, Any]) -> Iterable[str]:
    """Markdown."""
    said = ', '.join(f'{seed}: {where:.3f}' for seed, where in results['nets'].items())
    yield from (f'*where* at 224 px of all nets that were trained, by seed: {said}', '')
    yield from ('## Control, 224 px', '', '| | mIoU | each seed |', '|---|---|---|')
    for name, found in results['control'].items():
        yield f'| {name} | {_show(found)} | {", ".join(f"{value:.3f}" for value in found["seeds"])} |'
    for arm in ARMS:
        yield from ('', f'## {arm}', '', *_by_size([row for row in results['main'] if row['arm'] == arm]))
    yield from (
        '',
        '## Mean over sizes, and differences',
        '',
        '| arm | | *where* | - matrix | - bicubic |',
        '|---|---|---|---|---|',
    )
    for row in results['arms']:
        cells = (_show(row[key]) for key in ('where', 'where - matrix', 'where - bicubic'))
        yield f'| {row["arm"]} | {_name(row)} | {" | ".join(cells)} |'
    if results['tuned']:
        yield from ('', '## After fine-tuning', '', '| steps | | *where* | *what* |', '|---|---|---|---|')
    for row in results['tuned']:
        yield f'| {row["tuned"]} | {_name(row)} | {_show(row["where"])} | {_show(row["what"])} |'
    yield from (
        '',
        f'Decision: {results["decision"]["mode"]}, {results["decision"]["scale"]}, {results["decision"]["talking"]}. '
        f'{results["decision"]["reason"]}',
    )


def _by_size(rows: Sequence[dict[str, Any]]) -> Iterable[str]:
    """*where* of every contender at every size; *what* of the portrait is of digits on their sides, and left out."""
    sizes = list(dict.fromkeys(tuple(row['size']) for row in rows))
    names = list(dict.fromkeys(_name(row) for row in rows))
    yield f'| | {" | ".join(f"{h} x {w}" for h, w in sizes)} |'
    yield '|---' * (len(sizes) + 1) + '|'
    cells = {(_name(row), tuple(row['size'])): _show(row['where']) for row in rows}
    for name in names:
        yield f'| {name} | {" | ".join(cells[name, size] for size in sizes)} |'


def _name(row: dict[str, Any]) -> str:
    return Contender(row['mode'], row['scale'], talking=row['talking']).name


def _show(found: dict[str, Any]) -> str:
    return f'{found["mean"]:.3f} ({found["low"]:.3f} to {found["high"]:.3f})'


def _plot_accuracy(scores: Scores) -> Figure:
    """*where* against size, per arm and mode: lines with ``talking_bias='sum'``, dashes with ``'mean'``."""
    figure = Figure(figsize=(12, 5), layout='constrained')
    FigureCanvasAgg(figure)
    for axes, arm in zip(figure.subplots(1, len(ARMS), sharey=True), ARMS, strict=True):
        labels = [f'{height} x {width}' for height, width in scores.settings.sizes]
        for number, mode in enumerate(scores.settings.modes):
            for talking, style in (('sum', '-'), ('mean', '--')):
                contender, colour = Contender(mode, talking=talking), f'C{number}'
                found = [estimate(scores.at(contender, arm, size)) for size in scores.settings.sizes]
                means, lows, highs = zip(*((one.mean, one.low, one.high) for one in found), strict=True)
                label = mode if talking == 'sum' else f'{mode}, mean'
                axes.plot(labels, means, style, marker='o', markersize=4, label=label, color=colour)
                axes.fill_between(labels, lows, highs, alpha=0.08, color=colour)
        axes.set(title=arm, xlabel='height x width, px', ylim=(0, 1))
        axes.tick_params(axis='x', labelsize=8)
    figure.axes[0].set_ylabel('mIoU of where')
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc='outside right upper', fontsize=8)
    return figure


def _plot_tables(net: Path, grid: Size = (25, 42), heads: int = 4) -> Figure:
    """Tables of a net's last attention, and what each mode makes of them."""
    weights = torch.load(net, weights_only=True)
    table = weights[[name for name in weights if name.endswith('bias.table')][-1]][:heads]
    modes = [mode for mode in TABLE_MODES if mode != 'zero']
    figure = Figure(figsize=(2.6 * (1 + len(modes)), 1.7 * heads), layout='constrained')
    FigureCanvasAgg(figure)
    spread = float(table.abs().max())
    for row, axes in enumerate(figure.subplots(heads, 1 + len(modes))):
        pictures = [('learned', table[row]), *((mode, resize_table(table, grid, mode)[row]) for mode in modes)]
        for panel, (title, picture) in zip(axes, pictures, strict=True):
            panel.imshow(picture, cmap='RdBu', vmin=-spread, vmax=spread)
            panel.set_title(title if row == 0 else '', fontsize=9)
            panel.set_axis_off()
    return figure
