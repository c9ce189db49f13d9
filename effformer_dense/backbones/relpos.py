"""Relative-position bias: pure functions from a small learnable table to the bias of any grid.

Letters: ``R`` side of the base grid the table was learned on; ``h, w`` grid of keys at hand;
``stride`` step between queries in key cells (1 for self-attention, 2 for attention downsampling);
queries lie at key cells 0, stride, 2 * stride, ...; tokens are numbered row by row.

The table holds one value per head and absolute offset (|dy|, |dx|), as in LeViT (arXiv 2104.01136),
from which EfficientFormer takes it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import choice_error
from .offset_maps import DEFAULT_MODE, MODES, interpolation_matrix
from .tracing import has_values

TABLE_MODES = tuple(MODES)
RESIZE_MODES = (*TABLE_MODES, 'matrix')


def offset_index(height: int, width: int, stride: int = 1, device: torch.device | None = None) -> Tensor:
    """Flat index ``|dy| * width + |dx|`` of every (query, key) pair.

    The definition that :func:`expand_table` computes without indices; published checkpoints hold it as a buffer.

    Returns:
        int64 tensor, shape (ceil(height / stride) * ceil(width / stride), height * width).
    """
    dy = absolute_offsets(height, stride, device)  # (q_h, h)
    dx = absolute_offsets(width, stride, device)  # (q_w, w)
    index = dy[:, None, :, None] * width + dx[None, :, None, :]  # (q_h, q_w, h, w)
    return index.flatten(2, 3).flatten(0, 1)


def resize_table(table: Tensor, size: tuple[int, int], mode: str = DEFAULT_MODE) -> Tensor:
    """Interpolate a table of absolute offsets to another grid.

    Height and width are resized independently. Offset 0 stays offset 0. Equal sizes return ``table`` itself.

    Args:
        table: shape (heads, R, R), or any (heads, rows, columns).
        size: (h, w).
        mode: one of :data:`TABLE_MODES`, see :mod:`.offset_maps`.

    Returns:
        Shape (heads, h, w), dtype of ``table``.

    Raises:
        UserError: unknown ``mode``.
    """
    _check_mode(mode)
    if tuple(table.shape[-2:]) == tuple(size) and mode != 'zero':
        return table
    return resize_signed(table, size, mode)[:, size[0] - 1 :, size[1] - 1 :]


def resize_signed(table: Tensor, size: tuple[int, int], mode: str = DEFAULT_MODE) -> Tensor:
    """``signed_offsets(resize_table(table, size, mode))`` as two products: mirrored weights give mirrored values.

    The only place where tables are resized. Small matrix products are deterministic, differentiable and exportable
    everywhere.

    Returns:
        Shape (heads, 2h - 1, 2w - 1), dtype of ``table``.

    Raises:
        UserError: unknown ``mode``.
    """
    _check_mode(mode)
    values = table.to(torch.promote_types(table.dtype, torch.float32))
    with no_autocast(table):
        rows, columns = (
            _signed_weights(source, target, mode, values) for source, target in zip(table.shape[1:], size, strict=True)
        )
        halfway = torch.bmm(rows.expand(table.shape[0], -1, -1), values)  # (heads, 2h - 1, R)
        signed = torch.bmm(halfway, columns.T.expand(table.shape[0], -1, -1))  # (heads, 2h - 1, 2w - 1)
    return signed.to(table.dtype)


def signed_offsets(table: Tensor) -> Tensor:
    """Mirror a table of absolute offsets about offset 0.

    In the result the bias of one query for all keys is one (h, w) window: that of query (y, x) starts at
    ``(h - 1 - y, w - 1 - x)``.

    Args:
        table: shape (heads, h, w).

    Returns:
        Shape (heads, 2h - 1, 2w - 1); entry ``(dy + h - 1, dx + w - 1)`` is ``table[:, |dy|, |dx|]``.
    """
    signed = torch.cat([table.flip(1), table[:, 1:]], dim=1)  # (heads, 2h - 1, w)
    return torch.cat([signed.flip(2), signed[:, :, 1:]], dim=2)  # (heads, 2h - 1, 2w - 1)


def expand_queries(
    signed: Tensor, size: tuple[int, int], stride: int, rows: slice, columns: slice, backwards: bool = False
) -> Tensor:
    """Bias of a rectangular part of the queries for all keys, without an index tensor: windows are views.

    Args:
        signed: of :func:`signed_offsets`, shape (heads, 2h - 1, 2w - 1).
        size: (h, w) of the keys.
        stride: step between queries.
        rows, columns: which queries, counted on the query grid; ``start`` and ``stop`` given.
        backwards: from the last of these queries to the first. That is how their windows lie in ``signed``, and saves
            the copy that turns them round.

    Returns:
        New tensor, shape (heads, rows * columns, h * w).
    """
    h, w = size
    windows = signed.unfold(1, h, 1).unfold(2, w, 1)  # (heads, h, w, h, w); window a holds dy = a - (h - 1) + key
    # Query y needs window h - 1 - y * stride: from the last query's window up.
    top, left = h - 1 - (rows.stop - 1) * stride, w - 1 - (columns.stop - 1) * stride
    bottom, right = h - rows.start * stride, w - columns.start * stride
    chosen = windows[:, top:bottom:stride, left:right:stride]
    return (chosen if backwards else chosen.flip(1, 2)).flatten(3, 4).flatten(1, 2).contiguous()


def fold_queries(
    pairs: Tensor, signed: Tensor, size: tuple[int, int], stride: int, rows: slice, columns: slice
) -> None:
    """Adjoint of :func:`expand_queries`: add each query's window to its place in ``signed``, which is changed.

    Columns of queries first, then rows: one addition per column and row, none per pair.

    Args:
        pairs: shape (heads, rows * columns, h * w).
        signed: shape (heads, 2h - 1, 2w - 1).
        size, stride, rows, columns: as in :func:`expand_queries`.
    """
    h, w = size
    pairs = pairs.view(len(pairs), rows.stop - rows.start, columns.stop - columns.start, h, w)
    by_row = signed.new_zeros(*pairs.shape[:2], h, 2 * w - 1)
    for column, x in enumerate(range(columns.start, columns.stop)):
        left = w - 1 - x * stride
        by_row[..., left : left + w] += pairs[:, :, column]
    for row, y in enumerate(range(rows.start, rows.stop)):
        top = h - 1 - y * stride
        signed[:, top : top + h] += by_row[:, row]


def expand_table(table: Tensor, stride: int = 1) -> Tensor:
    """Look a table up for every (query, key) pair of its own grid: ``bias[n, q, k] = table[n, |dy|, |dx|]``.

    Args:
        table: shape (heads, h, w).
        stride: step between queries.

    Returns:
        Shape (heads, ceil(h / stride) * ceil(w / stride), h * w).
    """
    h, w = table.shape[1:]
    every = slice(0, -(-h // stride)), slice(0, -(-w // stride))
    return expand_queries(signed_offsets(table), (h, w), stride, *every)


def resize_matrix(table: Tensor, size: tuple[int, int], stride: int = 1) -> Tensor:
    """Expand the base grid, then resize the (queries x keys) matrix as if it were a picture.

    What the published COCO and ADE20K weights were trained with (``official_coco_*`` golden features).
    Sound only while the number of token rows stays what it was in training: use it for those
    weights, never for new ones.

    Args:
        table: shape (heads, R, R).
        size: (h, w) of the keys.
        stride: step between queries.

    Returns:
        Shape (heads, ceil(h / stride) * ceil(w / stride), h * w).
    """
    h, w = size
    queries = -(-h // stride) * -(-w // stride)
    matrix = expand_table(table, stride)
    if tuple(matrix.shape[-2:]) == (queries, h * w):
        return matrix
    return F.interpolate(matrix[None], (queries, h * w), mode='bicubic', align_corners=False)[0]


@dataclass(frozen=True)
class BiasValues:
    """What the bias of a grid of keys is computed from.

    Attributes:
        values: shape (n, 2h - 1, 2w - 1) of :func:`signed_offsets`, or with ``per_pair`` (n, Q, N). In a graph of
            standard operators (n, w', h, w), see :func:`.recorded.recorded_bias`.
        size: (h, w) of the keys.
        stride: step between queries in key cells.
        per_pair: whether ``values`` holds one value per (query, key) pair.
    """

    values: Tensor
    size: tuple[int, int]
    stride: int = 1
    per_pair: bool = False

    @property
    def query_size(self) -> tuple[int, int]:
        return -(-self.size[0] // self.stride), -(-self.size[1] // self.stride)

    def part(self, rows: slice, columns: slice, backwards: bool = False) -> Tensor:
        """Bias of a rectangular part of the queries, see :func:`expand_queries`: new tensor (n, rows * columns, N)."""
        if self.per_pair:
            width = self.query_size[1]
            part = self.values[:, rows.start * width + columns.start : (rows.stop - 1) * width + columns.stop]
            return part.flip(1) if backwards else part.clone(memory_format=torch.contiguous_format)
        return expand_queries(self.values, self.size, self.stride, rows, columns, backwards)

    def expanded(self, at_most: int) -> BiasValues:
        """The same with one value per pair, where these are ``at_most`` so many."""
        (query_height, query_width), (height, width) = self.query_size, self.size
        pairs = len(self.values) * query_height * query_width * height * width
        return self if pairs > at_most else replace(self, values=self.everything(), per_pair=True)

    def everything(self) -> Tensor:
        """Bias of all queries: shape (n, Q, N)."""
        if self.per_pair:
            return self.values
        height, width = self.query_size
        return expand_queries(self.values, self.size, self.stride, slice(0, height), slice(0, width))


def bias_values(table: Tensor, size: tuple[int, int], mode: str = DEFAULT_MODE, stride: int = 1) -> BiasValues:
    """What the bias of a grid of ``size`` is computed from, given a table of another grid.

    Args:
        table: shape (heads, R, R).
        size: (h, w) of the keys.
        mode: one of :data:`RESIZE_MODES`.
        stride: step between queries.

    Raises:
        UserError: unknown ``mode``.
    """
    if mode == 'matrix':
        return BiasValues(resize_matrix(table, size, stride), size, stride, per_pair=True)
    return BiasValues(resize_signed(table, size, mode), size, stride)


def relative_position_bias(table: Tensor, size: tuple[int, int], mode: str = DEFAULT_MODE, stride: int = 1) -> Tensor:
    """Bias of every (query, key) pair: shape (heads, ceil(h / stride) * ceil(w / stride), h * w).

    Arguments and errors are those of :func:`bias_values`.
    """
    return bias_values(table, size, mode, stride).everything()


def no_autocast(like: Tensor) -> AbstractContextManager:
    """Context without autocast; none at all where it is off, so that exported graphs hold no trace of it."""
    kind = like.device.type
    # The compiler cannot follow the first question; it compiles for devices that have autocast.
    available = torch.compiler.is_compiling() or torch.amp.is_autocast_available(kind)
    active = available and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if active else nullcontext()


def _check_mode(mode: str) -> None:
    if mode not in TABLE_MODES:
        raise choice_error('mode', mode, TABLE_MODES)


def absolute_offsets(length: int, stride: int, device: torch.device | None) -> Tensor:
    keys = torch.arange(length, device=device)
    return (keys[::stride, None] - keys[None, :]).abs()


def _signed_weights(source: int, target: int, mode: str, like: Tensor) -> Tensor:
    """Weights of a table's ``source`` samples for the offsets -(target - 1) to target - 1: (2 target - 1, source)."""
    if has_values(like):
        return _kept_weights(source, target, mode, like.dtype, like.device)
    weights = interpolation_matrix(source, target, mode, like)
    return torch.cat([weights.flip(0), weights[1:]])


@lru_cache(maxsize=256)
def _kept_weights(source: int, target: int, mode: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Those of sides that come again: some modes take a hundred small operations, in every block."""
    with torch.inference_mode(False), torch.no_grad():
        weights = interpolation_matrix(source, target, mode, torch.empty(0, dtype=dtype, device=device))
        return torch.cat([weights.flip(0), weights[1:]])
