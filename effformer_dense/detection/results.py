"""Detections as COCO tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement
from pycocotools import mask as coco_mask

#: The 80 classes of COCO detection have ids from 1 to 90, with these ten left out.
_UNUSED_COCO_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
_COCO_IDS = [number for number in range(1, 91) if number not in _UNUSED_COCO_IDS]


def category_ids(classes: tuple[str, ...]) -> list[int]:
    """Category id of each class: COCO's own for COCO's classes, otherwise 1, 2, 3, ..."""
    is_coco = len(classes) == len(_COCO_IDS) and classes[0] == 'person' and classes[-1] == 'toothbrush'
    return _COCO_IDS if is_coco else list(range(1, len(classes) + 1))


def instance_annotations(
    sample: BaseDataElement, image_id: int, first_id: int, dataset_meta: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """COCO annotations, with ``score``, of the predicted instances; none for a panoptic model's sample.

    Args:
        sample: on the CPU, in the coordinates of the picture.
        image_id: id of the picture.
        first_id: id of the first annotation.
        dataset_meta: with ``classes``.
    """
    instances = sample.get('pred_instances')
    if instances is None:
        return []
    ids = category_ids(tuple(dataset_meta['classes']))
    boxes = np.asarray(instances.bboxes, dtype=float)
    masks = np.asarray(instances.masks, dtype=bool) if 'masks' in instances else None
    annotations = []
    for index, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        annotation = {
            'id': first_id + index,
            'image_id': image_id,
            'category_id': ids[int(instances.labels[index])],
            'bbox': [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
            'area': round((x2 - x1) * (y2 - y1), 2),
            'iscrowd': 0,
            'score': round(float(instances.scores[index]), 5),
        }
        if masks is not None:
            annotation['area'] = int(masks[index].sum())
            annotation['segmentation'] = _encode(masks[index])
        annotations.append(annotation)
    return annotations


def predictions_table(
    images: list[dict[str, Any]], annotations: list[dict[str, Any]], dataset_meta: Mapping[str, Any]
) -> dict[str, Any]:
    """The three COCO tables."""
    classes = tuple(dataset_meta['classes'])
    pairs = zip(category_ids(classes), classes, strict=True)
    categories = [{'id': number, 'name': name} for number, name in pairs]
    return {'images': images, 'categories': categories, 'annotations': annotations}


def _encode(mask: np.ndarray) -> dict[str, Any]:
    """Compressed run lengths, as text so that JSON can hold them."""
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': [int(side) for side in encoded['size']], 'counts': encoded['counts'].decode('ascii')}
