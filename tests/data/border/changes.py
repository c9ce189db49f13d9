"""Ways to spoil a table, and to say what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .records import HEIGHT, WIDTH, Table, square


def put(where: str, value: Any) -> Callable[[Table], None]:
    """Set one value: 'annotations.0.bbox'."""

    def spoil(spoilt: Table) -> None:
        *path, last = where.split('.')
        node: Any = spoilt
        for step in path:
            node = node[int(step)] if isinstance(node, list) else node[step]
        node[int(last) if isinstance(node, list) else last] = value

    return spoil


def drop(table_name: str, field: str) -> Callable[[Table], None]:
    """Leave a field out of all records."""

    def spoil(spoilt: Table) -> None:
        for row in spoilt[table_name]:
            del row[field]

    return spoil


def each(table_name: str, field: str, change: Callable[[Any], Any]) -> Callable[[Table], None]:
    """Change a field of all records."""

    def spoil(spoilt: Table) -> None:
        for row in spoilt[table_name]:
            row[field] = change(row[field])

    return spoil


def recategorise(names: list[tuple[Any, Any]]) -> Callable[[Table], None]:
    """Other category ids and names; objects follow the first two."""

    def spoil(spoilt: Table) -> None:
        spoilt['categories'] = [{'id': number, 'name': name} for number, name in names]
        for row in spoilt['annotations']:
            row['category_id'] = names[row['category_id'] - 1][0]

    return spoil


def all_of(*spoils: Callable[[Table], None]) -> Callable[[Table], None]:
    def spoil(spoilt: Table) -> None:
        for one in spoils:
            one(spoilt)

    return spoil


def same(_: Table) -> None:
    """What comes out is the canonical table."""


def without(*places: int) -> Callable[[Table], None]:
    """What comes out lacks some annotations."""

    def expect(expected: Table) -> None:
        expected['annotations'] = [row for place, row in enumerate(expected['annotations']) if place not in places]

    return expect


def roboflow(spoilt: Table) -> None:
    spoilt['categories'] = [
        {'id': 0, 'name': 'animals', 'supercategory': 'none'},
        {'id': 1, 'name': 'cat', 'supercategory': 'animals'},
        {'id': 2, 'name': 'dog', 'supercategory': 'animals'},
    ]
    for row in spoilt['annotations']:
        row['segmentation'] = []


def expect_roboflow(expected: Table) -> None:
    for row in expected['categories']:
        row['supercategory'] = 'animals'
    for row in expected['annotations']:
        row['segmentation'] = []


def via(spoilt: Table) -> None:
    """VIA 3: sizes of -1, iscrowd false, ids from 0, a flat list."""
    each('images', 'width', lambda _: -1)(spoilt)
    each('images', 'height', lambda _: -1)(spoilt)
    each('annotations', 'iscrowd', lambda _: False)(spoilt)
    each('annotations', 'category_id', lambda number: number - 1)(spoilt)
    each('categories', 'id', lambda number: number - 1)(spoilt)
    spoilt['annotations'][0]['segmentation'] = square(10, 10, 20, 12)


def double_first_picture(spoilt: Table) -> None:
    spoilt['images'].append({**spoilt['images'][0], 'id': 9})
    spoilt['annotations'][1]['image_id'] = 9


def corners(spoilt: Table) -> None:
    for row in spoilt['annotations']:
        x, y, width, height = row['bbox']
        row['bbox'] = [x + 30, y + 20, x + 30 + width, y + 20 + height]
        row['segmentation'] = []


def expect_corners(expected: Table) -> None:
    for row in expected['annotations']:
        row['bbox'][0] += 30
        row['bbox'][1] += 20
        row['segmentation'] = []
    expected['annotations'][2]['bbox'] = [31.5, 22.5, 30.0, 20.0]


def fractions(spoilt: Table) -> None:
    for row in spoilt['annotations']:
        x, y, width, height = row['bbox']
        row['bbox'] = [x / WIDTH, y / HEIGHT, width / WIDTH, height / HEIGHT]
        del row['area']


def first(**fields: Any) -> Callable[[Table], None]:
    """What comes out has other values in the first annotation."""
    return lambda expected: expected['annotations'][0].update(fields)
