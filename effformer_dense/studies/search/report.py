"""What the study of the search found: JSON, tables and a plot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...files import write_atomically, write_text
from ...rows import to_arch
from ...search.latency import LatencyTable
from ...search.space import State
from ..estimates import Estimate, estimate
from ..trainings import METRIC
from .rivals import Rival
from .settings import Settings
from .walks import TableWalk


@dataclass(frozen=True)
class Scores:
    """Scores of networks that were trained alone, and of states in the supernet.

    Attributes:
        trained: of each network, seed by seed.
        in_supernet: of states of the walk, by the names that they have in ``trained``.
        resamples: of the bootstrap.
    """

    trained: Mapping[str, Sequence[float]]
    in_supernet: Mapping[str, float]
    resamples: int

    def difference(self, left: Sequence[str], right: Sequence[str]) -> Estimate:
        """Of the means of two groups of networks; networks and the seeds of each are drawn anew."""
        rng = np.random.default_rng(0)
        both = [np.array([self.trained[name] for name in names]) for names in (left, right)]
        means = [[scores.mean(), *(_drawn(scores, rng).mean() for _ in range(self.resamples))] for scores in both]
        return estimate(np.array(means[0]) - np.array(means[1]))

    def agreement(self) -> Estimate:
        """Kendall's tau of scores in the supernet and of the first training alone; states are drawn anew."""
        names = list(self.in_supernet)
        pairs = np.array([(self.in_supernet[name], self.trained[name][0]) for name in names])
        rng = np.random.default_rng(0)
        drawn = (pairs[rng.integers(len(pairs), size=len(pairs))] for _ in range(self.resamples))
        return estimate(np.array([kendall(pairs), *(kendall(some) for some in drawn)]))


def _drawn(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    networks, seeds = scores.shape
    some = scores[rng.integers(networks, size=networks)]
    return np.take_along_axis(some, rng.integers(seeds, size=(networks, seeds)), axis=1)


def kendall(pairs: np.ndarray) -> float:
    """Kendall's tau-b of pairs (N, 2); 0 where one side has a single value."""
    left, right = (np.sign(values[:, None] - values)[np.triu_indices(len(pairs), 1)] for values in pairs.T)
    ties = np.sqrt(np.count_nonzero(left) * np.count_nonzero(right))
    return float((left * right).sum() / ties) if ties else 0.0


def write_report(
    folder: Path,
    settings: Settings,
    table: LatencyTable,
    scores: Scores,
    rivals: Sequence[Rival],
    walks: Sequence[TableWalk],
) -> dict[str, Any]:
    """Write ``results.json``, ``tables.md`` and ``scores.png``.

    Returns:
        What stands in ``results.json``.
    """
    randoms = [rival.name for rival in rivals if rival.name.startswith('random')]
    others, own = [walk.name for walk in walks], ['found']
    results: dict[str, Any] = dict(
        settings=asdict(settings),
        table=dict(about=table.about, validation=None if table.validation is None else asdict(table.validation)),
        networks=[_network(rival.name, rival.state, rival.latency_ms, scores) for rival in rivals],
        walks=[
            {**_network(name, walk.state, walk.latency_ms, scores), 'table_ms': walk.table_ms}
            for name, walk in zip(others, walks, strict=True)
        ],
        differences={
            'found - random': asdict(scores.difference(own, randoms)),
            'found - shrunk': asdict(scores.difference(own, ['shrunk'])),
            'inherited - found': asdict(scores.difference(['inherited'], own)),
            ' - '.join(reversed(others)): asdict(scores.difference(others[1:], others[:1])),
        },
        inherited=list(scores.trained['inherited']),
        random_networks_that_are_better=sum(
            np.mean(scores.trained[name]) > np.mean(scores.trained['found']) for name in randoms
        ).item(),
        states=[
            dict(name=name, in_supernet=value, trained=scores.trained[name][0])
            for name, value in scores.in_supernet.items()
        ],
        kendall=asdict(scores.agreement()),
    )
    write_text(folder / 'results.json', json.dumps(results, indent=1))
    write_text(folder / 'tables.md', '\n'.join(_tables(results)))
    write_atomically(folder / 'scores.png', lambda path: _plot(results).savefig(path, dpi=110))
    return results


def _network(name: str, state: State, latency_ms: float, scores: Scores) -> dict[str, Any]:
    return dict(name=name, latency_ms=latency_ms, scores=list(scores.trained[name]), arch=to_arch(state.row))


def _tables(results: dict[str, Any]) -> Iterable[str]:
    """Markdown."""
    yield from (f'| network | ms | {METRIC}, mean | seed by seed |', '|---|---|---|---|')
    for row in (*results['networks'], *results['walks']):
        yield f'| {row["name"]} | {row["latency_ms"]:.1f} | {np.mean(row["scores"]):.4f} | {_list(row["scores"])} |'
    yield f'| inherited | | {np.mean(results["inherited"]):.4f} | {_list(results["inherited"])} |'
    yield from ('', f'| difference of {METRIC} | mean (95 % interval) |', '|---|---|')
    for name, found in results['differences'].items():
        yield f'| {name} | {found["mean"]:+.4f} ({found["low"]:+.4f} to {found["high"]:+.4f}) |'
    better, count = results['random_networks_that_are_better'], len(results['networks']) - 2
    tau = results['kendall']
    yield from (
        '',
        f'{better} of {count} random networks are better than the found one.',
        '',
        f"Kendall's tau of {len(results['states'])} states, in the supernet and trained alone: "
        f'{tau["mean"]:.2f} ({tau["low"]:.2f} to {tau["high"]:.2f}).',
    )


def _list(values: Sequence[float]) -> str:
    return ', '.join(f'{value:.4f}' for value in values)


def _plot(results: dict[str, Any]) -> Figure:
    """Scores of networks of one latency; and of states, in the supernet and alone."""
    figure = Figure(figsize=(11, 4.5), layout='constrained')
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    rows = [*results['networks'], dict(name='inherited', scores=results['inherited'])]
    for place, row in enumerate(rows):
        colour = 'C0' if row['name'].startswith('random') else 'C3'
        left.plot([place] * len(row['scores']), row['scores'], 'o', color=colour, alpha=0.5)
        left.plot([place], [np.mean(row['scores'])], '_', color=colour, markersize=22, markeredgewidth=2)
    left.set_xticks(range(len(rows)), [row['name'] for row in rows], rotation=45, ha='right')
    left.set(ylabel=f'{METRIC}, trained alone', title='networks of one latency; points are seeds')
    states = results['states']
    right.plot([one['in_supernet'] for one in states], [one['trained'] for one in states], 'o')
    right.set(xlabel='score in the supernet', ylabel=f'{METRIC}, trained alone', title='states of the walk')
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return figure
