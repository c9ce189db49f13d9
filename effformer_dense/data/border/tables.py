"""Reading a COCO file: within limits, and with a sentence for each kind of file that is something else."""

from __future__ import annotations

import codecs
import contextlib
import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import UserError
from .findings import Action, Findings
from .numbers import shown

#: The largest annotation file that is read. Reading takes about eight times as much memory; COCO train2017 has 0.45 GB.
MAX_FILE_BYTES = 2 * 1024**3

_TABLES = ('images', 'annotations', 'categories')
#: Marks of files that come from the same tools but hold something else: key, what it is, the way out.
_OTHER_FILES = (
    ('_via_img_metadata', 'a project of VIA', 'Bring its folder to that form with prepare-data own.'),
    ('shapes', 'one picture of labelme', 'Bring its folder to that form with prepare-data own.'),
    ('features', 'GeoJSON', 'Export COCO, with boxes in pixels.'),
)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF32_LE, 'utf-32'),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)


def read_table(
    path: Path, findings: Findings | None = None, max_bytes: int = MAX_FILE_BYTES, annotated: bool = True
) -> dict[str, Any]:
    """Read a COCO file; what its records hold is :func:`.coco.clean_coco`'s business.

    Args:
        path: the file.
        findings: takes note of a byte order mark, at which pycocotools would stop.
        max_bytes: refuse a larger file before reading it.
        annotated: whether there must be annotations; a benchmark's test file has none.

    Returns:
        A dict with lists ``images``, ``categories`` and, if ``annotated``, ``annotations``.

    Raises:
        UserError: missing, too large, no JSON, nested too deeply, or not the tables of an instance annotation file.
    """
    return check_tables(read_json(path, findings, max_bytes), path, annotated)


def read_json(path: Path, findings: Findings | None = None, max_bytes: int = MAX_FILE_BYTES) -> Any:
    """Read a JSON file of whatever content; arguments as of :func:`read_table`.

    Raises:
        UserError: missing, too large, no JSON, or nested too deeply.
    """
    return _parse(_read_text(path, findings, max_bytes), path)


def _read_text(path: Path, findings: Findings | None, max_bytes: int) -> str:
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise UserError(
                f'{path} has {size:,} bytes, and files of up to {max_bytes:,} are read. Split it, or raise the limit.'
            )
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}).') from error
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f'{shown(str(path))} is no path ({error}).') from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), 'utf-8')
    if encoding != 'utf-8' and findings is not None:
        findings.add(Action.REPAIRED, 'byte order mark', str(path), '', f'read as {encoding}; written without')
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f'{path} is no text in UTF-8 ({error.reason} at byte {error.start:,}). Export it as UTF-8.'
        ) from error


@contextlib.contextmanager
def paused_collector() -> Iterator[None]:
    """Without looking for cycles, of which millions of records have none: it takes a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse(text: str, path: Path) -> Any:
    try:
        with paused_collector():
            return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f'{path} is no JSON: {error.msg} in line {error.lineno:,}, column {error.colno:,}. '
            'Unpack, export or download it again.'
        ) from error
    except RecursionError as error:
        raise UserError(f'{path} is nested too deeply to be an annotation file.') from error
    except ValueError as error:  # Python reads whole numbers of up to 4,300 digits
        raise UserError(f'{path} holds a number of thousands of digits. Export it again.') from error


def check_tables(table: Any, file: Path | str, annotated: bool = True) -> dict[str, Any]:
    """A table has the lists of an instance annotation file.

    Raises:
        UserError: it does not, in the words of what it seems to be.
    """
    if isinstance(table, list):
        raise UserError(
            f'{file} is a list: results of a detector, or tasks of Label Studio, say. '
            f'COCO annotations are one object with {", ".join(_TABLES)}; export that.'
        )
    if not isinstance(table, dict):
        raise UserError(f'{file} holds {shown(table)}, and no COCO annotations: an object with {", ".join(_TABLES)}.')
    wanted = [name for name in _TABLES if annotated or name != 'annotations']
    absent = [name for name in wanted if not isinstance(table.get(name), list)]
    if not absent:
        return table
    for mark, what, way_out in _OTHER_FILES:
        if mark in table:
            raise UserError(f'{file} is {what}, and no COCO file. {way_out}')
    raise UserError(
        f'{file} has no list {", ".join(absent)}: COCO instance annotations have {", ".join(_TABLES)}. '
        'Is it another file, without annotations, captions or panoptic, say?'
    )
