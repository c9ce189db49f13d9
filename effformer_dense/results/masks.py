"""Masks of objects: from the network's small ones to the picture, and from the picture to COCO's run lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..drawing import bounds


def paste_masks(masks: np.ndarray, boxes: np.ndarray, height: int, width: int, threshold: float) -> np.ndarray:
    """Masks at the size of the picture, as mmdet's ``FCNMaskHead`` pastes them.

    It samples each at the centres of the picture's pixels, bilinearly, with zeros around (``grid_sample``). That is one
    matrix of weights for the rows and one for the columns, which are made for the pixels of the box alone.

    Args:
        masks: (N, h, w) float, probabilities within the boxes.
        boxes: (N, 4), left, top, right, bottom in px of the picture; they may reach over its edge.
        height, width: of the picture.
        threshold: lowest probability of a pixel that belongs to the object.

    Returns:
        (N, height, width) bool.
    """
    pasted = np.zeros((len(masks), height, width), bool)
    for index, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, np.float32)):
        rows, row_weights = _weights(y1, y2, height, masks.shape[1])
        columns, column_weights = _weights(x1, x2, width, masks.shape[2])
        pasted[index, rows, columns] = row_weights @ masks[index] @ column_weights.T >= threshold
    return pasted


def _weights(first: np.float32, last: np.float32, side: int, size: int) -> tuple[slice, np.ndarray]:
    """Pixels that a box reaches along one side, and (pixels, size) weights of the mask's values for each."""
    start = int(np.clip(np.floor(first) - 1, 0, side))
    stop = int(np.clip(np.ceil(last) + 1, start, side))
    centres = np.arange(start, stop, dtype=np.float32) + np.float32(0.5)
    with np.errstate(divide='ignore', invalid='ignore'):  # a box without extent
        places = np.nan_to_num((centres - first) / (last - first), nan=0.5, posinf=0.5, neginf=0.5) * size - 0.5
    distances = np.abs(places[:, None] - np.arange(size, dtype=np.float32))
    return slice(start, stop), np.maximum(0, 1 - distances)


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """A mask in COCO's compressed run lengths, ``size`` and ``counts``, as text so that JSON can hold them.

    Args:
        mask: (H, W) bool.
    """
    height, width = mask.shape
    runs = np.array([mask.size])
    if mask.any():
        left, _, right, _ = bounds(mask)
        flat = mask[:, left:right].T.ravel()  # column by column
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        ends = [*([0] if flat[0] else []), *edges, *([flat.size] if flat[-1] else [])]
        runs = np.diff(np.array([-left * height, *ends, (width - left) * height]))
    return {'size': [height, width], 'counts': _compressed(runs[:-1] if len(runs) > 1 and not runs[-1] else runs)}


def _compressed(runs: np.ndarray) -> str:
    """Six bits per character, five of them of the number; from the fourth run on its difference to the last but one."""
    values = runs.astype(np.int64)
    values[3:] -= runs[1:-2]
    characters, needed = [], []
    more = np.ones(len(values), bool)
    while more.any():
        needed.append(more)
        low = values & 31
        values = values >> 5
        more = more & np.where(low & 16, values != -1, values != 0)
        characters.append((low | np.where(more, 32, 0)) + 48)
    return np.stack(characters, 1).astype(np.uint8)[np.stack(needed, 1)].tobytes().decode('ascii')
