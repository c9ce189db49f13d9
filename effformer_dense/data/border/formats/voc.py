"""Pascal VOC: one XML file per picture. Boxes are taken as written; mmdet's own reader shifts them by a pixel.

Read with defusedxml and by no data set library: supervision and datumaro lose which objects are difficult, globox
refuses a file without a size, and all three stop at the first object that is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ....errors import UserError
from ....options import MAX_PIXELS
from ..findings import Action, Findings
from ..tree import Tree
from .places import PictureNames, SourceTable, by_split, empty_table
from .split_lists import listed_splits

_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
_MAX_XML_BYTES = 50_000_000
#: How folders of pictures and of XML files are called, in lower case.
_KINDS = frozenset('annotations annotation annots labels xml xmls jpegimages images image img imgs'.split())


@dataclass(frozen=True)
class VocSet:
    """XML files, relative to the folder, per split."""

    splits: dict[str, list[str]]
    source: str


def find_voc(tree: Tree, findings: Findings) -> VocSet | None:
    """Recognise Pascal VOC."""
    files = [name for name in tree.below('', ('.xml',)) if _is_voc(tree.root / name)]
    if not files:
        return None
    splits = listed_splits(tree, 'Main', {_key(name): name for name in files}, _key, findings) or by_split(files)
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
    pictures = _Pictures(tree)
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
            picture = pictures.of(name, _word(root, 'filename'), findings)
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


class _Pictures:
    """The pictures of a folder, by what their names have in common with those of XML files."""

    def __init__(self, tree: Tree) -> None:
        self._names = PictureNames(tree)
        self._by_key = {_key(name): name for name in self._names.names}
        self._by_stem: dict[str, list[str]] = {}
        for name in self._names.names:
            self._by_stem.setdefault(PurePosixPath(name).stem, []).append(name)
            self._by_key.setdefault((*_key(name)[:-1], PurePosixPath(name).name), name)

    def of(self, file: str, filename: str, findings: Findings) -> str | None:
        """Picture of an XML file: of the same stem and, if there are several, as it names it; else the one it names."""
        path, named = PurePosixPath(file), PurePosixPath(filename.replace('\\', '/')).name
        own = self._of_stem(path, path.stem, named)
        other = self._of_stem(path, PurePosixPath(named).stem, named) if named else None
        found = own or other
        if found is None:
            several = max((self._by_stem.get(stem, []) for stem in (path.stem, PurePosixPath(named).stem)), key=len)
            reason = f'neither {named!r} nor {path.stem!r} is a picture'
            if several:
                reason = f'{len(several)} pictures have this name, such as {several[0]} and {several[1]}'
            findings.add(Action.DROPPED, 'picture not there', file, 'filename', reason)
        elif own is not None and named and PurePosixPath(named).stem != path.stem:
            there = f'is another picture, {other}' if other is not None else 'is not there'
            action = Action.REPAIRED if other is None else Action.DOUBTFUL
            findings.add(action, 'picture name', file, 'filename', f'{filename!r} {there}; {own!r} is taken')
        return found

    def _of_stem(self, file: PurePosixPath, stem: str, named: str) -> str | None:
        """The picture of a stem: named so with its suffix, or not; beside the file, in a folder alike, or the only one.

        Masks often have the stems of pictures, in folders of any name.
        """
        key = _key(str(file.with_name(f'{stem}.xml')))
        if named and PurePosixPath(named).stem == stem:
            exact = self._names.exact(str(file.parent), named) if file.parent.name else None
            whole = exact or self._by_key.get((*key[:-1], named)) or self._names.by_end(named)
            if whole is not None:
                return whole
        everywhere = self._by_stem.get(stem, [])
        beside = self._names.of_stem(str(file.parent), stem)
        return beside or self._by_key.get(key) or (everywhere[0] if len(everywhere) == 1 else None)


def _key(name: str) -> tuple[str, ...]:
    """Folders without those that say what is in them, and the stem."""
    path = PurePosixPath(name)
    return (*(part for part in path.parts[:-1] if part.lower() not in _KINDS), path.stem)


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


def _is_voc(path: Path) -> bool:
    with path.open('rb') as file:
        return re.search(rb'<annotation[\s>]', file.read(4096)) is not None  # <annotations> is CVAT's own
