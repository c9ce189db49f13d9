"""A COCO data set, looked through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ..config.datasets import DatasetView
from ..data.border.findings import Findings
from ..data.pictures import read_picture
from ..data.survey import Survey
from ..drawing import Instances, colours_of, draw_instances
from ..errors import UserError
from ..tasks import Reading
from .annotations import read_clean


def survey_coco(dataset: DatasetView, reading: Reading) -> Survey:
    """Look through a COCO file, after it has crossed the border: odd records are repaired or left out, and told.

    Raises:
        UserError: the data set has no COCO file, or nothing in it can be used.
    """
    if dataset.annotation is None or dataset.annotation.suffix != '.json':
        raise UserError(
            f'{dataset.type_name} has no COCO file to look through (ann_file {dataset.annotation}). Bring it to that '
            'form with prepare-data own.'
        )
    findings = Findings()
    table = read_clean(dataset, reading, findings)
    folder = dataset.folders.get('img', dataset.root)
    palette, notes = dataset.metainfo.get('palette'), tuple(findings.summary())
    return _survey(table, folder, palette, notes, reading.max_pixels)


def _survey(table: dict[str, Any], folder: Path, palette: Any, notes: Sequence[str], max_pixels: int) -> Survey:
    images, annotations = table['images'], table['annotations']
    classes = [category['name'] for category in table['categories']]
    place = {row['id']: index for index, row in enumerate(images)}
    of_picture: dict[int, list[dict[str, Any]]] = defaultdict(list)
    shown_in: list[dict[int, None]] = [{} for _ in classes]
    counts = np.zeros(len(classes), int)
    for row in annotations:
        index, label = place[row['image_id']], row['category_id'] - 1
        of_picture[index].append(row)
        shown_in[label][index] = None
        counts[label] += 1
    colours = colours_of(palette, len(classes))

    def draw(index: int, height: int, width: int) -> np.ndarray:
        image = np.ascontiguousarray(read_picture(folder / images[index]['file_name'], max_pixels)[..., ::-1])
        instances = _instances(of_picture[index], (image.shape[0], image.shape[1]))
        factor = min(height / image.shape[0], width / image.shape[1])
        return draw_instances(*instances.resized(image, factor), classes, colours)

    return Survey(
        classes=classes,
        palette=colours,
        unit='objects',
        counts=counts,
        shown_in=[sorted(pictures) for pictures in shown_in],
        num_pictures=len(images),
        sizes=np.array([(row['height'], row['width']) for row in images]),
        boxes=np.array([row['bbox'][:1:-1] for row in annotations], float).reshape(-1, 2),
        box_pictures=np.array([place[row['image_id']] for row in annotations], int),
        name=lambda index: images[index]['file_name'],
        draw=draw,
        notes=notes,
    )


def _instances(rows: Sequence[dict[str, Any]], size: tuple[int, int]) -> Instances:
    """Canonical annotations of a picture of ``size`` (height, width)."""
    boxes = np.array([row['bbox'] for row in rows], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    labels = np.array([row['category_id'] - 1 for row in rows], int)
    masks = [_mask(row['segmentation'], size) for row in rows]
    return Instances(boxes, labels, masks=np.stack(masks) if any(row['segmentation'] for row in rows) else None)


def _mask(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """Polygons, run lengths or nothing as (H, W) bool."""
    if not segmentation:
        return np.zeros(size, bool)
    if isinstance(segmentation, list):
        encoded = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
    elif isinstance(segmentation['counts'], list):
        encoded = coco_mask.frPyObjects(segmentation, *segmentation['size'])
    else:
        encoded = segmentation
    return coco_mask.decode(encoded).astype(bool)
