"""Poolings that would make numbers of sizes that are free.

A recorded size is a symbol. Whatever asks what it is gets that of the example, and the program is wrong at other sizes,
or stops there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class FreePoolings(TorchFunctionMode):
    """While it is entered, two poolings are computed in a way that asks nothing. Averages are equal up to rounding.

    * ``max_pool2d`` with a window of one, by which mmdet's FPN makes its coarsest map, picks every other cell: torch
      would take the number of cells to be odd for ever, or even.
    * ``adaptive_avg_pool2d`` to a grid, as in pyramid pooling, multiplies with matrices of weights.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in (F.max_pool2d, torch.max_pool2d) and _picks(*args, **kwargs):
            return _every(*args, **kwargs)
        if func is F.adaptive_avg_pool2d and _pair(args[1]) != (1, 1):
            return grid_means(args[0], _pair(args[1]))
        return func(*args, **kwargs)


def grid_means(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """``adaptive_avg_pool2d`` of (B, C, h, w) to (B, C, *grid)."""
    maps = x.flatten(0, 1)  # (B * C, h, w): bmm() asks nothing, matmul() does
    rows, columns = (
        _mean_weights(side, cells, x).expand(maps.shape[0], -1, -1)
        for side, cells in zip(x.shape[2:], grid, strict=True)
    )
    return rows.bmm(maps).bmm(columns.mT).unflatten(0, x.shape[:2])


def _mean_weights(side: int, cells: int, like: Tensor) -> Tensor:
    """(cells, side): row *i* averages the places of cell *i*, which neighbours share where sides do not divide."""
    cell = torch.arange(cells, device=like.device)[:, None]
    first = cell * side // cells
    beyond = ((cell + 1) * side + cells - 1) // cells
    place = torch.arange(side, device=like.device)
    covered = ((place >= first) & (place < beyond)).to(like)
    return covered / covered.sum(1, keepdim=True)


def _picks(x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, *_: Any, **__: Any) -> bool:
    return _pair(kernel_size) == (1, 1) and _pair(padding) == (0, 0)


def _every(x: Tensor, kernel_size: Any, stride: Any = None, *_: Any, **__: Any) -> Tensor:
    for axis, (side, step) in enumerate(zip(x.shape[2:], _pair(stride or 1), strict=True), start=2):
        x = x.index_select(axis, torch.arange(0, side, step, device=x.device))
    return x


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    height, width = value if isinstance(value, Sequence) else (value, value)
    return height, width
