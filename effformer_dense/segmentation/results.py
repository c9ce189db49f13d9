"""What inference writes for a segmented picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..data.segmentation_maps import to_segmentation_map
from ..drawing import distinct_colours
from ..errors import UserError
from ..files import write_png
from .draw import colour_map, overlay, with_legend


def drawable(dataset_meta: dict[str, Any], num_classes: int) -> dict[str, Any]:
    """``dataset_meta`` with a name and a colour for every class that the model predicts.

    Args:
        dataset_meta: of a checkpoint or a config; without a palette, colours are made.
        num_classes: that the model predicts; 1 for object or not.

    Raises:
        UserError: fewer names or colours than classes.
    """
    needed = max(num_classes, 2)
    classes, palette = dataset_meta.get('classes') or (), dataset_meta.get('palette') or distinct_colours(needed)
    for what, there in (('classes', classes), ('palette', palette)):
        if len(there) < needed:
            raise UserError(
                f'{what} has {len(there)} entries, and the model predicts {needed} classes. Set metainfo.{what} of '
                'the test data set, or use the config that the checkpoint was trained with.'
            )
    return {**dataset_meta, 'classes': classes, 'palette': palette}


def write_segmentation(
    out_dir: Path, name: Path, image: np.ndarray, seg_map: np.ndarray, dataset_meta: dict[str, Any]
) -> None:
    """Write ``pictures/NAME`` (colours over the picture), ``colour_maps/NAME`` (with a legend) and
    ``segmentation_maps/NAME``.

    Segmentation maps are numbered as the annotations of the data set are; they and the pictures have the picture's own
    size, and so has the left part of the map, to the right of which is the legend.

    Args:
        out_dir: parent of the three folders.
        name: relative path, PNG.
        image: (H, W, 3) uint8, RGB.
        seg_map: (H, W) uint8, class indices.
        dataset_meta: with ``classes`` and ``palette``.
    """
    classes, palette = dataset_meta['classes'], dataset_meta['palette']
    write_png(out_dir / 'pictures' / name, overlay(image, seg_map, palette))
    write_png(out_dir / 'colour_maps' / name, with_legend(colour_map(seg_map, palette), seg_map, classes, palette))
    write_png(out_dir / 'segmentation_maps' / name, to_segmentation_map(seg_map, dataset_meta))
