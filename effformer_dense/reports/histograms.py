"""How a data set is distributed: classes, sizes of pictures, sizes of objects against the anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..data.survey import Survey

#: Classes in a plot at most: the most frequent ones.
_MAX_CLASSES = 40


def plot_histograms(
    surveys: Mapping[str, Survey], path: Path, anchors: Sequence[tuple[float, float]], scale: Mapping[str, np.ndarray]
) -> None:
    """Write a PNG of histograms.

    Args:
        surveys: per split.
        path: to write.
        anchors: smallest and largest side of a square anchor per level, in px of the network's input.
        scale: per split, by how much each picture is enlarged before it reaches the network, (P,).
    """
    has_boxes = any(survey.boxes is not None for survey in surveys.values())
    num_classes = min(_MAX_CLASSES, max(len(survey.classes) for survey in surveys.values()))
    figure = Figure(figsize=(6 * (2 + has_boxes), max(4.0, 1 + 0.25 * num_classes)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 + has_boxes)
    _plot_classes(axes[0], surveys)
    _plot_pictures(axes[1], surveys)
    if has_boxes:
        _plot_objects(axes[2], surveys, anchors, scale)
    figure.savefig(path, dpi=110)


def _plot_classes(axes: Axes, surveys: Mapping[str, Survey]) -> None:
    first = next(iter(surveys.values()))
    order = np.argsort(-first.counts, kind='stable')[:_MAX_CLASSES]
    height = 0.8 / len(surveys)
    for place, (split, survey) in enumerate(surveys.items()):
        counts = dict(zip(survey.classes, survey.counts, strict=True))
        values = [counts.get(first.classes[label], 0) for label in order]
        axes.barh(np.arange(len(order)) + place * height, values, height, label=split)
    axes.set_yticks(np.arange(len(order)) + 0.4 - height / 2, [_short(first.classes[label]) for label in order])
    for text in axes.get_yticklabels():
        text.set_parse_math(False)  # a name is no formula
    axes.invert_yaxis()
    present = first.counts[first.counts > 0]
    if len(present) and present.max() > 100 * present.min():
        axes.set_xscale('symlog')
    hidden = len(first.classes) - len(order)
    axes.set_title(f'{first.unit} per class' + (f' (and {hidden} classes more)' if hidden else ''))
    axes.legend(loc='lower right')  # the shortest bars are there


def _plot_pictures(axes: Axes, surveys: Mapping[str, Survey]) -> None:
    for split, survey in surveys.items():
        axes.scatter(survey.sizes[:, 1], survey.sizes[:, 0], s=12, alpha=0.3, label=f'{split}: {survey.num_pictures:,}')
    axes.set(xlabel='width, px', ylabel='height, px', title='pictures')
    axes.margins(0.1)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend()


def _plot_objects(
    axes: Axes,
    surveys: Mapping[str, Survey],
    anchors: Sequence[tuple[float, float]],
    scale: Mapping[str, np.ndarray],
) -> None:
    sides = {split: object_sides(survey, scale[split]) for split, survey in surveys.items()}
    everything = np.concatenate(list(sides.values()))
    if not len(everything):
        return
    bins: Any = np.geomspace(0.9 * everything.min(), 1.1 * everything.max(), 40)
    for split, values in sides.items():
        axes.hist(values, bins, weights=np.full(len(values), 100 / max(1, len(values))), histtype='step', label=split)
    for level, (smallest, largest) in enumerate(anchors):
        axes.axvspan(smallest / 2**0.5, largest * 2**0.5, alpha=0.08 + 0.06 * (level % 2), color='tab:green')
    axes.set_xscale('log', base=2)
    axes.xaxis.set_major_formatter('{x:.0f}')
    title = 'objects' + (' (green: where anchors of a level reach)' if anchors else '')
    axes.set(
        xlabel="side of a square of the box's area, px of the network's input", ylabel='% of the objects', title=title
    )
    axes.legend()


def object_sides(survey: Survey, scale: np.ndarray) -> np.ndarray:
    """Side of a square as large as each box, (N,), in px of the network's input.

    Args:
        survey: with boxes.
        scale: of its pictures, (P,).
    """
    if survey.boxes is None or survey.box_pictures is None:
        return np.zeros(0)
    return np.sqrt(survey.boxes.prod(axis=1)) * scale[survey.box_pictures]


def _short(name: object) -> str:
    text = ' '.join(str(name).split())
    return text if len(text) <= 24 else f'{text[:21]}...'
