"""Categories: one per name, numbered from 1 in the order of the classes, and which of a file's ids means which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import UserError, choice_error, some_of
from .findings import Action, Findings
from .numbers import key, shown

#: Names that tools give to what is no class; such a category is left out if no object has it.
_NO_CLASS = frozenset(('_background_', '__ignore__', '__background__', 'background'))

#: Kind of the one finding that mmdet and pycocotools do as well without: ids 1 to 90 of COCO's 80 classes, say.
CATEGORY_IDS = 'category ids'

Key = int | str


@dataclass(frozen=True)
class Categories:
    """What becomes of a file's categories.

    Attributes:
        rows: of the canonical table: ids 1 to n in class order.
        ids: id, or name, as it stands in the annotations -> canonical id.
        left_out: the same -> name, for categories that are none of the wanted classes.
    """

    rows: list[dict[str, Any]]
    ids: dict[Key, int]
    left_out: dict[Key, str]


@dataclass(frozen=True)
class _Row:
    """A category as it stands in the file."""

    key: Key | None
    name: str
    parent: str | None
    objects: int


def clean_categories(
    rows: list[Any], annotations: list[Any], classes: Sequence[str] | None, file: str, findings: Findings
) -> Categories:
    """Work out the canonical categories.

    Args:
        rows: ``categories`` of the file.
        annotations: of the file: a category may go only if no object has it.
        classes: names in the order wanted; None for the file's own.
        file, findings: where notes go.

    Raises:
        UserError: none is left, one id means two classes that objects have, or a wanted class has no category.
    """
    found = _read(rows, annotations, file, findings)
    _check_ambiguous(found, file)
    found = [row for row in found if not _is_root(row, found, file, findings)]
    if not found:
        raise UserError(f'{file} has no category with a name. Export it again with its classes.')
    names = list(dict.fromkeys(row.name for row in found))
    _tell_doubles(found, names, file, findings)
    wanted = names if classes is None else list(classes)
    _check_classes(wanted, found, file, findings)
    number = {name: position for position, name in enumerate(wanted, start=1)}
    ids, left_out = _lookup(found, number)
    parents = {row.name: row.parent for row in reversed(found) if row.parent}
    canonical = [
        {'id': number[name], 'name': name} | ({'supercategory': parents[name]} if name in parents else {})
        for name in wanted
    ]
    if [name for name in names if name in number] != [name for name in wanted if name in names]:
        reason = f'now that of the classes: {some_of(wanted, 5)}'
        findings.add(Action.REPAIRED, 'category order', file, 'categories', reason)
    elif _has_text_ids(rows):
        findings.add(Action.REPAIRED, 'category ids as text', file, 'categories', f'now numbers: {some_of(wanted, 5)}')
    elif any(row.key != number.get(row.name, row.key) for row in found):
        findings.add(Action.REPAIRED, CATEGORY_IDS, file, 'categories', f'numbered from 1: {some_of(wanted, 5)}')
    return Categories(canonical, ids, left_out)


def _has_text_ids(rows: list[Any]) -> bool:
    return any(isinstance(row, dict) and isinstance(row.get('id'), str) for row in rows)


def _lookup(found: list[_Row], number: dict[str, int]) -> tuple[dict[Key, int], dict[Key, str]]:
    """What annotations may say for a category: its id, or else its name."""
    ids: dict[Key, int] = {}
    left_out: dict[Key, str] = {}
    for row in found:
        if row.key is None:
            continue
        if row.name in number:
            ids.setdefault(row.key, number[row.name])
        else:
            left_out.setdefault(row.key, row.name)
    for row in found:
        name = key(row.name)
        if name is None or name in ids or name in left_out:
            continue
        if row.name in number:
            ids[name] = number[row.name]
        else:
            left_out[name] = row.name
    return ids, left_out


def _read(rows: list[Any], annotations: list[Any], file: str, findings: Findings) -> list[_Row]:
    counts = Counter(key(row.get('category_id')) for row in annotations if isinstance(row, dict))
    found: dict[tuple[Key | None, str], _Row] = {}
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            findings.add(Action.DROPPED, 'category unreadable', file, f'category {place}', shown(row))
            continue
        its_key, name = key(row.get('id')), row.get('name')
        objects = counts[its_key] if its_key is not None else 0
        text = _printable(str(name).strip()) if isinstance(name, (str, int)) and not isinstance(name, bool) else ''
        if not text and not objects:
            findings.add(Action.DROPPED, 'category without name', file, f'category {shown(row.get("id"))}', shown(name))
            continue
        text = text or f'category {its_key}'
        if text != name:
            findings.add(Action.REPAIRED, 'category name', file, f'category {its_key}', f'{shown(name)}, now {text!r}')
        if (its_key, text) in found:
            findings.add(Action.DROPPED, 'category listed twice', file, f'category {its_key}', f'{text!r}')
            continue
        parent = row.get('supercategory')
        parent = _printable(parent.strip()) if isinstance(parent, str) else ''
        found[its_key, text] = _Row(its_key, text, parent or None, objects)
    return list(found.values())


def _printable(text: str) -> str:
    """Text that any file takes: without line breaks, control characters and halves of surrogate pairs."""
    return text if text.isprintable() else ''.join(c if c.isprintable() else '_' for c in text)


def _check_ambiguous(found: list[_Row], file: str) -> None:
    first: dict[Key, _Row] = {}
    for row in found:
        if row.key is None:
            continue
        other = first.setdefault(row.key, row)
        if other is not row and other.name != row.name and row.objects:
            raise UserError(
                f'{file}: category id {row.key} is both {other.name!r} and {row.name!r}, and {row.objects:,} objects '
                'have it. VIA writes such files where regions have two attributes; give every class an id of its own.'
            )


def _is_root(row: _Row, found: list[_Row], file: str, findings: Findings) -> bool:
    """A category without objects that only groups others, as Roboflow writes, or that stands for the background."""
    if row.objects:
        return False
    groups = any(other.parent == row.name and other is not row for other in found)
    if not groups and row.name.lower() not in _NO_CLASS:
        return False
    reason = f'{row.name!r} {"groups other categories" if groups else "is no class"} and has no objects; left out'
    findings.add(Action.DROPPED, 'category without objects', file, f'category {row.key}', reason)
    return True


def _tell_doubles(found: list[_Row], names: list[str], file: str, findings: Findings) -> None:
    for name, times in Counter(row.name for row in found).items():
        if times > 1:
            reason = f'{times} categories are called {name!r}; they are one class now'
            findings.add(Action.REPAIRED, 'category name twice', file, 'categories', reason)
    folded: dict[str, str] = {}
    for name in names:
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            reason = f'{other!r} and {name!r} are two classes; rename one if they should be the same'
            findings.add(Action.DOUBTFUL, 'category names alike', file, 'categories', reason)


def _check_classes(wanted: list[str], found: list[_Row], file: str, findings: Findings) -> None:
    """Every wanted class has a category. One that has none is a mistake if another category is left over."""
    doubled = [name for name, times in Counter(wanted).items() if times > 1]
    if doubled:
        raise UserError(f'classes has {", ".join(doubled)} twice. Name each class once.')
    names = {row.name for row in found}
    absent = [name for name in wanted if name not in names]
    over = list(dict.fromkeys(row.name for row in found if row.name not in wanted and row.objects))
    if absent and (over or len(absent) == len(wanted)):
        error = choice_error('a class', absent[0], sorted(names))
        raise UserError(
            f'{file} has no category {some_of(absent, 5)} '
            f'({len(absent)} of {len(wanted)} classes are missing): {error} '
            'Set metainfo.classes of the data set to names of its categories.'
        )
    for name in absent:
        reason = f'no category is called {name!r}; the class has no objects here'
        findings.add(Action.DOUBTFUL, 'class without category', file, 'categories', reason)
    for name in over:
        reason = f'{name!r} is none of the classes; its objects are left out'
        findings.add(Action.DROPPED, 'category not among classes', file, 'categories', reason)
