"""VIA, the VGG Image Annotator, versions 1 and 2: a project, or the annotations that it exports as JSON.

A region has a shape and attributes, whose names the user chose: one of them must name the class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from ....errors import UserError, some_of
from ....options import MAX_PIXELS
from ..findings import Action, Findings
from ..numbers import number, numbers, shown
from ..tables import read_json
from ..tree import Tree
from .outlines import boxed, ellipse, outlined
from .places import PictureNames, SourceTable, empty_table

_PROJECT = '_via_img_metadata'
#: The class of regions without attributes, where ``--classes`` names one.
_ANY = ''


@dataclass(frozen=True)
class ViaSet:
    """VIA's files, relative to the folder, per split."""

    files: dict[str, str]


@dataclass(frozen=True)
class _Region:
    """A region of a picture, as it stands in the file."""

    record: str
    shape: Mapping[str, Any]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class _Entry:
    """A picture of a file."""

    name: str
    regions: list[_Region]


def via_tables(
    tree: Tree, via: ViaSet, classes: Sequence[str] | None, findings: Findings, max_pixels: int = MAX_PIXELS
) -> dict[str, SourceTable]:
    """Tables of every split.

    Args:
        tree: the folder.
        via: what was found in it.
        classes: names in order; None for those of the regions, sorted.
        findings: takes note of what is left out.
        max_pixels: of a picture.

    Raises:
        UserError: a file cannot be read, or no attribute, or several, may name the class.
    """
    pictures = PictureNames(tree)
    read = {split: _entries(read_json(tree.root / file, findings), file) for split, file in via.files.items()}
    regions = [region for entries in read.values() for entry in entries for region in entry.regions]
    if not regions:
        raise UserError(f'{", ".join(via.files.values())}: no picture has a region.')
    attribute = _class_attribute(regions, classes, ', '.join(via.files.values()))
    names = {_class_of(region, attribute) for region in regions}
    known = list(classes) if classes is not None else sorted(name for name in names if name)
    tables = {}
    for split, entries in read.items():
        file = via.files[split]
        table = tables[split] = empty_table(known, file)
        for entry in entries:
            picture = _picture_of(entry.name, file, pictures, findings)
            image_id = None
            if picture is not None:
                image_id = table.add_picture(tree.root, picture, findings, max_pixels, has_size=False)
            for region in entry.regions if image_id is not None else ():
                name = known[0] if attribute == _ANY else _class_of(region, attribute)
                _add_object(file, region, image_id, name, table, known, findings)
    return tables


def _entries(content: Any, file: str) -> list[_Entry]:
    """Pictures of a project or an export, with their regions.

    Raises:
        UserError: it is neither.
    """
    table = content.get(_PROJECT, content) if isinstance(content, dict) else None
    rows = [row for row in table.values() if isinstance(row, dict)] if isinstance(table, dict) else []
    entries = [_Entry(row['filename'], list(_regions(row))) for row in rows if isinstance(row.get('filename'), str)]
    if not entries:
        raise UserError(
            f'{file} names no pictures. In VIA: Project, Save; or Annotation, Export Annotations (as JSON).'
        )
    return entries


def _regions(row: dict[str, Any]) -> Iterator[_Region]:
    """A list in version 2, a dict by number in version 1."""
    found = row.get('regions')
    regions = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []
    for place, region in enumerate(regions, start=1):
        parts = [region.get(f'{what}_attributes') if isinstance(region, dict) else None for what in ('shape', 'region')]
        shape, attributes = (part if isinstance(part, dict) else {} for part in parts)
        yield _Region(f'{shown(row["filename"])}, region {place}', shape, attributes)


def _class_attribute(regions: Sequence[_Region], classes: Sequence[str] | None, file: str) -> str:
    """The attribute that names the class: the only one, or the only one that all regions have.

    Raises:
        UserError: there is none, or it cannot be told which.
    """
    counts = Counter(name for region in regions for name in region.attributes if _class_of(region, name))
    full = [name for name, number_ in counts.items() if number_ == len(regions)]
    for names in (list(counts), full):
        if len(names) == 1:
            return names[0]
    if counts:
        raise UserError(
            f'{file}: regions have the attributes {some_of(list(counts), 8)}, and which of them names the class cannot '
            'be told. Leave that one, and delete the others in VIA (Attributes, Region Attributes).'
        )
    if classes is not None and len(classes) == 1:
        return _ANY
    raise UserError(
        f'{file}: no region has an attribute, so none has a class. Give them one in VIA (Attributes, Region '
        'Attributes), or name the only class there is: --classes NAME'
    )


def _class_of(region: _Region, attribute: str) -> str:
    """Class of a region: text, the choice of a list, or the one box that is ticked; '' if it has none."""
    value = region.attributes.get(attribute)
    if isinstance(value, dict):
        ticked = [name for name, is_ticked in value.items() if is_ticked in (True, 'true', 1)]
        value = ticked[0] if len(ticked) == 1 else ''
    return str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ''


def _picture_of(name: str, file: str, pictures: PictureNames, findings: Findings) -> str | None:
    """The picture that a file names: by a path, or by a URL."""
    folder = PurePosixPath(file).parent.as_posix()
    found = pictures.exact(folder, name)
    if found is not None:
        return found
    found = pictures.by_end(name) or pictures.by_end(unquote(name.partition('?')[0]))
    if found is None:
        findings.add(Action.DROPPED, 'picture not there', file, shown(name), 'no one picture has this name')
    elif PurePosixPath(name).name != name or found.rpartition('/')[2] != name:
        findings.add(Action.REPAIRED, 'picture name', file, shown(name), f'is not there; {found!r}')
    return found


def _add_object(
    file: str,
    region: _Region,
    image_id: int | None,
    name: str,
    table: SourceTable,
    known: Sequence[str],
    findings: Findings,
) -> None:
    if image_id is None:
        return
    if name not in known:
        what = f'{name!r} is none of the classes' if name else f'no class in {shown(dict(region.attributes))}'
        findings.add(Action.DROPPED, 'unknown class', file, region.record, what)
        return
    fields = _fields(region.shape)
    if fields is None:
        what = f'{shown(dict(region.shape))}: rectangles, polygons, circles and ellipses are objects'
        findings.add(Action.DROPPED, 'region without area', file, region.record, what)
        return
    if region.shape.get('name') == 'polyline':
        reason = 'a line of several points is taken for an outline, from its end to its start'
        findings.add(Action.DOUBTFUL, 'polyline', file, region.record, reason)
    table.add_object(file, region.record, image_id, name, **fields)


def _fields(shape: Mapping[str, Any]) -> dict[str, Any] | None:
    """Box, area and mask of a region; None for one without area, or not of numbers."""
    kind = shape.get('name')
    if kind == 'rect':
        box = numbers([shape.get(side) for side in ('x', 'y', 'width', 'height')])
        return None if box is None else boxed(*box)
    if kind in ('polygon', 'polyline'):
        across, down = numbers(shape.get('all_points_x')), numbers(shape.get('all_points_y'))
        if across is None or down is None or len(across) != len(down) or len(across) < 3:
            return None
        return outlined([[n for point in zip(across, down, strict=True) for n in point]])
    if kind in ('circle', 'ellipse'):
        radii = ('r', 'r') if kind == 'circle' else ('rx', 'ry')
        found = numbers([shape.get(side) for side in ('cx', 'cy', *radii)])
        radians = number(shape.get('theta', 0))
        if found is None or radians is None:
            return None
        x, y, radius_x, radius_y = found
        return outlined([ellipse(x, y, radius_x, radius_y, radians)])
    return None
