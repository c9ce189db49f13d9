"""What is computed in another way where a graph is recorded: with operators that every format translates right.

Equal to what runs otherwise, up to rounding, and slower there. :mod:`.tracing` decides.

Letters: ``R`` side of the grid that a bias table was learned on; ``h, w`` grid of keys; ``h', w'`` grid of queries.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .chunked import Operands
from .offset_maps import interpolation_matrix
from .relpos import BiasValues, absolute_offsets, no_autocast, offset_index
from .tracing import merge, wants_standard_operators


def recorded_bias(table: Tensor, size: tuple[int, int], mode: str, stride: int = 1) -> BiasValues:
    """:func:`.relpos.bias_values` without windows of a map, which translators unroll for the size at hand.

    Values come by distance of rows: what a query in each column gives to the keys of a row so far away. They are as
    few as the keys times the columns of queries. :func:`_pairs` copies whole rows of them into place.

    Args:
        table, size, mode, stride: as for :func:`.relpos.bias_values`.

    Returns:
        Values of shape (heads, w', h, w), or for ``'matrix'`` one per pair; dtype of ``table``.
    """
    if mode == 'matrix':
        return BiasValues(_resized_matrix(table, size, stride), size, stride, per_pair=True)
    values = table.to(torch.promote_types(table.dtype, torch.float32))
    heads, source_height, source_width = table.shape
    with no_autocast(table):
        rows = interpolation_matrix(source_height, size[0], mode, values)  # (h, R)
        columns = interpolation_matrix(source_width, size[1], mode, values)
        columns = columns[absolute_offsets(size[1], stride, table.device)]  # (w', w, R)
        # Products of plain matrices: for those that are broadcast, torch asks whether a side is 1. Nothing is copied
        # into another order: ExecuTorch folds no such copy, and would leave the rest to the device.
        halfway = values.flatten(0, 1) @ columns.flatten(0, 1).T  # (heads * R, w' * w)
        found = torch.bmm(rows.expand(heads, -1, -1), halfway.view(heads, source_height, -1))  # (heads, h, w' * w)
    by_row = found.view(heads, size[0], *columns.shape[:2]).transpose(1, 2)
    return BiasValues(by_row.to(table.dtype), size, stride)


def _pairs(values: Tensor, stride: int) -> Tensor:
    """Bias of all pairs from values by distance of rows; queries run down the columns, keys along the rows.

    Args:
        values: shape (heads, w', h, w).
        stride: step between queries.

    Returns:
        Shape (heads, w' * h', h * w).
    """
    heads, columns, height, width = values.shape
    distances = absolute_offsets(height, stride, values.device)  # (h', h)
    rows = values.index_select(2, distances.flatten())  # (heads, w', h' * h, w)
    return rows.view(heads, columns * distances.shape[0], height * width)


def _resized_matrix(table: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """:func:`.relpos.resize_matrix`, which asks whether the size is the table's own: a program holds one answer."""
    _, height, width = table.shape
    matrix = table.flatten(1)[:, offset_index(height, width, stride, table.device)]  # (heads, Q, N) of the table's grid
    queries = [(side - 1) // stride + 1 for side in size]  # rounded up, in the words that convolutions use
    pairs = (queries[0] * queries[1], size[0] * size[1])
    return F.interpolate(matrix[None], pairs, mode='bicubic', align_corners=False)[0]


def attend_recorded(operands: Operands) -> Tensor:
    """:func:`.attend.attend_whole` on maps: keys and values of V2 are neither copied nor turned round.

    Args:
        operands: with a bias of :func:`recorded_bias`. Queries take the order that it has: they are the smaller maps.
    """
    batch, rows, columns, heads, _ = operands.q.shape
    by_column = not operands.constants.bias_per_pair
    bias = _pairs(operands.bias, operands.constants.stride) if by_column else operands.bias
    q = _maps(operands.q.transpose(1, 2) if by_column else operands.q)  # (B * n, d, Q)
    k, v = _maps(operands.k), _maps(operands.v)  # (B * n, width, N)
    scores = torch.bmm(q.transpose(1, 2), k) * operands.constants.scale  # (B * n, Q, N)
    scores = _mix(operands.mix_scores, scores, heads).unflatten(0, (batch, heads))
    weights = _mix(operands.mix_weights, (scores + bias).softmax(dim=3).flatten(0, 1), heads)
    mixed = torch.bmm(weights.to(v.dtype), v.transpose(1, 2)).transpose(1, 2)  # (B * n, e, Q)
    grid = mixed.unflatten(2, (columns, rows) if by_column else (rows, columns)).unflatten(0, (batch, heads))
    return grid.permute(0, 4, 3, 1, 2) if by_column else grid.permute(0, 3, 4, 1, 2)


def attend_recorded_plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention without a bias, (B, n, N, d) each: what ``F.scaled_dot_product_attention`` gives.

    That one asks whether there is one token alone, and a program would hold for more.
    """
    heads = q.shape[1]
    q, k, v = (x.flatten(0, 1) for x in (q * q.shape[-1] ** -0.5, k, v))  # (B * n, N, d)
    return torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(dim=2), v).unflatten(0, (-1, heads))


def _maps(grid: Tensor) -> Tensor:
    """(B, rows, columns, n, width) to (B * n, width, rows * columns)."""
    return merge(grid.permute(0, 3, 4, 1, 2), 3, 4).flatten(0, 1)


def _mix(matrix: Tensor | None, x: Tensor, heads: int) -> Tensor:
    """Mix the heads of (B * n, Q, N)."""
    if matrix is None:
        return x
    by_head = x.flatten(1).unflatten(0, (-1, heads))  # (B, n, Q * N)
    mixed = torch.bmm(matrix.to(x.dtype).expand(by_head.shape[0], -1, -1), by_head)
    return mixed.unflatten(2, x.shape[1:]).flatten(0, 1)


class OutputNorm(nn.GroupNorm):
    """Group norm with one group, of maps (B, C, H, W).

    Recorded, it averages one axis after the other: ONNX Runtime's own norm adds up all values in one go, and is wrong
    by 3e-4 of a standard deviation at 800 x 1344 px.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, x: Tensor) -> Tensor:
        if not wants_standard_operators():
            return super().forward(x)
        centred = x - _mean(x)
        normed = centred * (_mean(centred.square()) + self.eps).rsqrt()
        return normed * self.weight[:, None, None] + self.bias[:, None, None]


def _mean(x: Tensor) -> Tensor:
    """Over everything but the batch, shape (B, 1, 1, 1)."""
    return x.mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True)
