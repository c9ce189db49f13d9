"""COCO files of a folder: which pictures their names mean, before they cross the border."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ..findings import Findings
from ..tables import read_table
from ..tree import Tree
from .places import SPLITS, SourceTable, split_named

_SAMPLED = 200


def coco_tables(tree: Tree, files: Mapping[str, str], findings: Findings) -> dict[str, SourceTable]:
    """Tables of every split, with names of pictures relative to the root where the pictures are found so.

    Raises:
        UserError: see :func:`..tables.read_table`.
    """
    tables = {}
    for split, file in files.items():
        table = read_table(tree.root / file, findings)
        folder = _picture_folder(tree, file, split, table)
        if folder:
            table = {**table, 'images': [_below(folder, row) for row in table['images']]}
        tables[split] = SourceTable(table, file)
    return tables


def _picture_folder(tree: Tree, file: str, split: str, table: dict[str, Any]) -> str:
    """Folder from which most names of a file lead to a picture; the usual places first."""
    images = table['images'][:: max(1, len(table['images']) // _SAMPLED)]
    names = [
        name.replace('\\', '/')
        for row in images
        if isinstance(row, dict) and isinstance(name := row.get('file_name'), str)
    ]
    own = PurePosixPath(file).parent.as_posix().removeprefix('.')
    above = PurePosixPath(own).parent.as_posix().removeprefix('.')
    inner = ['', 'images', *SPLITS.get(split, ())]
    inner += [f'images/{name}' for name in SPLITS.get(split, ())] + [f'{name}/images' for name in SPLITS.get(split, ())]
    usual = [f'{base}/{part}'.strip('/') for base in dict.fromkeys((own, above, '')) for part in inner]
    present = {folder: set(entries) for folder, entries in tree.files.items()}

    def found(folder: str) -> int:
        paths = (os.path.normpath(f'{folder}/{name}' if folder else name).rpartition('/') for name in names)
        return sum(name in present.get(parent, ()) for parent, _, name in paths)

    def fits(folder: str) -> int:
        """Whether a folder is called after this split; -1 after another one, whose pictures may be called alike."""
        named = {split_named(part) for part in folder.split('/')} - {None}
        return 1 if split in named else -1 if named else 0

    def rank(folder: str) -> tuple[int, int]:
        number = found(folder)
        return number, fits(folder) if number else 0

    return max(dict.fromkeys([*usual, *tree.files]), key=rank)  # the first of those with most


def _below(folder: str, row: Any) -> Any:
    name = row.get('file_name') if isinstance(row, dict) else None
    if not isinstance(name, str) or os.path.isabs(name):
        return row
    return {**row, 'file_name': f'{folder}/{name}'}
