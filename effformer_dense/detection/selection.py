"""Which boxes stay: mmdet's selections in operators that a graph can hold, however many boxes a picture has.

Two rules keep such numbers out of the way of a recording. Nothing is cut off at a length that depends on data, for its
place in memory would have to be known; what stays is looked up instead. And :func:`torch._check` says how many of
something there can be at most, so that the sizes of what is computed from it are known to be numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Two boxes that overlap no other, and score lower than any. torchvision tells recordings that NMS keeps two boxes or
#: more; with these it does.
_APART = [[-2.0, -2.0, -1.0, -1.0], [-4.0, -4.0, -3.0, -3.0]]


def strongest(scores: Tensor, most: int) -> Tensor:
    """Indices of the highest scores, highest first; all, in the order they have, where there are no more.

    A number of scores that is free is sorted in any case, which makes no difference to what follows: NMS sorts.

    Args:
        scores: (N,), N a number or a size that follows from the picture's.
        most: how many at most; 0 or less for all.
    """
    count = scores.shape[0]
    if most <= 0:
        return torch.arange(count, device=scores.device)
    if not isinstance(count, int):
        return scores.topk(torch.sym_min(count, most)).indices
    return scores.argsort(descending=True)[:most] if count > most else torch.arange(count, device=scores.device)


def places(mask: Tensor) -> Tensor:
    """Indices (N, dimensions) of where a mask is true, in order."""
    found = mask.nonzero()
    torch._check(found.shape[0] <= mask.numel())
    return found


def first(indices: Tensor, most: int) -> Tensor:
    """The first of the indices (N,), all where there are no more; 0 or less for all."""
    if most <= 0:
        return indices
    return indices[at_most(places(torch.arange(indices.shape[0], device=indices.device) < most)[:, 0], most)]


def at_most(indices: Tensor, most: int) -> Tensor:
    """The indices (N,), of which a recording is told that there are no more; 0 or less: that nothing is known."""
    if most > 0:
        torch._check(indices.shape[0] <= most)
    return indices


def large(boxes: Tensor, test_cfg: Mapping[str, Any]) -> Tensor:
    """Indices of the boxes (N, 4) that are wider and higher than ``min_bbox_size``."""
    least = test_cfg.get('min_bbox_size', -1)
    if least < 0:
        return torch.arange(boxes.shape[0], device=boxes.device)
    sides = boxes[:, 2:] - boxes[:, :2]
    return places((sides > least).all(1))[:, 0]


def unsuppressed(boxes: Tensor, scores: Tensor, groups: Tensor, nms: Mapping[str, Any], most: int) -> Tensor:
    """Indices of the boxes that NMS within each group keeps, best score first: mmcv's ``batched_nms``.

    mmcv goes through the groups one by one where boxes are many; the result is the same, for groups are moved apart
    anyway.

    Args:
        boxes: (N, 4), within the picture.
        scores: (N,).
        groups: (N,) integers; boxes of two groups do not suppress each other.
        nms: config, of which :func:`.exportable.check_nms` has seen that it holds nothing else.
        most: how many at most; 0 or less for all.
    """
    count = boxes.shape[0]
    if not nms.get('class_agnostic', False):
        furthest = torch.cat([boxes.flatten(), boxes.new_zeros(1)]).max()  # of no boxes as well
        boxes = boxes + (groups.to(boxes) * (furthest + 1))[:, None]
    scores, order = scores.sort(descending=True)  # in mmcv's order where scores are equal
    threshold = float(np.float32(nms['iou_threshold']))  # which mmcv and ONNX compare with
    apart = boxes.new_tensor(_APART)
    kept = torch.ops.torchvision.nms(
        torch.cat([boxes[order], apart]), torch.cat([scores, scores.new_full((len(apart),), -1)]), threshold
    )
    torch._check(kept.shape[0] <= count + len(apart))
    real = kept < count
    if most > 0:
        real = real & (torch.arange(kept.shape[0], device=kept.device) < most)
    return order[kept[at_most(places(real)[:, 0], most)]]
