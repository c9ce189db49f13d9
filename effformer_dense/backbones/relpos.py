"""Relative-position bias: pure functions from a small learnable table to the bias of any grid.

Letters: ``R`` side of the base grid the table was learned on; ``h, w`` grid of keys at hand;
``stride`` step between queries in key cells (1 for self-attention, 2 for attention downsampling);
queries lie at key cells 0, stride, 2 * stride, ...; tokens are numbered row by row.

The table holds one value per head and absolute offset (|dy|, |dx|), as in LeViT (arXiv 2104.01136),
from which EfficientFormer takes it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TABLE_MODES = ('bicubic', 'bilinear')
RESIZE_MODES = (*TABLE_MODES, 'matrix')

# Keys' cubic convolution coefficient, the one torch.nn.functional.interpolate uses.
_CUBIC_A = -0.75


def offset_index(height: int, width: int, stride: int = 1, device: torch.device | None = None) -> Tensor:
    """Flat index ``|dy| * width + |dx|`` of every (query, key) pair.

    The definition that :func:`expand_table` computes without indices; published checkpoints hold it as a buffer.

    Returns:
        int64 tensor, shape (ceil(height / stride) * ceil(width / stride), height * width).
    """
    dy = _absolute_offsets(height, stride, device)  # (q_h, h)
    dx = _absolute_offsets(width, stride, device)  # (q_w, w)
    index = dy[:, None, :, None] * width + dx[None, :, None, :]  # (q_h, q_w, h, w)
    return index.flatten(2, 3).flatten(0, 1)


def resize_table(table: Tensor, size: tuple[int, int], mode: str = 'bicubic') -> Tensor:
    """Interpolate a table of absolute offsets to another grid.

    Height and width are resized independently with aligned corners, so that offset 0 stays offset 0
    and the largest offset stays the largest. Equal sizes return ``table`` itself. The interpolation is
    written as two small matrix products, which are deterministic, differentiable and exportable everywhere.

    Args:
        table: shape (heads, R, R), or any (heads, rows, columns).
        size: (h, w).
        mode: ``'bicubic'`` or ``'bilinear'``.

    Returns:
        Shape (heads, h, w), dtype of ``table``.

    Raises:
        ValueError: unknown ``mode``.
    """
    if mode not in TABLE_MODES:
        raise ValueError(f'mode must be one of {", ".join(TABLE_MODES)}; got {mode!r}.')
    if tuple(table.shape[-2:]) == tuple(size):
        return table
    values = table.to(torch.promote_types(table.dtype, torch.float32))
    with torch.autocast(table.device.type, enabled=False):
        rows = _interpolation_matrix(table.shape[-2], size[0], mode, values)  # (h, R)
        columns = _interpolation_matrix(table.shape[-1], size[1], mode, values)  # (w, R)
        resized = rows @ values @ columns.T  # (heads, h, w)
    return resized.to(table.dtype)


def expand_table(table: Tensor, stride: int = 1) -> Tensor:
    """Look a table up for every (query, key) pair of its own grid.

    ``bias[n, q, k] = table[n, |dy|, |dx|]``. Mirrored about offset 0, the table becomes a map of signed
    offsets in which the bias of every query is one (h, w) window: the windows are views, and only
    their final copy touches all pairs. No index tensor exists, and the backward pass adds windows.

    Args:
        table: shape (heads, h, w).
        stride: step between queries.

    Returns:
        Shape (heads, ceil(h / stride) * ceil(w / stride), h * w).
    """
    heads, h, w = table.shape
    signed = torch.cat([table.flip(1), table[:, 1:]], dim=1)  # (heads, 2h - 1, w): dy = -(h - 1) .. h - 1
    signed = torch.cat([signed.flip(2), signed[:, :, 1:]], dim=2)  # (heads, 2h - 1, 2w - 1)
    windows = signed.unfold(1, h, 1).unfold(2, w, 1)  # (heads, h, w, h, w); window a holds dy = a - (h - 1) + key
    # Query y needs window h - 1 - y: run through the windows from the last one backwards.
    windows = windows[:, (h - 1) % stride :: stride, (w - 1) % stride :: stride].flip(1, 2)
    return windows.reshape(heads, -1, h * w)


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


def relative_position_bias(table: Tensor, size: tuple[int, int], mode: str = 'bicubic', stride: int = 1) -> Tensor:
    """Bias of every (query, key) pair of a grid of ``size`` from a table of another grid.

    Args:
        table: shape (heads, R, R).
        size: (h, w) of the keys.
        mode: one of :data:`RESIZE_MODES`.
        stride: step between queries.

    Returns:
        Shape (heads, ceil(h / stride) * ceil(w / stride), h * w).

    Raises:
        ValueError: unknown ``mode``.
    """
    if mode == 'matrix':
        return resize_matrix(table, size, stride)
    return expand_table(resize_table(table, size, mode), stride)


def _absolute_offsets(length: int, stride: int, device: torch.device | None) -> Tensor:
    keys = torch.arange(length, device=device)
    return (keys[::stride, None] - keys[None, :]).abs()


def _interpolation_matrix(source: int, target: int, mode: str, like: Tensor) -> Tensor:
    """Weights of the ``source`` samples in each of ``target`` samples, aligned corners: (target, source)."""
    step = (source - 1) / max(target - 1, 1)
    position = torch.arange(target, device=like.device, dtype=like.dtype) * step
    taps = torch.arange(-1, 3, device=like.device)
    distance = (position - position.floor())[:, None] - taps  # (target, 4)
    near = distance.abs()
    if mode == 'bilinear':
        weights = (1 - near).clamp(min=0)
    else:
        inner = ((_CUBIC_A + 2) * near - (_CUBIC_A + 3)) * near**2 + 1
        outer = ((near - 5) * near + 8) * near * _CUBIC_A - 4 * _CUBIC_A
        weights = torch.where(near <= 1, inner, torch.where(near < 2, outer, torch.zeros_like(near)))
    # Taps past an edge count for the edge sample.
    sample = (position.floor().long()[:, None] + taps).clamp(0, source - 1)  # (target, 4)
    return torch.einsum('tk,tks->ts', weights, F.one_hot(sample, source).to(weights))
