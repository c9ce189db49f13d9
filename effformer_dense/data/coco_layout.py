"""Writing generated scenes as a COCO instance data set, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .generated import ShapesSpec, ensure_generated
from .shapes import CLASSES, Scene, make_scene


def ensure_coco_shapes(root: str | Path, spec: ShapesSpec) -> Path:
    """Make the data set of ``spec`` in COCO layout under ``root`` unless it is there already.

    Layout: ``root/SPLIT/000000.png`` and ``root/annotations/SPLIT.json``. See :func:`.generated.ensure_generated`.
    """
    return ensure_generated(Path(root), spec, 'coco', _write_split)


def scene_to_annotations(scene: Scene, image_id: int, first_id: int) -> list[dict]:
    """COCO annotations of a scene: tight box, visible area, mask as uncompressed run lengths."""
    annotations = []
    for offset, (mask, label) in enumerate(zip(scene.masks, scene.labels, strict=True)):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x, y = int(columns[0]), int(rows[0])
        annotations.append(
            {
                'id': first_id + offset,
                'image_id': image_id,
                'category_id': int(label) + 1,
                'bbox': [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
                'area': int(mask.sum()),
                'iscrowd': 0,
                'segmentation': {'size': list(mask.shape), 'counts': run_lengths(mask)},
            }
        )
    return annotations


def run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed run lengths: column by column, starting with a run of zeros."""
    flat = mask.ravel(order='F')
    changes = np.flatnonzero(np.diff(flat)) + 1
    bounds = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(bounds).tolist()
    return [0, *counts] if flat[0] else counts


def _write_split(root: Path, split: str, count: int, spec: ShapesSpec) -> None:
    (root / split).mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(count):
        scene = make_scene(spec.seed, split, index, spec.size_px)
        name = f'{index:06d}.png'
        Image.fromarray(scene.image).save(root / split / name, compress_level=1)
        images.append({'id': index, 'file_name': name, 'height': spec.size_px, 'width': spec.size_px})
        annotations += scene_to_annotations(scene, image_id=index, first_id=len(annotations) + 1)
    categories = [{'id': number, 'name': name} for number, name in enumerate(CLASSES, start=1)]
    table = {'info': {'description': 'synthetic shapes'}, 'images': images, 'annotations': annotations}
    path = root / 'annotations' / f'{split}.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**table, 'categories': categories}))
