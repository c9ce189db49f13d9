"""Synthetic shapes as a data set of mmdet, which importing this needs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from .coco_layout import ensure_coco_shapes
from .generated import ShapesSpec
from .shapes import CLASSES, PALETTE


@DATASETS.register_module()
class ShapesCocoDataset(CocoDataset):
    """Synthetic shapes in COCO layout, generated under ``data_root`` when they are first read.

    Building a data set with ``lazy_init=True`` writes nothing.

    Args:
        data_root: folder of the data set.
        shapes: fields of :class:`.generated.ShapesSpec`; None for its defaults.
        *args, **kwargs: as for mmdet's ``CocoDataset``.
    """

    METAINFO: ClassVar[dict] = {'classes': CLASSES, 'palette': PALETTE}

    def __init__(self, *args, data_root: str, shapes: dict | None = None, **kwargs) -> None:
        self.shapes = shapes
        super().__init__(*args, data_root=data_root, **kwargs)

    def full_init(self) -> None:
        """Read the annotations, which have to be there by now."""
        self.generate(self.data_root, self.shapes)
        super().full_init()

    @staticmethod
    def generate(data_root: str | Path, shapes: dict | None) -> None:
        """Generate the data set unless it is there.

        Raises:
            UserError: ``shapes`` has a field that does not exist, or ``data_root`` holds foreign files.
        """
        ensure_coco_shapes(data_root, ShapesSpec.from_config(shapes))
