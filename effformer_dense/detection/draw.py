"""Annotated pictures of detections, drawn by mmdet's visualizer."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from ..drawing import enlargement
from ..files import write_atomically


def draw_sample(
    visualizer: Visualizer,
    image: np.ndarray,
    sample: BaseDataElement,
    target: Path,
    score_threshold: float,
    draw_gt: bool = False,
) -> None:
    """Write ``image`` with what ``sample`` predicts, ground truth to the left of it if asked.

    Args:
        visualizer: mmdet's, its ``dataset_meta`` set.
        image: (H, W, 3) uint8, RGB.
        sample: a DetDataSample with coordinates of ``image``.
        target: PNG to write; parents are made.
        score_threshold: lowest score of a drawn instance.
        draw_gt: draw the ground truth too.
    """
    sample = copy.deepcopy(sample)  # drawing changes what it is given, and clones share their instances
    factor = enlargement(image.shape[0])
    if factor > 1 and 'pred_instances' in sample:  # the labels of a panoptic model stay as they are
        image, sample = _enlarge(image, sample, factor)
    write_atomically(
        target,
        lambda scratch: visualizer.add_datasample(
            target.stem,
            image,
            sample,
            draw_gt=draw_gt,
            draw_pred=True,
            out_file=str(scratch),
            pred_score_thr=score_threshold,
        ),
    )


def _enlarge(image: np.ndarray, sample: BaseDataElement, factor: int) -> tuple[np.ndarray, BaseDataElement]:
    """Enlarge picture and instances by ``factor``; modifies ``sample``."""
    for name in ('pred_instances', 'gt_instances'):
        instances = sample.get(name)
        if instances is None:
            continue
        if 'bboxes' in instances:
            boxes = instances.bboxes
            instances.bboxes = getattr(boxes, 'tensor', boxes) * factor
        if 'masks' in instances:
            masks = instances.masks
            masks = masks.masks if hasattr(masks, 'masks') else np.asarray(masks.cpu())
            instances.masks = masks.astype(np.uint8).repeat(factor, axis=1).repeat(factor, axis=2).astype(bool)
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), sample
