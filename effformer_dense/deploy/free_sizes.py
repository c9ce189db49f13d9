"""Poolings that would make numbers of sizes that are free.

A recorded size is a symbol. Whatever asks what it is gets that of the example, and the program is wrong at other sizes,
or stops there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class FreePoolings(TorchFunctionMode):
    """While it is entered, two poolings are computed in a way that asks nothing. Averages are equal up to rounding.

    * ``max_pool2d`` of sides that are free, or with a window of one, by which mmdet's FPN makes its coarsest map,
      compares cells that are picked: torch would take the number of cells to be odd for ever, or even.
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
        if func in (F.max_pool2d, torch.max_pool2d) and _asks(*args, **kwargs):
            return maxima(*args, **{name: value for name, value in kwargs.items() if name != 'return_indices'})
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


def _asks(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> bool:
    """Whether a max pooling asks for sides, and is one that :func:`maxima` computes."""
    if return_indices or _pair(dilation) != (1, 1):
        return False
    if ceil_mode and (_pair(padding) != (0, 0) or min(_pair(kernel_size)) < max(_pair(stride or kernel_size))):
        return False
    free = any(isinstance(side, torch.SymInt) for side in x.shape[2:])
    return free or (_pair(kernel_size) == (1, 1) and _pair(padding) == (0, 0))


def maxima(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *_: Any,
) -> Tensor:
    """Max pooling, side by side: of each window the largest of its cells. Past an edge the cell there counts again."""
    windows = zip(x.shape[2:], _pair(kernel_size), _pair(stride or kernel_size), _pair(padding), strict=True)
    for axis, (side, cells, step, margin) in enumerate(windows, start=2):
        count = (side + 2 * margin - cells + (step - 1 if ceil_mode else 0)) // step + 1
        first = torch.arange(count, device=x.device) * step - margin
        picked = [x.index_select(axis, (first + cell).clamp(0, side - 1)) for cell in range(cells)]
        x = reduce(torch.maximum, picked)
    return x


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    height, width = value if isinstance(value, Sequence) else (value, value)
    return height, width
