"""Annotated pictures of detection and segmentation results, drawn by OpenMMLab's visualizers."""

from __future__ import annotations

import copy
import inspect
import os
from pathlib import Path

import cv2
import numpy as np
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

#: Labels are unreadable on small pictures: those are enlarged to this height first.
MIN_DRAWN_HEIGHT_PX = 480


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
        visualizer: of the scope of the sample, its ``dataset_meta`` set.
        image: (H, W, 3) uint8, RGB.
        sample: a DetDataSample or SegDataSample with coordinates of ``image``.
        target: PNG to write; parents are made.
        score_threshold: lowest score of a drawn instance; segmentors have none.
        draw_gt: draw the ground truth too.
    """
    sample = copy.deepcopy(sample)  # drawing changes what it is given, and clones share their instances
    factor = max(1, round(MIN_DRAWN_HEIGHT_PX / image.shape[0]))
    if factor > 1 and hasattr(sample, 'pred_instances'):
        image, sample = _enlarge(image, sample, factor)
    accepted = inspect.signature(visualizer.add_datasample).parameters
    options = {'pred_score_thr': score_threshold} if 'pred_score_thr' in accepted else {}
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f'.{target.stem}.partial{target.suffix}')
    visualizer.add_datasample(
        target.stem, image, sample, draw_gt=draw_gt, draw_pred=True, out_file=str(scratch), **options
    )
    os.replace(scratch, target)


def _enlarge(image: np.ndarray, sample: BaseDataElement, factor: int) -> tuple[np.ndarray, BaseDataElement]:
    """Picture and instances ``factor`` times as large; changes ``sample``."""
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
