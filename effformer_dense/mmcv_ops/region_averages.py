"""RoIAlign on a CPU as weighted sums of a map's cells.

A cell of the output averages bilinear samples that lie on a grid: each is a sum of four cells of the map, and so the
average is a sum of the cells around it, whose weights are a product of those along its height and its width. Cells are
read with all their channels at once, which lie together in memory; torchvision reads channel by channel, each sample's
four cells anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

#: Cells of the map that are summed in one call.
_MAX_CELLS = 2**21


def region_averages(
    features: Tensor, regions: Tensor, scale: float, size: tuple[int, int], sampling_ratio: int, aligned: bool
) -> Tensor:
    """What ``torchvision.ops.roi_align`` gives, up to rounding.

    Args:
        features: (B, C, H, W) float; fastest if it is channels-last.
        regions: (N, 5): index of the image, x1, y1, x2, y2, of no negative size if ``aligned``.
        scale: side of the map over side of the image.
        size: (height, width) of the output.
        sampling_ratio: samples per cell and axis; 0 for one per position of the map.
        aligned: whether positions are shifted by half a cell of the map.

    Returns:
        (N, C, height, width), channels-last.
    """
    table = features.permute(0, 2, 3, 1).contiguous().flatten(0, 2)  # (B * H * W, C)
    output = features.new_zeros(len(regions), *size, features.shape[1])
    corners = (regions[:, 1:] * scale - (0.5 if aligned else 0.0)).reshape(-1, 2, 2).flip(2)  # y1, x1; y2, x2
    starts, extents = corners[:, 0], corners[:, 1] - corners[:, 0]  # (N, 2)
    extents = extents if aligned else extents.clamp(min=1)
    cells = extents / extents.new_tensor(size)
    counts = torch.full_like(cells, sampling_ratio) if sampling_ratio > 0 else cells.ceil()
    sides = features.shape[2:]
    images = regions[:, 0].long() * sides[0]  # rows of the map above the image
    for chosen in _alike(counts, size[0] * size[1]):
        rows, columns = (
            _neighbours(starts[chosen, axis], cells[chosen, axis], counts[chosen, axis], size[axis], sides[axis])
            for axis in (0, 1)
        )
        output[chosen] = _sums(table, images[chosen], rows, columns, sides[1])
    return output.permute(0, 3, 1, 2)


def _alike(counts: Tensor, cells: int) -> Iterator[Tensor]:
    """Indices of regions with about as many samples (N, 2), so that a long one does not make work for all others."""
    steps = counts.clamp(min=1).log2().ceil().long()  # (N, 2)
    for step in steps.unique(dim=0):
        chosen = (steps == step).all(dim=1).nonzero()[:, 0]
        neighbours = (2**step + 2).prod()
        yield from chosen.split(max(1, _MAX_CELLS // (cells * int(neighbours))))


def _neighbours(starts: Tensor, cells: Tensor, counts: Tensor, size: int, side: int) -> tuple[Tensor, Tensor]:
    """Positions of the map and their weights along one axis, (N, size, K) each.

    Args:
        starts: (N,), of the regions on the map.
        cells: (N,), extent of a cell of the output.
        counts: (N,), samples in a cell.
        size: of the output.
        side: of the map.
    """
    number = torch.arange(int(counts.max().clamp(min=1)), device=starts.device)
    counts, cells = counts[:, None, None], cells[:, None, None]
    first = starts[:, None, None] + torch.arange(size, device=starts.device)[:, None] * cells  # (N, size, 1)
    places = first + (number + 0.5) * cells / counts.clamp(min=1)  # (N, size, samples)
    weights = ((number < counts) & (places >= -1) & (places <= side)) / counts.clamp(min=1)
    places = places.clamp(0, side - 1)
    low = places.floor()
    share = places - low
    low = low.long()
    offsets = low - low[:, :, :1]
    sums = places.new_zeros(*low.shape[:2], int(offsets.max()) + 2)
    sums.scatter_add_(2, offsets, weights * (1 - share)).scatter_add_(2, offsets + 1, weights * share)
    positions = low[:, :, :1] + torch.arange(sums.shape[2], device=starts.device)
    return positions.clamp(max=side - 1), sums


def _sums(
    table: Tensor, images: Tensor, rows: tuple[Tensor, Tensor], columns: tuple[Tensor, Tensor], width: int
) -> Tensor:
    """Averages (N, height, width, C) of cells of a map, whose rows of ``width`` cells are ``table`` (cells, C)."""
    lines = (images[:, None, None] + rows[0]) * width  # (N, height, K)
    indices = lines[:, :, None, :, None] + columns[0][:, None, :, None, :]  # (N, height, width, K, K')
    weights = rows[1][:, :, None, :, None] * columns[1][:, None, :, None, :]
    sums = F.embedding_bag(
        indices.flatten(3).flatten(0, 2), table, mode='sum', per_sample_weights=weights.flatten(3).flatten(0, 2)
    )
    return sums.reshape(*indices.shape[:3], -1)
