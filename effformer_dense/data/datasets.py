"""Data sets for mmdet that make their own data; importing it needs mmdet."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from .coco_layout import ShapesSpec, ensure_shapes
from .shapes import CLASSES, PALETTE


@DATASETS.register_module()
class ShapesCocoDataset(CocoDataset):
    """Synthetic shapes in COCO layout, generated under ``data_root`` on first use.

    Args:
        data_root: folder of the data set.
        shapes: fields of :class:`.coco_layout.ShapesSpec`; None for its defaults.
        *args, **kwargs: as for mmdet's ``CocoDataset``.
    """

    METAINFO: ClassVar[dict] = {'classes': CLASSES, 'palette': PALETTE}

    def __init__(self, *args, data_root: str, shapes: dict | None = None, **kwargs) -> None:
        ensure_shapes(Path(data_root), ShapesSpec(**(shapes or {})))
        super().__init__(*args, data_root=data_root, **kwargs)
