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
from .relpos import absolute_offsets, no_autocast, offset_index
from .tracing import merge, wants_standard_operators


def bias_of_pairs(table: Tensor, size: tuple[int, int], mode: str, stride: int = 1) -> Tensor:
    """:func:`.relpos.relative_position_bias` without windows of a map, which translators unroll for the size at hand.

    The interpolation weights of each offset are looked up for each pair of a query's and a key's row, and of their
    columns: small matrices. Two products with them give the bias of every pair.

    Returns:
        Shape (heads, h' * w', h * w), dtype of ``table``.
    """
    if mode == 'matrix':
        return _resized_matrix(table, size, stride)
    values = table.to(torch.promote_types(table.dtype, torch.float32))
    with no_autocast(table):
        rows, columns = (
            interpolation_matrix(source, target, mode, values)[absolute_offsets(target, stride, table.device)]
            for source, target in zip(table.shape[1:], size, strict=True)
        )  # (h', h, R), (w', w, R)
        # Products of plain matrices: for those that are broadcast, torch asks whether a side is 1.
        halfway = rows.flatten(0, 1) @ values.transpose(0, 1).flatten(1)  # (h' * h, heads * R)
        pairs = halfway.view(-1, table.shape[2]) @ columns.flatten(0, 1).T  # (h' * h * heads, w' * w)
    pairs = pairs.view(*rows.shape[:2], table.shape[0], *columns.shape[:2]).permute(
        2, 0, 3, 1, 4
    )  # (heads, h', w', h, w)
    return merge(pairs, 3, 4).flatten(1, 2).to(table.dtype)


def _resized_matrix(table: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """:func:`.relpos.resize_matrix`, which asks whether the size is the table's own: a program holds one answer."""
    _, height, width = table.shape
    matrix = table.flatten(1)[:, offset_index(height, width, stride, table.device)]  # (heads, Q, N) of the table's grid
    queries = [(side - 1) // stride + 1 for side in size]  # rounded up, in the words that convolutions use
    pairs = (queries[0] * queries[1], size[0] * size[1])
    return F.interpolate(matrix[None], pairs, mode='bicubic', align_corners=False)[0]


def attend_recorded(operands: Operands) -> Tensor:
    """:func:`.attend.attend_whole` on maps: those of V2 are neither copied nor turned round."""
    batch, rows, columns, heads, _ = operands.q.shape
    q, k, v = (_maps(grid) for grid in (operands.q, operands.k, operands.v))  # (B * n, width, tokens)
    scores = torch.bmm(q.transpose(1, 2), k) * operands.constants.scale  # (B * n, Q, N)
    scores = _mix(operands.mix_scores, scores, heads).unflatten(0, (batch, heads))
    weights = (scores + operands.bias_values.everything()).softmax(dim=3).flatten(0, 1)
    weights = _mix(operands.mix_weights, weights, heads)
    mixed = torch.bmm(weights.to(v.dtype), v.transpose(1, 2)).transpose(1, 2)  # (B * n, e, Q)
    return mixed.unflatten(2, (rows, columns)).unflatten(0, (batch, heads)).permute(0, 3, 4, 1, 2)


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
