"""Random and degenerate boxes."""

from __future__ import annotations

import torch
from torch import Tensor

#: Names of :func:`make_boxes`' kinds.
KINDS = ('scattered', 'whole pixels', 'equal scores', 'repeated', 'empty', 'turned round')


def make_boxes(kind: str, seed: int, count: int = 150, side_px: int = 100) -> tuple[Tensor, Tensor]:
    """Overlapping boxes (N, 4) and scores (N,)."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * side_px
    sizes = torch.rand(count, 2, generator=generator) * side_px / 2
    boxes = torch.cat([corners, corners + sizes], dim=1)
    scores = torch.rand(count, generator=generator)
    if kind == 'whole pixels':
        boxes = boxes.round()
    if kind == 'equal scores':
        scores = (scores * 10).round() / 10
    if kind == 'repeated':
        boxes[::3] = boxes[0].clone()
    if kind == 'empty':  # of no height, no size, and all of them at one place
        boxes[::3, 3] = boxes[::3, 1]
        boxes[::4, 2:] = boxes[::4, :2]
        boxes[::8] = boxes[0].clone()
    if kind == 'turned round':
        boxes[::3] = boxes[::3].flip(1)
    return boxes, scores


def make_regions(seed: int, height: int, width: int, stride: int, count: int = 40) -> Tensor:
    """(N, 5) regions of two images; some empty, some beyond the images' edges, one as large as an image."""
    generator = torch.Generator().manual_seed(seed)
    extent = torch.tensor([width, height]) * stride
    corners = torch.rand(count, 2, generator=generator) * extent * 1.2 - 10
    sizes = torch.rand(count, 2, generator=generator) ** 2 * extent * 1.5
    sizes[: count // 6] = 0
    sizes[count // 6 : count // 3, 0] = 0
    corners[-1], sizes[-1] = 0, extent
    image = torch.randint(0, 2, (count, 1), generator=generator).float()
    return torch.cat([image, corners, corners + sizes], dim=1)
