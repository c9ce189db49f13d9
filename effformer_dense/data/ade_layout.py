"""Writing generated scenes as a semantic segmentation data set in the layout of ADE20K's SceneParsing release, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .generated import ShapesSpec, ensure_generated
from .shapes import CLASSES, PALETTE, Scene, make_scene

#: What a pixel can be: no shape at all, or one of them. Segmentation maps hold 1, 2, 3, ... in this order.
SEGMENTATION_CLASSES = ('ground', *CLASSES)
SEGMENTATION_PALETTE = [(128, 128, 128), *PALETTE]


def ensure_ade_shapes(root: str | Path, spec: ShapesSpec) -> Path:
    """Make the data set of ``spec`` in ADE20K layout under ``root`` unless it is there already.

    Layout: ``root/images/SPLIT/000000.jpg`` and ``root/annotations/SPLIT/000000.png``, one channel of labels from 1
    upwards (0, in ADE20K the unlabelled pixels, does not occur). See :func:`.generated.ensure_generated`.
    """
    return ensure_generated(Path(root), spec, 'ade20k', _write_split)


def scene_to_labels(scene: Scene) -> np.ndarray:
    """(H, W) uint8: 1 for ground, from 2 upwards the shapes."""
    labels = np.ones(scene.image.shape[:2], np.uint8)
    for mask, label in zip(scene.masks, scene.labels, strict=True):
        labels[mask] = label + 2
    return labels


def _write_split(root: Path, split: str, count: int, spec: ShapesSpec) -> None:
    pictures, annotations = root / 'images' / split, root / 'annotations' / split
    for folder in (pictures, annotations):
        folder.mkdir(parents=True)
    for index in range(count):
        scene = make_scene(spec.seed, split, index, spec.size_px)
        Image.fromarray(scene.image).save(pictures / f'{index:06d}.jpg', quality=95)
        Image.fromarray(scene_to_labels(scene)).save(annotations / f'{index:06d}.png', compress_level=1)
