"""Resizing as OpenCV does it, which is what mmcv's ``Resize`` calls."""

from __future__ import annotations

import numpy as np

#: Weights of OpenCV's bilinear interpolation of uint8 are whole multiples of 1 / 2048.
_WEIGHT_BITS = 11
#: Rows of a result that are computed at a time: what lies between stays in a processor's cache.
_ROWS = 32


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture at another size, as ``cv2.resize`` with ``INTER_LINEAR`` makes it, in its fixed-point arithmetic.

    Args:
        picture: (H, W, C) uint8.
        height, width: wanted, in px.

    Returns:
        (height, width, C) uint8.
    """
    if picture.shape[:2] == (height, width):
        return picture
    channels = picture.shape[2]
    left, right, across = _neighbours(picture.shape[1], width)
    top, bottom, down = _neighbours(picture.shape[0], height)
    across, down = (np.rint(weights * (1 << _WEIGHT_BITS)).astype(np.int32) for weights in (across, down))
    right_weights = np.repeat(across, channels)  # (width * C,)
    left_weights = (1 << _WEIGHT_BITS) - right_weights
    resized = np.empty((height, width * channels), np.uint8)
    for start in range(0, height, _ROWS):
        rows = slice(start, start + _ROWS)
        first, last = top[rows][0], bottom[rows][-1] + 1
        source = picture[first:last]
        wide = source.take(left, axis=1).reshape(last - first, -1) * left_weights
        wide += source.take(right, axis=1).reshape(last - first, -1) * right_weights
        wide >>= 4
        bottom_weights = down[rows, None]
        result = wide[top[rows] - first] * ((1 << _WEIGHT_BITS) - bottom_weights) >> 16
        result += wide[bottom[rows] - first] * bottom_weights >> 16
        resized[rows] = (result + 2) >> 2
    return resized.reshape(height, width, channels)


def _neighbours(size: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of ``wanted`` places the two that it lies between, and the weight of the second."""
    places = ((np.arange(wanted) + 0.5) * (size / wanted) - 0.5).astype(np.float32)
    first = np.floor(places).astype(np.intp)
    weights = places - first
    weights[(first < 0) | (first >= size - 1)] = 0
    first = first.clip(0, size - 1)
    return first, np.minimum(first + 1, size - 1), weights


def resize_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """A segmentation map (H, W) at another size: for each pixel the label that its centre lies on."""
    if labels.shape == (height, width):
        return labels
    rows, columns = (
        ((np.arange(wanted) + 0.5) * size / wanted).astype(np.intp)
        for wanted, size in ((height, labels.shape[0]), (width, labels.shape[1]))
    )
    return labels[rows[:, None], columns]


def labels_of(logits: np.ndarray, height: int, width: int) -> np.ndarray:
    """The likeliest class of each pixel, after bilinear interpolation of the logits as mmsegmentation's.

    Args:
        logits: (classes, H, W) float32.
        height, width: of the picture, in px.

    Returns:
        (height, width) uint8.
    """
    if logits.shape[1:] == (height, width):
        return logits.argmax(axis=0).astype(np.uint8)
    left, right, across = _neighbours(logits.shape[2], width)
    top, bottom, down = _neighbours(logits.shape[1], height)
    labels = np.empty((height, width), np.uint8)
    for row in range(height):  # so that the logits of all classes are never there at the picture's size
        line = logits[:, top[row]] * (1 - down[row]) + logits[:, bottom[row]] * down[row]
        labels[row] = (line[:, left] * (1 - across) + line[:, right] * across).argmax(axis=0)
    return labels
