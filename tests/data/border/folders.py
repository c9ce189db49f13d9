"""Folders as annotation tools export them, made of noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from effformer_dense.data.border.formats.places import SourceTable


def write_picture(path: Path, width: int = 100, height: int = 60, seed: int = 0, orientation: int = 1) -> None:
    """Noise, of which each seed gives another picture to look at."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {'exif': exif} if orientation > 1 else {}
    Image.fromarray(coarse).resize((width, height)).save(path, format=None if path.suffix else 'JPEG', **options)


def write_map(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def write_yolo(root: Path, labels: Mapping[str, str | None], yaml: str | None = None) -> None:
    """Pictures below images/train and their labels below labels/train; None for a picture without a label file."""
    for seed, (name, text) in enumerate(labels.items()):
        write_picture(root / 'images' / 'train' / name, seed=seed)
        if text is not None:
            write_text(root / 'labels' / 'train' / f'{Path(name).stem}.txt', text)
    if yaml is not None:
        write_text(root / 'data.yaml', yaml)


def objects_of(source: SourceTable) -> list[dict[str, Any]]:
    """Annotations, with the names of their classes as ``category``."""
    names = {row['id']: row['name'] for row in source.table['categories']}
    return [{**row, 'category': names[row['category_id']]} for row in source.table['annotations']]
