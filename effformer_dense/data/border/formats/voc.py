"""Pascal VOC: one XML file per picture. Boxes are taken as written, without shifting them by a pixel, as mmdet does.

Read with defusedxml and by no data set library: supervision and datumaro lose which objects are difficult, globox
refuses a file without a size, and all three stop at the first object that is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ....errors import UserError
from ....options import MAX_PIXELS
from ..findings import Action, Findings
from ..tree import Tree
from .places import PICTURES, SourceTable, by_split, empty_table, split_named

_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
_MAX_XML_BYTES = 50_000_000


@dataclass(frozen=True)
class VocSet:
    """XML files, relative to the folder, per split."""

    splits: dict[str, list[str]]
    source: str


def find_voc(tree: Tree) -> VocSet | None:
    """Recognise Pascal VOC."""
    files = [name for name in tree.below('', ('.xml',)) if _is_voc(tree.root / name)]
    if not files:
        return None
    by_stem = {PurePosixPath(name).stem: name for name in files}
    splits: dict[str, list[str]] = {}
    for folder in tree.files:
        if folder.rpartition('/')[2] == 'Main':
            for listing in tree.names(folder, ('.txt',)):
                split = split_named(PurePosixPath(listing).stem)
                if split is not None:
                    stems = _stems(tree.root / folder / listing)
                    splits[split] = [by_stem[stem] for stem in stems if stem in by_stem]
    if not any(splits.values()):
        splits = by_split(files)
    return VocSet(splits, PurePosixPath(files[0]).parent.as_posix())


def voc_tables(
    tree: Tree, voc: VocSet, classes: Sequence[str] | None, findings: Findings, max_pixels: int = MAX_PIXELS
) -> dict[str, SourceTable]:
    """Tables of every split.

    Args:
        tree: the folder.
        voc: what was found in it.
        classes: names in order; None for those of the objects, sorted.
        findings: takes note of what is left out.
        max_pixels: of a picture.
    """
    pictures = {PurePosixPath(name).stem: name for name in tree.below('', PICTURES)}
    exact = set(tree.below('', PICTURES))
    parsed = {
        split: [(name, _parse(tree.root / name, name, findings)) for name in voc.splits[split]] for split in voc.splits
    }
    names = {
        _word(node, 'name')
        for rows in parsed.values()
        for _, root in rows
        if root is not None
        for node in root.findall('object')
    }
    known = list(classes) if classes is not None else sorted(name for name in names if name)
    tables = {}
    for split, rows in parsed.items():
        table = tables[split] = empty_table(known, voc.source)
        for name, root in rows:
            if root is None:
                continue
            picture = _picture_of(name, _word(root, 'filename'), pictures, exact, findings)
            image_id = None if picture is None else table.add_picture(tree.root, picture, findings, max_pixels)
            if image_id is not None:
                _compare_size(root, name, table.table['images'][-1], findings)
                _read_objects(root, name, image_id, table, findings)
    return tables


def _read_objects(root: Any, file: str, image_id: int, table: SourceTable, findings: Findings) -> None:
    known = {row['name'] for row in table.table['categories']}
    for number, node in enumerate(root.findall('object'), start=1):
        name, record = _word(node, 'name'), f'object {number}'
        box = node.find('bndbox')
        corners = None if box is None else [_number(_word(box, corner)) for corner in _CORNERS]
        if corners is None or None in corners:
            findings.add(Action.DROPPED, 'no box', file, record, f'{name!r} has no bndbox with {", ".join(_CORNERS)}')
        elif name not in known:
            findings.add(Action.DROPPED, 'unknown class', file, record, f'{name!r} is none of the classes')
        else:
            x1, y1, x2, y2 = (float(corner or 0) for corner in corners)
            difficult = _word(node, 'difficult') == '1'
            if difficult:
                findings.add(Action.DOUBTFUL, 'difficult object', file, record, 'neither learned nor scored: iscrowd 1')
            box = [x1, y1, x2 - x1, y2 - y1]
            shape = {'bbox': box, 'area': box[2] * box[3], 'segmentation': [], 'iscrowd': int(difficult)}
            table.add_object(file, record, image_id, name, **shape)


def _picture_of(file: str, filename: str, by_stem: dict[str, str], exact: set[str], findings: Findings) -> str | None:
    """Picture of an XML file: of the same stem; or the one that it names, wherever that lay on another machine."""
    own, named = PurePosixPath(file).stem, PurePosixPath(filename.replace('\\', '/')).name
    if f'{PurePosixPath(file).parent}/{named}' in exact:
        return f'{PurePosixPath(file).parent}/{named}'
    if named and PurePosixPath(named).stem in by_stem:
        return by_stem[PurePosixPath(named).stem]
    if own in by_stem:
        if named:
            findings.add(
                Action.REPAIRED, 'picture name', file, 'filename', f'{filename!r} is not there; {by_stem[own]!r}'
            )
        return by_stem[own]
    findings.add(Action.DROPPED, 'picture not there', file, 'filename', f'neither {named!r} nor {own!r} is a picture')
    return None


def _compare_size(root: Any, file: str, image: dict[str, Any], findings: Findings) -> None:
    """Boxes are in pixels of the picture that was annotated: its size must be that of the picture there is.

    The size in the file goes into the table, where the border compares it.
    """
    width, height = (_number(_word(root, f'size/{side}')) for side in ('width', 'height'))
    if width and height and math.isfinite(width) and math.isfinite(height):
        image['width'], image['height'] = int(width), int(height)
    else:
        findings.add(
            Action.REPAIRED, 'no size', file, 'size', f'{image["width"]} x {image["height"]} px, from the picture'
        )


def _parse(path: Path, file: str, findings: Findings) -> Any:
    """Root of an XML file; None, and told, if it cannot be read."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if path.stat().st_size > _MAX_XML_BYTES:
        findings.add(Action.DROPPED, 'file too large', file, '', f'{path.stat().st_size:,} bytes of XML')
        return None
    try:
        return fromstring(path.read_bytes(), forbid_dtd=True)
    except DefusedXmlException as error:
        raise UserError(f'{path} defines entities, which annotations have no use for: it may be an attack.') from error
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that nobody knows
        findings.add(Action.DROPPED, 'file unreadable', file, '', f'no XML: {error}')
        return None


def _word(node: Any, path: str) -> str:
    return (node.findtext(path) or '').strip()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _stems(listing: Path) -> list[str]:
    lines = listing.read_text(encoding='utf-8-sig', errors='replace').splitlines()
    return [line.strip() for line in lines if line.strip()]


def _is_voc(path: Path) -> bool:
    with path.open('rb') as file:
        return b'<annotation' in file.read(4096)
