"""Pictures of a study: accuracy against size, and tables as each mode resizes them."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...backbones.relpos import TABLE_MODES, resize_table
from ..estimates import estimate
from .evaluation import Contender
from .scores import Scores, Size
from .settings import ARMS


def plot_accuracy(scores: Scores) -> Figure:
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


def plot_tables(net: Path, grid: Size = (25, 42), heads: int = 4) -> Figure:
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
