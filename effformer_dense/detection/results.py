"""From mmdet's samples to results."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from ..drawing import Instances, bounds
from ..results import Classes, Detections

#: A panoptic map numbers a segment as its class plus this many times a running number (mmdet, INSTANCE_OFFSET).
_SEGMENT_STEP = 1000


def detections_of(picture: np.ndarray, sample: BaseDataElement, classes: Classes) -> Detections:
    """What a sample predicts.

    Args:
        picture: (H, W, 3) uint8, RGB.
        sample: a DetDataSample on the CPU, with coordinates of ``picture``.
        classes: of the model.
    """
    found = instances_of(sample, 'pred', len(classes.names))
    return Detections(picture, classes, found.boxes, found.labels, found.scores, found.masks)


def instances_of(sample: BaseDataElement, kind: str, num_classes: int) -> Instances:
    """Objects of a sample, none if it has no such field.

    Args:
        sample: a DetDataSample on the CPU.
        kind: 'gt' or 'pred'.
        num_classes: that are drawn; of a panoptic map, what is numbered otherwise is no object.
    """
    instances = sample.get(f'{kind}_instances')
    if instances is None:
        return _segments(sample.get(f'{kind}_panoptic_seg'), num_classes)
    boxes = instances.get('bboxes')
    scores = instances.get('scores')
    masks = instances.get('masks')
    if masks is not None:
        masks = np.asarray(masks.to_ndarray() if hasattr(masks, 'to_ndarray') else masks, dtype=bool)
    return Instances(
        boxes=np.asarray(getattr(boxes, 'tensor', boxes)).reshape(-1, 4),
        labels=np.asarray(instances.labels),
        scores=None if scores is None else np.asarray(scores),
        masks=masks,
    )


def _segments(panoptic: Any, num_classes: int) -> Instances:
    """Segments of a panoptic map, as masks without boxes around them."""
    if panoptic is None:
        return Instances(np.zeros((0, 4)), np.zeros(0, int))
    seg_map = np.asarray(panoptic.sem_seg[0])
    numbers = [number for number in np.unique(seg_map) if number % _SEGMENT_STEP < num_classes]
    masks = np.stack([seg_map == number for number in numbers]) if numbers else np.zeros((0, *seg_map.shape), bool)
    labels = np.array([number % _SEGMENT_STEP for number in numbers], int)
    return Instances(np.array([bounds(mask) for mask in masks]).reshape(-1, 4), labels, None, masks, framed=False)
