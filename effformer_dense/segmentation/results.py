"""What inference writes for a segmented picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..data.labels import first_label_of, to_file_labels
from ..files import write_png
from .draw import colour_map, overlay, with_legend


def write_segmentation(
    out_dir: Path, name: Path, image: np.ndarray, labels: np.ndarray, dataset_meta: dict[str, Any]
) -> None:
    """Write ``pictures/NAME`` (colours over the picture), ``maps/NAME`` (colours with a legend) and ``labels/NAME``.

    Labels have the numbers that the annotation files of the data set have; pictures and labels have the picture's own
    size, and so has the left part of the map, to the right of which is the legend.

    Args:
        out_dir: parent of the three folders.
        name: relative path, PNG.
        image: (H, W, 3) uint8, RGB.
        labels: (H, W) uint8, class indices.
        dataset_meta: with ``classes`` and ``palette``.
    """
    classes, palette = dataset_meta['classes'], dataset_meta['palette']
    write_png(out_dir / 'pictures' / name, overlay(image, labels, palette))
    write_png(out_dir / 'maps' / name, with_legend(colour_map(labels, palette), labels, classes, palette))
    write_png(out_dir / 'labels' / name, to_file_labels(labels, first_label_of(dataset_meta)))
