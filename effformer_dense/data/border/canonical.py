"""Writing one split's canonical COCO file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from ...files import write_atomically
from .formats.places import SPLITS
from .image_records import Progress

_ROWS_AT_ONCE = 1000


def write_coco(path: Path, table: dict[str, Any], progress: Progress | None = None) -> None:
    """Write a canonical table, one record per line, under a temporary name first.

    Args:
        path: of the file.
        table: from :func:`.coco.clean_coco`.
        progress: is told what is done, how many of them, and of how many.

    Raises:
        ValueError: a number is not finite; such a table did not come from :func:`.coco.clean_coco`.
    """

    def write(scratch: Path) -> None:
        with scratch.open('w', encoding='utf-8') as file:
            file.write('{\n')
            for position, (name, value) in enumerate(table.items()):
                file.write(f'{"," if position else ""}{json.dumps(name)}: ')
                if isinstance(value, list):
                    _write_rows(file, value, name, progress)
                else:
                    file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + '\n')
            file.write('}\n')

    write_atomically(path, write)


def _write_rows(file: TextIO, rows: list[Any], name: str, progress: Progress | None) -> None:
    """Some rows at a time: ``json.dump`` to a file encodes in Python, ten times slower, and all at once is large."""
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(',', ':')).encode
    file.write('[\n')
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        if progress is not None:
            progress(f'{name} written', start, len(rows))
        some = rows[start : start + _ROWS_AT_ONCE]
        file.write(',\n'.join(map(encode, some)) + (',\n' if start + len(some) < len(rows) else '\n'))
    file.write(']\n')


def remove_splits(out: Path) -> None:
    """Remove the lists of splits that an earlier run wrote to a folder: there may be other splits now."""
    for split in SPLITS:
        for path in (out / 'annotations' / f'{split}.json', out / f'{split}.txt'):
            path.unlink(missing_ok=True)
