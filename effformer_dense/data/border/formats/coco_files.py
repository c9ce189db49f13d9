"""COCO files of a folder: which pictures their names mean, before they cross the border."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ....errors import UserError
from ...headers import BrokenPictureError, read_header
from ..findings import Findings
from ..numbers import whole
from ..tables import read_table
from ..tree import Tree
from .places import SPLITS, SourceTable, split_named

#: Names that are looked up, and pictures of each folder that are opened.
_SAMPLED, _OPENED = 200, 10


def coco_tables(tree: Tree, files: Mapping[str, str], findings: Findings) -> dict[str, SourceTable]:
    """Tables of every split, with names of pictures relative to the root where the pictures are found so.

    Raises:
        UserError: see :func:`..tables.read_table`; or nobody can tell which of several pictures names mean.
    """
    tables = {}
    for split, file in files.items():
        may_lack = split == 'test' and len(files) > 1  # as COCO's image_info_test2017.json does
        table = {'annotations': [], **read_table(tree.root / file, findings, annotated=not may_lack)}
        folder = _picture_folder(tree, file, split, table)
        if folder:
            table = {**table, 'images': [_below(folder, row) for row in table['images']]}
        tables[split] = SourceTable(table, file)
    return tables


def _picture_folder(tree: Tree, file: str, split: str, table: dict[str, Any]) -> str:
    """Folder from which most names of a file lead to a picture; of several, the one whose pictures have its sizes.

    Raises:
        UserError: several folders, none of them a usual place, have other pictures of these names and sizes.
    """
    images = table['images'][:: max(1, len(table['images']) // _SAMPLED)]
    rows = [row for row in images if isinstance(row, dict) and isinstance(row.get('file_name'), str)]
    usual = _usual_places(file, split)
    present = {folder: set(entries) for folder, entries in tree.files.items()}

    def found(folder: str) -> int:
        paths = (_path(folder, row).rpartition('/') for row in rows)
        return sum(name in present.get(parent, ()) for parent, _, name in paths)

    def fits(folder: str) -> int:
        """Whether a folder is called after this split; -1 after another one, whose pictures may be called alike."""
        named = {split_named(part) for part in folder.split('/')} - {None}
        return 1 if split in named else -1 if named else 0

    def rank(folder: str) -> tuple[int, int]:
        number = found(folder)
        return number, fits(folder) if number else 0

    ranks = {folder: rank(folder) for folder in dict.fromkeys([*usual, *tree.files])}
    best = [folder for folder in ranks if ranks[folder] == max(ranks.values())]
    sample = rows[:: max(1, len(rows) // _OPENED)]
    fitting = [folder for folder in best if len(best) == 1 or _has_sizes(tree.root, folder, sample)] or best
    first, *others = fitting
    if others and first not in usual and not _are_copies(tree.root, first, others, sample):
        raise UserError(
            f'{tree.root / file}: its pictures may be those in {first}, or those in {others[0]}, which have the same '
            f'names and sizes. Leave one of the folders, or write the folder before the names in the file: '
            f'{first}/{rows[0]["file_name"]}.'
        )
    return first


def _usual_places(file: str, split: str) -> list[str]:
    own = PurePosixPath(file).parent.as_posix().removeprefix('.')
    above = PurePosixPath(own).parent.as_posix().removeprefix('.')
    names = SPLITS.get(split, ())
    inner = ['', 'images', *names, *(f'images/{name}' for name in names), *(f'{name}/images' for name in names)]
    return [f'{base}/{part}'.strip('/') for base in dict.fromkeys((own, above, '')) for part in inner]


def _path(folder: str, row: dict[str, Any]) -> str:
    name = row['file_name'].replace('\\', '/')
    return os.path.normpath(f'{folder}/{name}' if folder else name)


def _has_sizes(root: Path, folder: str, rows: list[dict[str, Any]]) -> bool:
    """Whether pictures have the sizes of their records, upright or turned."""
    for row in rows:
        try:
            header = read_header(root / _path(folder, row))
        except (OSError, BrokenPictureError):
            continue
        if None not in (row.get('width'), row.get('height')):
            if sorted((header.width, header.height)) != sorted((whole(row['width']) or 0, whole(row['height']) or 0)):
                return False
    return True


def _are_copies(root: Path, first: str, others: list[str], rows: list[dict[str, Any]]) -> bool:
    """Whether folders hold the same pictures."""
    paths = [(root / _path(first, row), root / _path(other, row)) for other in others for row in rows]
    return all(filecmp.cmp(one, other, shallow=False) for one, other in paths if one.is_file() and other.is_file())


def _below(folder: str, row: Any) -> Any:
    name = row.get('file_name') if isinstance(row, dict) else None
    if not isinstance(name, str) or os.path.isabs(name):
        return row
    return {**row, 'file_name': f'{folder}/{name}'}
