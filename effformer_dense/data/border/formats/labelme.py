"""labelme: one JSON file per picture, with the shapes that were drawn. X-AnyLabeling writes the same.

``imageData``, the picture in the file, is passed over: pictures are read from their own files. So are ``flags``.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import hypot
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from ....errors import UserError
from ....options import MAX_PIXELS
from ..findings import Action, Findings
from ..masks import Polygon, mask_box
from ..numbers import key, numbers, shown, whole
from ..tables import read_json
from ..tree import Tree
from .outlines import boxed, ellipse, outlined
from .places import PictureNames, SourceTable, by_split, empty_table

#: Of a file, most of which is the picture in base64.
_MAX_BYTES = 400_000_000
_OUTLINES = (None, '', 'polygon', 'rotation', 'oriented_rectangle')  # the oldest files name no type
_LINES = ('line', 'linestrip', 'point', 'points')


@dataclass(frozen=True)
class LabelmeSet:
    """JSON files, relative to the folder, per split."""

    splits: dict[str, list[str]]


@dataclass(frozen=True)
class _File:
    """What is kept of a file."""

    name: str
    picture: str
    size: tuple[int | None, int | None]  # width, height
    shapes: list[Any]


def find_labelme(files: Sequence[str]) -> LabelmeSet | None:
    """The splits that the folders of labelme's files name."""
    return LabelmeSet(by_split(files)) if files else None


def labelme_tables(
    tree: Tree, labelme: LabelmeSet, classes: Sequence[str] | None, findings: Findings, max_pixels: int = MAX_PIXELS
) -> dict[str, SourceTable]:
    """Tables of every split.

    Shapes of one label and one ``group_id`` are one object. Lines and points are told and left out, as are pictures
    without a file, which nobody has annotated.

    Args:
        tree: the folder.
        labelme: what was found in it.
        classes: names in order; None for those of the shapes, sorted.
        findings: takes note of what is left out.
        max_pixels: of a picture.
    """
    pictures = PictureNames(tree)
    read = {split: [_read(tree, name, findings) for name in names] for split, names in labelme.splits.items()}
    names = {_label(shape) for files in read.values() for file in files if file for shape in file.shapes}
    known = list(classes) if classes is not None else sorted(name for name in names if name)
    tables, used = {}, set()
    for split, files in read.items():
        table = tables[split] = empty_table(known, 'labelme')
        for file in files:
            picture = None if file is None else _picture_of(file, pictures, findings)
            if file is None or picture is None:
                continue
            used.add(picture)
            image_id = table.add_picture(tree.root, picture, findings, max_pixels)
            if image_id is not None:
                image = table.table['images'][-1]
                _add_objects(file, image, table, known, findings)
                # The border compares the file's size with the picture's, by which alone memory is taken here.
                image.update({side: n for side, n in zip(('width', 'height'), file.size, strict=True) if n})
    _tell_unused(pictures, used, findings)
    return tables


def _read(tree: Tree, name: str, findings: Findings) -> _File | None:
    """A file without its picture; None, and told, if it cannot be read."""
    try:
        content = read_json(tree.root / name, max_bytes=_MAX_BYTES)
    except UserError as error:
        findings.add(Action.DROPPED, 'file unreadable', name, '', str(error))
        return None
    shapes = content.get('shapes') if isinstance(content, dict) else None
    if not isinstance(shapes, list):
        findings.add(Action.DROPPED, 'file unreadable', name, '', 'no list of shapes')
        return None
    picture = content.get('imagePath')
    size = whole(content.get('imageWidth')), whole(content.get('imageHeight'))
    return _File(name, picture if isinstance(picture, str) else '', size, shapes)


def _picture_of(file: _File, pictures: PictureNames, findings: Findings) -> str | None:
    """The picture that a file names, or else the one that is called as the file is."""
    folder, stem = PurePosixPath(file.name).parent.as_posix(), PurePosixPath(file.name).stem
    found = pictures.exact(folder, file.picture)
    if found is not None:
        return found
    found = pictures.of_stem(folder, stem) or pictures.by_end(file.picture)
    if found is None:
        findings.add(Action.DROPPED, 'picture not there', file.name, 'imagePath', f'{shown(file.picture)} is not there')
        return None
    findings.add(
        Action.REPAIRED, 'picture name', file.name, 'imagePath', f'{shown(file.picture)} is not there; {found!r}'
    )
    return found


def _add_objects(
    file: _File, image: dict[str, Any], table: SourceTable, known: Sequence[str], findings: Findings
) -> None:
    for record, label, shapes in _grouped(file.shapes):
        if label not in known:
            what = f'{label!r} is none of the classes' if label else 'a shape without a label'
            findings.add(Action.DROPPED, 'unknown class', file.name, record, what)
            continue
        fields, reason = _fields(shapes, image)
        if fields is None:
            kind = 'shape without area' if shapes[0].get('shape_type') in _LINES else 'shape unreadable'
            findings.add(Action.DROPPED, kind, file.name, record, reason)
        else:
            table.add_object(file.name, record, image['id'], label, **fields)


