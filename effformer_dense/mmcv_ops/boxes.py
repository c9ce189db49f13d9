"""Non-maximum suppression and its relatives. Boxes are (N, 4): x1, y1, x2, y2."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .precision import computable

_LINEAR, _GAUSSIAN = 1, 2  # of soft NMS; 0 drops what overlaps, as plain NMS does


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes that NMS keeps, best score first.

    Args:
        boxes, scores: (N, 4) and (N,), on any device.
        iou_threshold: a box goes if it overlaps a better one by more.
        offset: 0 or 1, added to widths and heights. With 1, which mmdet does not use, an IoU may differ from mmcv's in
            its last bit: it is added to the corners.
    """
    boxes, scores = computable(boxes, scores)
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    # mmcv sorts as torch.sort does, torchvision keeps the order of equal scores: sorted here, for mmcv's order.
    scores, order = scores.sort(descending=True)
    # mmcv compares in float32, torchvision with a double: 0.3 as float32 is more than 0.3, so that a pair at just the
    # threshold would be judged differently.
    kept = torch.ops.torchvision.nms(boxes[order], scores, float(np.float32(iou_threshold)))
    return order[kept]


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft NMS (arXiv 1704.04503): boxes that overlap a better one lose score instead of being dropped.

    Args:
        boxes, scores: (N, 4) and (N,), on the CPU.
        dets: (N, 5), to be filled with the boxes that stay and their new scores, best first.
        iou_threshold: overlap from which on scores are lowered (not with ``method`` 2).
        sigma: of the Gaussian that lowers them with ``method`` 2.
        min_score: boxes go when their score falls below.
        method: 0 drops, 1 multiplies by 1 - IoU, 2 by exp(-IoU^2 / sigma).
        offset: 0 or 1, added to widths and heights.

    Returns:
        Indices of the boxes that stay, in the order of ``dets``.
    """
    table = np.concatenate([boxes.float().numpy(), scores.float().numpy()[:, None]], axis=1)  # N, 5
    indices = np.arange(len(table))
    step = 0
    while step < len(table):
        best = _first_best(table[step:, 4]) + step
        table[[step, best]], indices[[step, best]] = table[[best, step]], indices[[best, step]]
        rest = table[step + 1 :]
        rest[:, 4] *= _weights(_iou(table[step], rest, offset), iou_threshold, sigma, method)
        gone = rest[:, 4] < min_score
        if gone.any():
            order = np.concatenate([np.arange(step + 1), _refilled(gone) + step + 1])
            table, indices = table[order], indices[order]
        step += 1
    dets[: len(table)] = torch.from_numpy(table)
    return torch.from_numpy(indices)


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """For every box that NMS keeps, its index and those of the boxes that it suppresses, best score first.

    Args:
        dets: (N, 5), on the CPU: boxes with scores.
        iou_threshold: a box goes if it overlaps a better one by as much.
    """
    table = dets.float().numpy()
    waiting = dets[:, 4].sort(descending=True).indices.numpy()
    groups = []
    while len(waiting):
        kept, others = waiting[0], waiting[1:]
        matched = _iou(table[kept], table[others], offset=0) >= np.float32(iou_threshold)
        groups.append([int(kept), *others[matched].tolist()])
        waiting = others[~matched]
    return groups


def _iou(box: np.ndarray, others: np.ndarray, offset: int) -> np.ndarray:
    """(4+,) and (N, 4+) to (N,), in float32; NaN where both are empty."""
    size = np.float32(offset)
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0]) + size
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1]) + size
    both = np.maximum(width, 0) * np.maximum(height, 0)
    area = (box[2] - box[0] + size) * (box[3] - box[1] + size)
    areas = (others[:, 2] - others[:, 0] + size) * (others[:, 3] - others[:, 1] + size)
    with np.errstate(divide='ignore', invalid='ignore'):
        return both / (area + areas - both)


def _weights(overlap: np.ndarray, iou_threshold: float, sigma: float, method: int) -> np.ndarray:
    if method == _GAUSSIAN:
        return np.exp(-(overlap * overlap) / np.float32(sigma))
    lowered = 1 - overlap if method == _LINEAR else np.zeros_like(overlap)
    return np.where(overlap >= np.float32(iou_threshold), lowered, np.float32(1))


def _first_best(scores: np.ndarray) -> int:
    """Index of the first highest score; NaN compares as neither higher nor lower."""
    return 0 if np.isnan(scores[0]) else int(np.argmax(np.where(np.isnan(scores), -np.inf, scores)))


def _refilled(gone: np.ndarray) -> np.ndarray:
    """Order after ``gone`` entries have been filled from the end, which decides between equal scores later."""
    stay = np.flatnonzero(~gone)
    order = np.arange(len(stay))
    order[gone[: len(stay)]] = stay[stay >= len(stay)][::-1]
    return order
