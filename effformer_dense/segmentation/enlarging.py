"""Labels of enlarged logits, without enlarging them where there is no doubt.

A segmentor's head gives logits at a quarter of the picture's sides; interpolated to the picture, those of 150 classes
take hundreds of times as many bytes as the labels that they end in. Interpolation averages neighbours with weights that
are the same for all classes: the class that is best at all neighbours of a pixel is best at the pixel. What is left to
compute are pixels at the borders between labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .tiles import source_neighbours

#: Logits that are interpolated at a time: 8 MiB in float32, which stay in a cache.
_CHUNK_ELEMENTS = 2**21


@dataclass(frozen=True)
class Line:
    """How the places of one side come from those of a shorter one: as weighted sums of K neighbours.

    Attributes:
        first: (N,) int64, the first neighbour of each.
        weights: (N, K) float32, of that and the following ones.
    """

    first: Tensor
    weights: Tensor

    @classmethod
    def of(cls, matrix: Tensor) -> Line:
        """From a matrix of weights (N, n), double, of which each row has a few neighbours that are not zero."""
        there = (matrix != 0).to(torch.uint8)
        first = there.argmax(dim=1)
        last = matrix.shape[1] - 1 - there.flip(1).argmax(dim=1)
        count = int((last - first).max()) + 1
        first = first.clamp(max=matrix.shape[1] - count)
        places = first[:, None] + torch.arange(count)  # (N, K)
        return cls(first, matrix.gather(1, places).float())

    def to(self, device: torch.device) -> Line:
        """The same on a device."""
        return Line(self.first.to(device), self.weights.to(device))


def interpolation(length: int, target: int, align_corners: bool) -> Tensor:
    """Weights (target, length), double, by which PyTorch's bilinear interpolation makes one side of another."""
    upper, lower, weight = source_neighbours(length, target, align_corners)
    matrix = torch.zeros(target, length, dtype=torch.float64)
    rows = torch.arange(target)
    matrix.index_put_((rows, upper), 1 - weight, accumulate=True)
    return matrix.index_put_((rows, lower), weight, accumulate=True)


def enlarged_labels(logits: Tensor, rows: Line, columns: Line) -> Tensor:
    """Best class of interpolated logits.

    Args:
        logits: (C, h, w), two classes or more.
        rows: from h to H.
        columns: from w to W.

    Returns:
        (H, W) uint8.
    """
    best = logits.argmax(dim=0).to(torch.uint8)  # (h, w)
    window = rows.weights.shape[1], columns.weights.shape[1]
    highest, lowest = _extremes(best, window)  # of the neighbours of each pixel: (h - K + 1, w - K' + 1)
    rows, columns = rows.to(logits.device), columns.to(logits.device)
    labels = lowest[rows.first][:, columns.first]  # (H, W)
    doubtful = (highest != lowest)[rows.first][:, columns.first].nonzero()  # (N, 2)
    table = logits.float().flatten(1).t().contiguous()  # (h * w, C): the logits of a place lie together
    for part in doubtful.split(max(1, _CHUNK_ELEMENTS // len(logits))):
        labels[part[:, 0], part[:, 1]] = _labels_at(part, table, logits.shape[2], rows, columns)
    return labels


def _extremes(best: Tensor, window: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Highest and lowest label (h, w), uint8, in every window of this size."""
    values = best[None].float()
    highest, lowest = (F.max_pool2d(signed, window, stride=1)[0] for signed in (values, -values))
    return highest.to(torch.uint8), (-lowest).to(torch.uint8)


def _labels_at(places: Tensor, table: Tensor, width: int, rows: Line, columns: Line) -> Tensor:
    """Best classes (N,) of pixels (N, 2) from logits (h * width, C)."""
    row, column = places.unbind(1)
    upper, left = (
        line.first[place, None] + torch.arange(line.weights.shape[1], device=table.device)
        for line, place in ((rows, row), (columns, column))
    )
    indices = (upper[:, :, None] * width + left[:, None, :]).flatten(1)  # (N, K * K')
    weights = (rows.weights[row][:, :, None] * columns.weights[column][:, None, :]).flatten(1)
    sums = F.embedding_bag(indices, table, mode='sum', per_sample_weights=weights)  # (N, C)
    return sums.argmax(dim=1).to(torch.uint8)
