"""What a sample of mmdet holds, as objects to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from ..drawing import Instances, bounds, colours_of, draw_instances, enlargement, panels

#: A panoptic map numbers a segment as its class plus this many times a running number (mmdet, INSTANCE_OFFSET).
_SEGMENT_STEP = 1000


def draw_prediction(
    image: np.ndarray, sample: BaseDataElement, dataset_meta: Mapping[str, Any], score_threshold: float
) -> np.ndarray:
    """Picture with what a sample predicts.

    Args:
        image: (H, W, 3) uint8, RGB.
        sample: a DetDataSample on the CPU, with coordinates of ``image``.
        dataset_meta: with ``classes``; without ``palette``, colours are made.
        score_threshold: lowest score of a drawn instance.

    Returns:
        (H', W', 3) uint8, see :func:`.drawing.draw_instances`; small pictures are enlarged.
    """
    classes, palette = _names_and_colours(dataset_meta)
    return _draw(image, instances_of(sample, 'pred', len(classes)).above(score_threshold), classes, palette)


def draw_comparison(
    image: np.ndarray, sample: BaseDataElement, dataset_meta: Mapping[str, Any], score_threshold: float
) -> np.ndarray:
    """Ground truth to the left, prediction to the right; arguments as of :func:`draw_prediction`."""
    classes, palette = _names_and_colours(dataset_meta)
    truth = instances_of(sample, 'gt', len(classes))
    found = instances_of(sample, 'pred', len(classes)).above(score_threshold)
    pictures = [_draw(image, instances, classes, palette) for instances in (truth, found)]
    how = '' if found.scores is None else f', score {score_threshold:g} or more'
    return panels(pictures, [f'ground truth: {len(truth.labels)}', f'prediction: {len(found.labels)}{how}'])


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


def _draw(
    image: np.ndarray, instances: Instances, classes: Sequence[str], palette: Sequence[Sequence[int]]
) -> np.ndarray:
    """Small pictures are enlarged, so that they can be seen and names read."""
    return draw_instances(*instances.resized(image, enlargement(*image.shape[:2])), classes, palette)


def _segments(panoptic: Any, num_classes: int) -> Instances:
    """Segments of a panoptic map, as masks without boxes around them."""
    if panoptic is None:
        return Instances(np.zeros((0, 4)), np.zeros(0, int))
    seg_map = np.asarray(panoptic.sem_seg[0])
    numbers = [number for number in np.unique(seg_map) if number % _SEGMENT_STEP < num_classes]
    masks = np.stack([seg_map == number for number in numbers]) if numbers else np.zeros((0, *seg_map.shape), bool)
    labels = np.array([number % _SEGMENT_STEP for number in numbers], int)
    return Instances(np.array([bounds(mask) for mask in masks]).reshape(-1, 4), labels, None, masks, framed=False)


def _names_and_colours(dataset_meta: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[int]]]:
    classes = dataset_meta.get('classes') or ()
    return classes, colours_of(dataset_meta.get('palette'), len(classes))
