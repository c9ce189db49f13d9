"""Ground truth beside what a model of mmdet predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from ..drawing import colours_of, draw_enlarged, panels
from .results import instances_of


def draw_comparison(
    image: np.ndarray, sample: BaseDataElement, dataset_meta: Mapping[str, Any], score_threshold: float
) -> np.ndarray:
    """Ground truth to the left, prediction to the right.

    Args:
        image: (H, W, 3) uint8, RGB.
        sample: a DetDataSample on the CPU, with coordinates of ``image``.
        dataset_meta: with ``classes``; without ``palette``, colours are made.
        score_threshold: lowest score of a drawn instance.

    Returns:
        (H', W', 3) uint8, see :func:`..drawing.draw_enlarged`.
    """
    classes = dataset_meta.get('classes') or ()
    palette = colours_of(dataset_meta.get('palette'), len(classes))
    truth = instances_of(sample, 'gt', len(classes))
    found = instances_of(sample, 'pred', len(classes)).above(score_threshold)
    pictures = [draw_enlarged(image, instances, classes, palette) for instances in (truth, found)]
    how = '' if found.scores is None else f', score {score_threshold:g} or more'
    return panels(pictures, [f'ground truth: {len(truth.labels)}', f'prediction: {len(found.labels)}{how}'])
