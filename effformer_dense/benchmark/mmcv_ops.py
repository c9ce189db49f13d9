"""Time of torchvision's ops beside mmcv's compiled ones, in turns.

    python -m effformer_dense.benchmark.mmcv_ops [REPEATS]

Needs the compiled ones: ``MMCV=compiled make setup``.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from ..errors import UserError
from ..mmcv_ops import extension, is_compiled
from .contender import WARM_UP_STEPS

Ops = dict[str, Callable[..., Any]]
Step = Callable[[Ops], object]

REPEATS = 15
#: (height, width) of an image in px, and channels of its pyramid.
IMAGE, CHANNELS = (800, 1344), 256


def compiled_ops() -> Ops:
    """mmcv's own.

    Raises:
        UserError: mmcv is not compiled here.
    """
    if not is_compiled():
        raise UserError('mmcv is not compiled here, and there is nothing to compare with: MMCV=compiled make setup')
    module = importlib.import_module('mmcv._ext')
    return {name: getattr(module, name) for name in extension.OPS}


def make_steps() -> Iterator[tuple[str, Step]]:
    """What a detector asks of the ops, as names and functions of a set of ops."""
    for count in (1000, 4700):  # one level's proposals; all of RPN's, each level moved to a place of its own
        boxes, scores = _boxes(count), torch.rand(count)
        yield f'nms, {count} boxes', _nms(boxes, scores)
    for count in (200, 2000):
        boxes, scores = _boxes(count), torch.rand(count)
        yield f'soft_nms, {count} boxes', _soft_nms(boxes, scores)
    for count, cells, stride in ((1000, 7, 4), (100, 14, 4), (1000, 7, 16)):
        name = f'{count} regions, {cells} x {cells} cells, map at 1/{stride}'
        forward, backward = _roi_align(count, cells, stride)
        yield f'RoIAlign, {name}', forward
        yield f'RoIAlign backward, {name}', backward


def compare(ops: dict[str, Ops], step: Step, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of ``step`` with each of ``ops``, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in ops}
    for round_number in range(-WARM_UP_STEPS, repeats):
        for name, functions in ops.items():
            start = time.perf_counter()
            step(functions)
            if round_number >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def _boxes(count: int) -> torch.Tensor:
    corners = torch.rand(count, 2) * torch.tensor([IMAGE[1], IMAGE[0]])
    sizes = 16 * 16 ** torch.rand(count, 2)  # 16 to 256 px
    level = torch.arange(count)[:, None] // 1000 * 2 * IMAGE[1]
    return torch.cat([corners, corners + sizes], dim=1) + level


def _nms(boxes: torch.Tensor, scores: torch.Tensor) -> Step:
    return lambda ops: ops['nms'](boxes, scores, iou_threshold=0.7, offset=0)


def _soft_nms(boxes: torch.Tensor, scores: torch.Tensor) -> Step:
    settings = dict(iou_threshold=0.3, sigma=0.5, min_score=1e-3, method=1, offset=0)
    return lambda ops: ops['softnms'](boxes, scores, torch.zeros(len(boxes), 5), **settings)


def _roi_align(count: int, cells: int, stride: int) -> tuple[Step, Step]:
    features = torch.randn(1, CHANNELS, IMAGE[0] // stride, IMAGE[1] // stride)
    regions = torch.cat([torch.zeros(count, 1), _boxes(1000)[:count]], dim=1)
    output, gradient, unused = torch.zeros(count, CHANNELS, cells, cells), torch.zeros_like(features), torch.zeros(0)
    settings: dict[str, Any] = dict(aligned_height=cells, aligned_width=cells, spatial_scale=1 / stride)
    settings.update(sampling_ratio=0, pool_mode=1, aligned=True)

    def forward(ops: Ops) -> None:
        ops['roi_align_forward'](features, regions, output, unused, unused, **settings)

    def backward(ops: Ops) -> None:
        ops['roi_align_backward'](output, regions, unused, unused, gradient.zero_(), **settings)

    return forward, backward


def main() -> None:
    """Print a table: median and extremes of both, and the ratio of medians."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    torch.manual_seed(0)
    contenders = dict(compiled=compiled_ops(), torchvision=extension.OPS)
    table = Table('', *(f'{name}, ms' for name in contenders), 'compiled : torchvision')
    for name, step in make_steps():
        times = list(compare(contenders, step, repeats).values())
        medians = [statistics.median(values) for values in times]
        cells = [f'{m:.1f} ({min(v):.1f} to {max(v):.1f})' for m, v in zip(medians, times, strict=True)]
        table.add_row(name, *cells, f'{medians[0] / medians[1]:.2f}')
    Console().print(table)


if __name__ == '__main__':
    main()
