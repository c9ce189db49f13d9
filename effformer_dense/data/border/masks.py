"""Masks of objects: polygons inside their picture, or run lengths that fill it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import isfinite
from operator import mul
from typing import Any

from pycocotools import mask as coco_mask

from .numbers import are_plain, are_typed, numbers, shown
from .orientation import Turn
from .run_lengths import box_of_runs, joined, read_runs

Polygon = list[int | float]
Mask = list[Polygon] | dict[str, Any]
#: Kind of a finding, and what was found and done.
Note = tuple[str, str]

#: So far outside a picture a coordinate may lie without a note: exporters round.
ROUNDING_PX = 0.5
#: Polygons of less area are drawn to see whether any pixel of them is left.
_SMALL_PX2 = 4.0


def clean_mask(value: Any, width: int, height: int, turn: Turn | None = None) -> tuple[Mask | None, Note | None]:
    """A mask on which pycocotools and mmdet agree.

    Args:
        value: ``segmentation`` of an annotation.
        width, height: of the decoded picture.
        turn: what brings the value to the decoded picture.

    Returns:
        The mask, None if there is none; and what was done, None if nothing was.
    """
    if not value:
        return None, None
    if isinstance(value, dict):
        return _clean_runs(value, width, height, turn)
    if not isinstance(value, list):
        return None, ('mask unreadable', shown(value))
    if all(isinstance(part, dict) for part in value):
        return _merged_runs(value, width, height, turn)
    if turn is None and all(map(_is_clean, value, [width] * len(value), [height] * len(value))):
        return value, None
    return _clean_polygons(value, width, height, turn)


def pixel_polygons(value: Any, width: int, height: int) -> Any:
    """``segmentation`` in pixels, where its polygons are fractions of the picture; anything else as it is."""
    parts = _parts(value)[0] if isinstance(value, list) and value else []
    if not parts or not all(isinstance(part, list) and are_plain(part) for part in parts):
        return value
    if any(part and (min(part) < 0 or max(part) > 1) for part in parts):
        return value
    return [[n * (height if place % 2 else width) for place, n in enumerate(part)] for part in parts]


def _is_clean(polygon: Any, width: int, height: int) -> bool:
    """The usual case, decided by few passes that run in C: COCO has 40 million coordinates."""
    if type(polygon) is not list or len(polygon) < 6 or len(polygon) % 2 or not are_typed(polygon):
        return False
    across, down = polygon[::2], polygon[1::2]
    if not (min(across) >= 0 and min(down) >= 0 and max(across) <= width and max(down) <= height):
        return False
    area = _area(across, down)  # NaN hides from min and max, and shows here
    return area >= _SMALL_PX2 or (isfinite(area) and _draws(polygon, width, height))


def _area(across: Polygon, down: Polygon) -> float:
    """Area of a polygon, Gauss's formula."""
    ahead = sum(map(mul, across, down[1:] + down[:1])) - sum(map(mul, down, across[1:] + across[:1]))
    return abs(ahead) / 2


def _draws(polygon: Polygon, width: int, height: int) -> bool:
    """Whether pycocotools sets a pixel for it. Coordinates must be finite and inside the picture."""
    return bool(coco_mask.area(coco_mask.frPyObjects([polygon], height, width))[0])


def _clean_polygons(
    value: list[Any], width: int, height: int, turn: Turn | None
) -> tuple[list[Polygon] | None, Note | None]:
    kept: list[Polygon] = []
    reasons: dict[str, str] = {}
    parts, odd_form = _parts(value)
    if odd_form:
        reasons['mask form'] = odd_form
    for part in parts:
        polygon = numbers(part)
        if not part:
            continue
        if polygon is None:
            reasons['mask not of numbers'] = f'a polygon is dropped: {shown(part)}'
            continue
        if len(polygon) < 6 or len(polygon) % 2:
            reasons['mask of too few points'] = f'a polygon of {len(polygon)} numbers is dropped'
            continue
        if turn is not None:
            polygon = turn.polygon(polygon)
        inside, far = _clipped(polygon, width, height)
        if far > ROUNDING_PX:
            reasons['mask outside'] = f'clipped, up to {far:.1f} px outside {width} x {height} px'
        if _is_clean(inside, width, height):
            kept.append(inside)
        else:
            reasons['mask without pixels'] = 'a polygon without area in the picture is dropped'
    if not reasons:
        return kept or None, None
    return kept or None, (next(iter(reasons)), '; '.join(reasons.values()))


def _parts(value: list[Any]) -> tuple[list[Any], str | None]:
    """Lists of coordinates out of what tools write for them, and what is odd about that."""
    if not any(isinstance(part, list) for part in value):
        return [value], 'one flat list, now a list of polygons'
    if _are_points(value):
        return [[number for point in value for number in point]], 'a list of points, now coordinates in turn'
    if any(_are_points(part) for part in value):
        parts = [[n for point in part for n in point] if _are_points(part) else part for part in value]
        return parts, 'lists of points, now coordinates in turn'
    return value, None