def _grouped(shapes: list[Any]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Shapes that are one object, with their numbers and label. Lines, points and masks are by themselves."""
    groups: dict[Any, tuple[list[str], str, list[dict[str, Any]]]] = {}  # numbers, label, shapes
    for place, shape in enumerate(shapes, start=1):
        row = shape if isinstance(shape, dict) else {}
        group = key(row.get('group_id'))  # type: ignore[arg-type]
        joins = group is not None and row.get('shape_type') not in (*_LINES, 'mask')
        label = _label(row)
        places, _, members = groups.setdefault((label, group) if joins else place, ([], label, []))
        places.append(str(place))
        members.append(row)
    for places, label, members in groups.values():
        yield f'shape{"s" * (len(members) > 1)} {", ".join(places)}', label, members


def _label(shape: Any) -> str:
    label = shape.get('label') if isinstance(shape, dict) else None
    return label.strip() if isinstance(label, str) else ''


def _fields(shapes: list[dict[str, Any]], image: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Box, area and mask of an object; or None, and why."""
    kinds = [shape.get('shape_type') for shape in shapes]
    if kinds == ['mask']:
        return _mask_fields(shapes[0], image)
    polygons = []
    for shape, kind in zip(shapes, kinds, strict=True):
        polygon = _outline(shape, kind)
        if polygon is None:
            reason = f'{shown(kind)} with points {shown(shape.get("points"))}'
            return None, f'{reason}: polygons, rectangles, circles and masks are objects'
        polygons.append(polygon)
    if kinds == ['rectangle']:
        (left, top, *_), (right, bottom) = polygons[0][:2], polygons[0][4:6]
        return boxed(left, top, right - left, bottom - top), ''
    return outlined(polygons), ''


def _outline(shape: dict[str, Any], kind: Any) -> Polygon | None:
    """Outline of a shape; None if it has none."""
    given = shape.get('points')
    found = [numbers(point, 2) for point in given] if isinstance(given, list) else []
    points = [point for point in found if point is not None]
    if not points or len(points) < len(found):
        return None
    if kind == 'rectangle' and len(points) in (2, 4):
        left, right = min(x for x, _ in points), max(x for x, _ in points)
        top, bottom = min(y for _, y in points), max(y for _, y in points)
        return [left, top, right, top, right, bottom, left, bottom]
    if kind == 'circle' and len(points) == 2:
        (x, y), (rim_x, rim_y) = points
        radius = hypot(rim_x - x, rim_y - y)
        return ellipse(x, y, radius, radius)
    if kind in _OUTLINES and len(points) > 2:
        return [n for point in points for n in point]
    return None


def _mask_fields(shape: dict[str, Any], image: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Of a mask: a PNG in base64, whose left upper corner is the first point."""
    points = shape.get('points')
    corner = numbers(points[0], 2) if isinstance(points, list) and points else None
    width, height = image['width'], image['height']
    try:
        data = base64.b64decode(shape.get('mask') or '', validate=True)
        with Image.open(io.BytesIO(data), formats=('PNG',)) as png:
            if corner is None or png.width > width + 1 or png.height > height + 1:
                return None, 'a mask larger than its picture, or without a place'
            part = np.asarray(png.convert('L')) > 0
    except (OSError, ValueError, TypeError, SyntaxError, binascii.Error) as error:
        return None, f'no mask that can be read ({error})'[:200]
    left, top = round(corner[0]), round(corner[1])
    whole_mask = np.zeros((height, width), bool)
    inside = part[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    if not inside.any():
        return None, 'a mask without a pixel in the picture'
    top, left = max(0, top), max(0, left)
    whole_mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    runs = {'size': [height, width], 'counts': _runs(whole_mask)}
    return {'bbox': mask_box(runs, width, height), 'area': float(inside.sum()), 'segmentation': runs}, ''


def _runs(mask: np.ndarray) -> list[int]:
    """Run lengths of a mask (H, W), column by column, the first of what is not set."""
    flat = np.concatenate([[False], mask.ravel(order='F'), [not mask[-1, -1]]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], ends])).tolist()


def _tell_unused(pictures: PictureNames, used: set[str], findings: Findings) -> None:
    unused = [name for name in pictures.names if name not in used]
    if unused:
        reason = f'{len(unused):,} pictures have no file of labelme: nobody has annotated them, or they show nothing'
        findings.add(Action.DROPPED, 'picture without file', unused[0], '', reason, len(unused))
