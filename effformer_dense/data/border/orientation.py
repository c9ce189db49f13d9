"""Turning annotations with their picture: EXIF orientations that swap width and height.

Cameras store a portrait picture lying down and say so in EXIF. Decoders turn it, some annotation tools do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..coco_layout import run_lengths

#: EXIF orientations that swap width and height (TIFF 6.0, tag 274): transposed, and turned by 90 degrees either way.
SWAPPING = (5, 6, 7, 8)
#: What undoes each.
INVERSE = {5: 5, 6: 8, 7: 7, 8: 6}


@dataclass(frozen=True)
class Turn:
    """What brings coordinates of a picture as an annotation tool saw it to the picture as it is decoded.

    Attributes:
        orientation: EXIF's number for it, one of :data:`SWAPPING`.
        width, height: of the picture as the tool saw it.
    """

    orientation: int
    width: int
    height: int

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a point comes to lie."""
        across = self.height - y if self.orientation in (6, 7) else y
        down = self.width - x if self.orientation in (7, 8) else x
        return across, down

    def box(self, box: list[float]) -> list[float]:
        """Where a box (x, y, width, height) comes to lie."""
        x, y, width, height = box
        x1, y1 = self.point(x, y)
        x2, y2 = self.point(x + width, y + height)
        return [min(x1, x2), min(y1, y2), height, width]

    def polygon(self, polygon: list[float]) -> list[float]:
        """Where a polygon (x1, y1, x2, y2, ...) comes to lie."""
        points = zip(polygon[::2], polygon[1::2], strict=True)
        return [number for x, y in points for number in self.point(x, y)]

    def runs(self, runs: list[int]) -> list[int]:
        """Run lengths of the turned mask."""
        values = np.arange(len(runs)) % 2 == 1
        mask = np.repeat(values, runs).reshape(self.width, self.height).T  # column by column -> (height, width)
        turned = {5: mask.T, 6: np.rot90(mask, -1), 7: np.rot90(mask, 2).T, 8: np.rot90(mask)}[self.orientation]
        return run_lengths(turned)