def _are_points(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 2 and all(isinstance(p, list) and len(p) == 2 for p in value)


def _clipped(polygon: Polygon, width: int, height: int) -> tuple[Polygon, float]:
    """The part of a polygon in the picture (Sutherland and Hodgman), and how far it led out."""
    across, down = polygon[::2], polygon[1::2]
    far = max(-min(across), -min(down), max(across) - width, max(down) - height)
    if far <= 0:
        return polygon, 0.0
    points = list(zip(across, down, strict=True))
    for axis, bound, sign in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        points = list(_cut(points, axis, bound, sign)) if points else []
    # Where edges were cut, rounding may leave a coordinate a hair outside.
    inside = [n for x, y in points for n in (min(max(x, 0), width), min(max(y, 0), height))]
    return inside, far


def _cut(points: list[tuple[float, float]], axis: int, bound: float, sign: int) -> Iterator[tuple[float, float]]:
    """The part of a polygon on one side of a line."""
    for start, end in pairwise([points[-1], *points]):
        start_in, end_in = (sign * (point[axis] - bound) >= 0 for point in (start, end))
        if start_in != end_in:
            share = (bound - start[axis]) / (end[axis] - start[axis])
            other = start[1 - axis] + share * (end[1 - axis] - start[1 - axis])
            yield (bound, other) if axis == 0 else (other, bound)
        if end_in:
            yield end


def _clean_runs(value: dict[str, Any], width: int, height: int, turn: Turn | None) -> tuple[Mask | None, Note | None]:
    runs, reason = _runs(value, width, height, turn)
    if runs is None:
        return None, reason
    if not sum(runs[1::2]):
        return None, ('mask without pixels', 'no pixel is set; dropped')
    counts = value['counts']
    if reason is None and (isinstance(counts, str) or (counts == runs and are_plain(counts))):
        return {'size': [height, width], 'counts': counts}, None
    return {'size': [height, width], 'counts': runs}, reason or ('mask form', 'run lengths written anew')


def _runs(value: dict[str, Any], width: int, height: int, turn: Turn | None) -> tuple[list[int] | None, Note | None]:
    """Run lengths in the decoded picture; None, and why, if they are not those of such a picture."""
    size = numbers(value.get('size'), 2)
    wanted = [height, width] if turn is None else [turn.height, turn.width]
    runs = read_runs(value.get('counts'), width * height)
    if size is not None and size != wanted:
        given = f'{shown(size[1])} x {shown(size[0])} px'
        return None, ('mask of another size', f'{given}, the picture has {width} x {height} px; dropped')
    if runs is None:
        return None, (
            'mask corrupt',
            f'{shown(value.get("counts"))} are no run lengths of {width} x {height} px; dropped',
        )
    if turn is not None:
        return turn.runs(runs), ('mask turned', 'with its picture')
    counts, whole_runs = value['counts'], joined(runs)
    plain = size is not None and are_plain(value['size']) and whole_runs is runs and counts[:2] not in ("b'", 'b"')
    return whole_runs, None if plain else ('mask form', 'size or counts written anew')


def _merged_runs(value: list[Any], width: int, height: int, turn: Turn | None) -> tuple[Mask | None, Note | None]:
    """Several masks of one object become one."""
    masks = [_runs(part, width, height, turn) for part in value]
    whole = [{'size': [height, width], 'counts': runs} for runs, _ in masks if runs is not None]
    if not whole:
        return None, masks[0][1]
    merged = coco_mask.merge(coco_mask.frPyObjects(whole, height, width))
    runs = read_runs(merged['counts'].decode('ascii'), width * height)
    if runs is None or not sum(runs[1::2]):
        return None, ('mask without pixels', 'no pixel is set; dropped')
    return {'size': [height, width], 'counts': runs}, ('mask form', f'{len(value)} run-length masks joined')


def mask_area(mask: Mask, width: int, height: int) -> float:
    """Area of a clean mask in square pixels."""
    if isinstance(mask, dict):
        return float(sum((read_runs(mask['counts'], width * height) or [])[1::2]))
    return float(sum(_area(part[::2], part[1::2]) for part in mask))


def mask_box(mask: Mask, width: int, height: int) -> list[float]:
    """Box (x, y, width, height) around a clean mask."""
    if isinstance(mask, dict):
        return list(map(float, box_of_runs(read_runs(mask['counts'], width * height) or [], height)))
    left, right = min(min(part[::2]) for part in mask), max(max(part[::2]) for part in mask)
    top, bottom = min(min(part[1::2]) for part in mask), max(max(part[1::2]) for part in mask)
    return [left, top, right - left, bottom - top]
