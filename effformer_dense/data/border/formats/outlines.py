"""Fields of an object from what was drawn: polygons, rectangles, circles and ellipses."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin
from typing import Any

from ..masks import Polygon, mask_area

#: Corners of a polygon that stands for an ellipse; its area is 0.2 % short.
_CORNERS = 64


def outlined(polygons: Sequence[Polygon]) -> dict[str, Any]:
    """Box, area and mask of an object of one or several polygons, each of x and y in turn."""
    across, down = ([number for polygon in polygons for number in polygon[axis::2]] for axis in (0, 1))
    box = [min(across), min(down), max(across) - min(across), max(down) - min(down)]
    return {'bbox': box, 'area': mask_area(list(polygons), 0, 0), 'segmentation': list(polygons)}


def boxed(left: float, top: float, width: float, height: float) -> dict[str, Any]:
    """The same of an object of which only a box was drawn."""
    return {'bbox': [left, top, width, height], 'area': width * height, 'segmentation': []}


def ellipse(x: float, y: float, radius_x: float, radius_y: float, radians: float = 0.0) -> Polygon:
    """Outline of an ellipse around (x, y), turned clockwise as the picture is seen."""
    polygon: Polygon = []
    for corner in range(_CORNERS):
        along, across = radius_x * cos(2 * pi * corner / _CORNERS), radius_y * sin(2 * pi * corner / _CORNERS)
        polygon.append(x + along * cos(radians) - across * sin(radians))
        polygon.append(y + along * sin(radians) + across * cos(radians))
    return polygon
