"""Data sets for mmdet that make their own data; importing it needs mmdet."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import ClassVar

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from ..variants import choice_error
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
        self.prepare(data_root, shapes)
        super().__init__(*args, data_root=data_root, **kwargs)

    @staticmethod
    def prepare(data_root: str, shapes: dict | None) -> None:
        """Generate the data set unless it is there.

        Raises:
            ValueError: ``shapes`` has a field that does not exist, or ``data_root`` holds foreign files.
        """
        known = [field.name for field in fields(ShapesSpec)]
        for key in shapes or ():
            if key not in known:
                raise choice_error('Field of shapes', key, known)
        ensure_shapes(Path(data_root), ShapesSpec(**(shapes or {})))
