"""YOLO: one text file per picture, a line per object: class, then a box or a polygon in fractions of the sides.

Read here and by no library, line by line: supervision, globox and datumaro stop at the first line that is wrong, and
the first two turn polygons into masks of the whole picture or into boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ....options import MAX_PIXELS
from ..findings import Action, Findings
from ..tree import Tree
from .places import SourceTable, empty_table
from .texts import text_of
from .yolo_layout import NAME_FILES, YoloSet, label_of

#: A box of fractions is only ever a little outside of its picture; one with a number above this is in pixels.
_IN_PIXELS = 2


def yolo_tables(
    tree: Tree, yolo: YoloSet, classes: Sequence[str], findings: Findings, max_pixels: int = MAX_PIXELS
) -> dict[str, SourceTable]:
    """Tables of every split; lines that are no objects are told and left out."""
    tables, used = {}, set()
    if yolo.keypoint_values:
        reason = 'boxes are taken, and the key points that follow them in their lines are not'
        findings.add(Action.DROPPED, 'key points', yolo.source, 'kpt_shape', reason)
    for split, pictures in yolo.splits.items():
        table = tables[split] = empty_table(classes, yolo.source)
        for name in pictures:
            label = label_of(tree, name)
            used.add(label)
            image_id = table.add_picture(tree.root, name, findings, max_pixels, has_size=False)
            if image_id is not None and label is not None:
                _read_labels(tree.root, label, table, yolo.keypoint_values, findings)
    for label in tree.below('', ('.txt',)):
        path = PurePosixPath(label)
        if label not in used and path.name not in NAME_FILES and 'labels' in map(str.lower, path.parts[:-1]):
            findings.add(Action.DROPPED, 'labels without picture', label, '', 'no picture has this name')
    return tables


def _read_labels(root: Path, label: str, table: SourceTable, keypoint_values: int, findings: Findings) -> None:
    image, num_classes = table.table['images'][-1], len(table.table['categories'])
    seen: set[str] = set()
    for number, line in enumerate(text_of(root / label).splitlines(), start=1):
        text, record = line.strip(), f'line {number}'
        if not text:
            continue
        values = _numbers(text)
        if keypoint_values and len(values) == 5 + keypoint_values:
            values = values[:5]
        fault = _fault(text, values, num_classes)
        if fault is None and text in seen:
            fault = 'object twice', f'{text[:60]!r} stands in the file before'
        if fault is not None:
            findings.add(Action.DROPPED, fault[0], label, record, fault[1])
        else:
            if len(values) == 6:
                findings.add(
                    Action.DOUBTFUL, 'prediction', label, record, f'a confidence of {values[5]:g} follows the box'
                )
            if len(values) <= 6 and max(values[1:5]) > _IN_PIXELS:
                findings.add(Action.REPAIRED, 'box in pixels', label, record, f'{text[:60]!r} is taken for pixels')
            table.add_object(label, record, image['id'], int(values[0]) + 1, **_shape(values[1:], image))
        seen.add(text)


def _fault(text: str, values: list[float], num_classes: int) -> tuple[str, str] | None:
    """Why a line is no object: the kind and the reason."""
    if len(values) < 5 or (len(values) > 6 and len(values) % 2 == 0):
        expected = 'a class and 4 numbers, or 3 points and more, are expected; key points need kpt_shape in data.yaml'
        return 'line is no object', f'{text[:60]!r}: {expected}'
    if not 0 <= values[0] < num_classes or values[0] != int(values[0]):
        return 'unknown class', f'class {values[0]:g} of {num_classes}'
    return None


def _shape(values: list[float], image: dict[str, Any]) -> dict[str, Any]:
    """Box, or polygon and its box, in pixels."""
    width, height = image['width'], image['height']
    if len(values) <= 5:  # a fifth number is the confidence of a prediction
        x, y, w, h = values[:4]
        if max(values[:4]) > _IN_PIXELS:
            width = height = 1
        box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
        return {'bbox': box, 'area': box[2] * box[3], 'segmentation': []}
    points = [(x * width, y * height) for x, y in zip(values[0::2], values[1::2], strict=True)]
    (left, top), (right, bottom) = (tuple(side(axis) for axis in zip(*points, strict=True)) for side in (min, max))
    following = [*points[1:], points[0]]
    area = abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, following, strict=True))) / 2
    polygon = [value for point in points for value in point]
    return {'bbox': [left, top, right - left, bottom - top], 'area': area, 'segmentation': [polygon]}


def _numbers(text: str) -> list[float]:
    """None at all if a part is no number."""
    try:
        return [float(part) for part in text.split()]
    except ValueError:
        return []
