"""A small COCO table with real pictures, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from effformer_dense.data.border.coco import clean_coco
from effformer_dense.data.border.findings import Action, Findings

Table = dict[str, Any]
WIDTH, HEIGHT = 64, 48
#: A mask of 10 x 6 px at (20, 10): columns of 48 pixels.
RUNS = [20 * HEIGHT + 10, *[6, HEIGHT - 6] * 9, 6, 34 * HEIGHT + HEIGHT - 16]


def square(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def table() -> Table:
    """Two pictures with objects and one without; a polygon, run lengths and a box; canonical but for its ids' gaps."""
    return {
        'info': {},
        'licenses': [],
        'images': [
            {'id': 3, 'file_name': 'a.png', 'width': WIDTH, 'height': HEIGHT},
            {'id': 5, 'file_name': 'sub/b.png', 'width': WIDTH, 'height': HEIGHT},
            {'id': 8, 'file_name': 'c.png', 'width': WIDTH, 'height': HEIGHT},
        ],
        'annotations': [
            _object(1, 3, 1, [10, 10, 20, 12], 240, [square(10, 10, 20, 12)]),
            _object(2, 3, 2, [20, 10, 10, 6], 60, {'size': [HEIGHT, WIDTH], 'counts': list(RUNS)}),
            _object(4, 5, 2, [1.5, 2.5, 30, 20], 600, []),
        ],
        'categories': [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}],
    }


def _object(number: int, image: int, category: int, box: list[float], area: float, mask: Any) -> dict[str, Any]:
    return {
        'id': number,
        'image_id': image,
        'category_id': category,
        'bbox': box,
        'area': area,
        'iscrowd': 0,
        'segmentation': mask,
    }


def save(path: Path, width: int = WIDTH, height: int = HEIGHT, orientation: int | None = None) -> Path:
    """Write a picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image.save(path, exif=exif)
    return path


def make_pictures(root: Path) -> Path:
    """The pictures of :func:`table`."""
    for name in ('a.png', 'sub/b.png', 'c.png'):
        save(root / name)
    return root


def clean(spoilt: Table, pictures: Path | None, **options: Any) -> tuple[Table, Findings]:
    findings = Findings()
    return clean_coco(spoilt, file='train.json', pictures=pictures, findings=findings, **options), findings


def kinds(findings: Findings, action: Action) -> dict[str, int]:
    """How many findings of each kind."""
    return {kind: number for (its_action, kind), number in findings._counts.items() if its_action is action}


Spoil = Callable[[Table], None]
