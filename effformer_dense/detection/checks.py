"""Checks of COCO annotation files: readable, with the config's classes, and with all their pictures present."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data.pictures import truncation
from ..errors import UserError, some_of

#: How many pictures of a data set are opened; of all, only name and size are looked at.
_OPENED_PICTURES = 200


def check_annotations(path: Path, classes: Sequence[str] | None, pictures: Path | None) -> None:
    """Check that an annotation file is usable.

    Args:
        path: the file.
        classes: that it must have among its categories.
        pictures: folder of the pictures that it names; None if nobody knows.

    Raises:
        UserError: see :func:`read_annotations` and :func:`check_pictures`; or a class is missing.
    """
    table = read_annotations(path)
    _check_categories(path, table, classes)
    if pictures is not None:
        check_pictures(path, table, pictures)


def read_annotations(path: Path) -> dict[str, Any]:
    """Read a COCO annotation file.

    Raises:
        UserError: no JSON, or not the tables of an instance annotation file.
    """
    try:
        table = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f'{path} is no JSON: {error}. Unpack or download the annotations again.') from error
    wanted = ('images', 'annotations', 'categories')
    absent = [key for key in wanted if not isinstance(table, dict) or not isinstance(table.get(key), list)]
    if absent:
        raise UserError(
            f'{path} has no list {", ".join(absent)}: COCO instance annotations have {", ".join(wanted)}. '
            'Is it another file, captions or keypoints, say?'
        )
    for key, field in (('images', 'file_name'), ('annotations', 'image_id'), ('categories', 'name')):
        bad = next((row for row in table[key] if not isinstance(row, dict) or field not in row), None)
        if bad is not None:
            raise UserError(f'{path}: an entry of {key} has no {field}: {str(bad)[:80]}')
    return table


def check_pictures(annotation: Path, table: dict[str, Any], folder: Path) -> None:
    """Check that all pictures named by a COCO file exist, and decode a sample of them.

    Args:
        annotation: the file, named in errors.
        table: what it holds.
        folder: of the pictures.

    Raises:
        UserError: it names none, or one that is missing, empty or truncated.
    """
    names = [image['file_name'] for image in table['images']]
    if not names:
        raise UserError(f'{annotation} lists no pictures.')
    present = _file_sizes(folder, nested=any('/' in name for name in names))
    absent = [name for name in names if name not in present]
    if absent:
        raise UserError(
            f'{annotation} names {len(names)} pictures, {len(absent)} of them are not in {folder}: '
            f'{some_of(absent, 3)}. Complete the folder, or cut the annotations.'
        )
    opened = set(names[:: max(1, len(names) // _OPENED_PICTURES)])
    for name in names:
        reason = 'the file is empty' if present[name] == 0 else None
        if reason is None and name in opened:
            reason = truncation((folder / name).read_bytes())
        if reason:
            raise UserError(f'{folder / name}: {reason}. Download it again.')


def _check_categories(annotation: Path, table: dict[str, Any], classes: Sequence[str] | None) -> None:
    names = {category['name'] for category in table['categories']}
    absent = [name for name in classes or () if name not in names]
    if absent:
        raise UserError(
            f'{annotation} has no category {some_of(absent, 5)} '
            f'({len(absent)} of {len(classes or ())} classes are missing); its categories are '
            f'{", ".join(sorted(map(str, names))[:10])}. '
            'Set metainfo.classes of the data set and num_classes of the heads.'
        )
    order = list(dict.fromkeys(str(category['name']) for category in table['categories']))
    order = [name for name in order if name in (classes or ())]
    if order != list(classes or order):
        raise UserError(
            f'{annotation} has its categories in the order {some_of(order, 5)}, and metainfo.classes is in the order '
            f'{some_of(classes or (), 5)}. mmdet numbers classes as the file does, so names, scores and other files '
            "would be mixed up. Write metainfo.classes in the file's order; or let prepare-data own bring all files "
            'to one order.'
        )


def _file_sizes(folder: Path, nested: bool) -> dict[str, int]:
    if nested:
        return {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob('*') if p.is_file()}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
