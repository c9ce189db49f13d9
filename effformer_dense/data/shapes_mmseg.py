"""Synthetic shapes as a data set of mmsegmentation, which importing this needs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from .ade_layout import SEGMENTATION_CLASSES, SEGMENTATION_PALETTE, ensure_ade_shapes
from .generated import ShapesSpec


@DATASETS.register_module()
class ShapesSegDataset(BaseSegDataset):
    """Synthetic shapes in ADE20K layout, generated under ``data_root`` when they are first read.

    Building a data set with ``lazy_init=True`` writes nothing.

    Args:
        data_root: folder of the data set.
        shapes: fields of :class:`.generated.ShapesSpec`; None for its defaults.
        reduce_zero_label: labels in the files begin at 1, as in ADE20K.
        *args, **kwargs: as for mmsegmentation's ``BaseSegDataset``.
    """

    METAINFO: ClassVar[dict] = {'classes': SEGMENTATION_CLASSES, 'palette': SEGMENTATION_PALETTE}

    def __init__(
        self, *args, data_root: str, shapes: dict | None = None, reduce_zero_label: bool = True, **kwargs
    ) -> None:
        self.shapes = shapes
        super().__init__(*args, data_root=data_root, reduce_zero_label=reduce_zero_label, **kwargs)

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
        ensure_ade_shapes(data_root, ShapesSpec.from_config(shapes))
