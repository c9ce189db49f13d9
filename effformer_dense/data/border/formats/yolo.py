"""YOLO: one text file per picture, a line per object: class, then a box or a polygon in fractions of the sides.

Read here and by no library, line by line: supervision, globox and datumaro stop at the first line that is wrong, and
the first two turn polygons into masks of the whole picture or into boxes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ....errors import UserError
from ....options import MAX_PIXELS
from ..findings import Action, Findings
from ..tree import Tree
from .places import PICTURES, SourceTable, by_split, empty_table, split_named

_NAME_FILES = ('classes.txt', 'obj.names', '_darknet.labels', 'classes.names')
_MAX_YAML_BYTES = 1_000_000
#: A box of fractions is only ever a little outside of its picture; one with a number above this is in pixels.
_IN_PIXELS = 2
#: A class and four numbers; a class and at least three points.
_LINE = re.compile(r'^\d+(\.0+)?(\s+\S+){4,}$')


@dataclass(frozen=True)
class YoloSet:
    """What a folder in YOLO's layout holds.

    Attributes:
        classes: names by number; None if no file has them.
        splits: pictures, relative to the folder, per split.
        source: file that told the classes and splits.
    """

    classes: list[str] | None
    splits: dict[str, list[str]]
    source: str


def find_yolo(tree: Tree, findings: Findings) -> YoloSet | None:
    """Recognise YOLO's layout.

    Raises:
        UserError: a ``data.yaml`` cannot be read, or names pictures that are not there or outside the folder.
    """
    for folder in ('', *(path for path in tree.files if path and '/' not in path)):
        for name in tree.names(folder, ('.yaml', '.yml')):
            file = f'{folder}/{name}' if folder else name
            config = _read_yaml(tree.root / file)
            if isinstance(config, dict) and 'names' in config:
                return YoloSet(_names(config['names'], file), _splits_of_yaml(tree, config, file, findings), file)
    pictures = [name for name in tree.below('', PICTURES) if _has_labels(tree, name)]
    if not pictures or not any(_looks_like_labels(tree.root / label_of(tree, name)) for name in pictures[:50]):
        return None
    names = next((name for name in tree.below('', _NAME_FILES) if PurePosixPath(name).name in _NAME_FILES), None)
    classes = (
        None
        if names is None
        else [line.strip() for line in _strict_text(tree.root / names).splitlines() if line.strip()]
    )
    listed = (one for one in tree.below('', PICTURES) if _has_labels(tree, one) or _has_labels_folder(tree, one))
    return YoloSet(classes, by_split(listed), names or 'its text files')


def yolo_tables(
    tree: Tree, yolo: YoloSet, classes: Sequence[str], findings: Findings, max_pixels: int = MAX_PIXELS
) -> dict[str, SourceTable]:
    """Tables of every split; lines that are no objects are told and left out."""
    tables, used = {}, set()
    for split, pictures in yolo.splits.items():
        table = tables[split] = empty_table(classes, yolo.source)
        for name in pictures:
            label = label_of(tree, name)
            used.add(label)
            image_id = table.add_picture(tree.root, name, findings, max_pixels, has_size=False)
            if image_id is not None and _exists(tree, label):
                _read_labels(tree.root, label, table, len(classes), findings)
    for label in tree.below('', ('.txt',)):
        if label not in used and 'labels' in PurePosixPath(label).parts[:-1]:
            findings.add(Action.DROPPED, 'labels without picture', label, '', 'no picture has this name')
    return tables


def label_of(tree: Tree, picture: str) -> str:
    """Label file of a picture: below ``labels`` where the picture is below ``images``, else beside it."""
    path = PurePosixPath(picture)
    folders = list(path.parts[:-1])
    for index in range(len(folders) - 1, -1, -1):
        if folders[index] == 'images':
            swapped = PurePosixPath(*folders[:index], 'labels', *folders[index + 1 :], f'{path.stem}.txt')
            return swapped.as_posix()
    return path.with_suffix('.txt').as_posix()


def _read_labels(root: Path, label: str, table: SourceTable, num_classes: int, findings: Findings) -> None:
    image = table.table['images'][-1]
    seen: set[str] = set()
    for number, line in enumerate(_text(root / label).splitlines(), start=1):
        text, record = line.strip(), f'line {number}'
        if not text:
            continue
        values = _numbers(text)
        if values is None or len(values) < 5 or (len(values) > 5 and len(values) % 2 == 0 and len(values) != 6):
            findings.add(
                Action.DROPPED,
                'line is no object',
                label,
                record,
                f'{text[:60]!r}: a class and 4 numbers, or 3 points and more, are expected',
            )
        elif not 0 <= values[0] < num_classes or values[0] != int(values[0]):
            findings.add(Action.DROPPED, 'unknown class', label, record, f'class {values[0]:g} of {num_classes}')
        elif text in seen:
            findings.add(Action.DROPPED, 'object twice', label, record, f'{text[:60]!r} stands in the file before')
        else:
            if len(values) == 6:
                findings.add(
                    Action.DOUBTFUL, 'prediction', label, record, f'a confidence of {values[5]:g} follows the box'
                )
            if len(values) <= 6 and max(values[1:5]) > _IN_PIXELS:
                findings.add(Action.REPAIRED, 'box in pixels', label, record, f'{text[:60]!r} is taken for pixels')
            table.add_object(label, record, image['id'], int(values[0]) + 1, **_shape(values[1:], image))
        seen.add(text)


def _shape(values: list[float], image: dict[str, Any]) -> dict[str, Any]:
    """Box, or polygon and its box, in pixels."""
    width, height = image['width'], image['height']
    if len(values) <= 5:  # a fifth number is the confidence of a prediction
        x, y, w, h = values[:4]
        if max(values[:4]) > _IN_PIXELS:
            width = height = 1
        box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
        return {'bbox': box, 'area': box[2] * box[3], 'segmentation': []}
    points = [(x * width, y * height) for x, y in zip(values[0::2], values[1::2], strict=True)]
    (left, top), (right, bottom) = (tuple(side(axis) for axis in zip(*points, strict=True)) for side in (min, max))
    following = [*points[1:], points[0]]
    area = abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, following, strict=True))) / 2
    polygon = [value for point in points for value in point]
    return {'bbox': [left, top, right - left, bottom - top], 'area': area, 'segmentation': [polygon]}


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split()]
    except ValueError:
        return None


def _text(path: Path) -> str:
    return path.read_text(encoding='utf-8-sig', errors='replace')


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in _text(path).splitlines() if line.strip()]


def _strict_text(path: Path) -> str:
    """Text with names of classes, of which no letter may be lost."""
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'{path} is no text in UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.'
        ) from error


def _looks_like_labels(path: Path) -> bool:
    return path.is_file() and any(_LINE.match(line) for line in _lines(path)[:5])


def _exists(tree: Tree, file: str) -> bool:
    folder, _, name = file.rpartition('/')
    return name in tree.files.get(folder, ())


def _has_labels(tree: Tree, picture: str) -> bool:
    return _exists(tree, label_of(tree, picture))


def _has_labels_folder(tree: Tree, picture: str) -> bool:
    """Whether other pictures of its folder have labels where its own would be: a picture without objects."""
    folder = label_of(tree, picture).rpartition('/')[0]
    return folder.rpartition('/')[2] == 'labels' or 'labels' in folder.split('/')


def _read_yaml(path: Path) -> Any:
    if path.stat().st_size > _MAX_YAML_BYTES:
        return None
    try:
        return yaml.safe_load(_strict_text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f'{path} is no YAML that can be read: {str(error)[:200]}') from error


def _names(names: Any, file: str) -> list[str]:
    """Class names, a list or a dict by number."""
    values = names.values() if isinstance(names, dict) else names if isinstance(names, list) else ()
    odd = next((name for name in values if isinstance(name, bool) or not isinstance(name, (str, int, float))), '')
    if odd != '':
        raise UserError(f'{file}: {odd!r} is no name of a class to YAML. Put names in quotes.')
    if isinstance(names, dict):
        try:
            numbered = {int(number): str(name) for number, name in names.items()}
        except (TypeError, ValueError) as error:
            raise UserError(f'{file}: names must be numbered 0, 1, ...; got {list(names)[:5]}') from error
        if any(number < 0 or number > 100_000 for number in numbered):
            raise UserError(f'{file}: names are numbered {sorted(numbered)[0]} to {sorted(numbered)[-1]}.')
        return [numbered.get(number, f'class {number}') for number in range(max(numbered, default=-1) + 1)]
    if isinstance(names, list) and names:
        return [str(name) for name in names]
    raise UserError(f'{file}: names must be a list of class names, or a dict of them by number; got {str(names)[:80]}')


def _splits_of_yaml(tree: Tree, config: dict[str, Any], file: str, findings: Findings) -> dict[str, list[str]]:
    base = tree.root.absolute() / PurePosixPath(file).parent
    declared = str(config.get('path') or '')
    splits: dict[str, list[str]] = {}
    for key in ('train', 'val', 'valid', 'test'):
        values = config.get(key)
        for value in values if isinstance(values, list) else [values] if values else []:
            place = _locate(tree, base, declared, str(value), f'{file}, {key}', findings)
            if place is None and key == 'test' and len(splits) > 0:
                continue  # data.yaml of Roboflow names a test folder also where there is none
            if place is None:
                raise UserError(
                    f'{tree.root / file}: {key} is {value!r}, and there is no such folder or list in {tree.root}.'
                )
            pictures = (
                _listed(tree, place, findings)
                if place.endswith('.txt')
                else [f'{place}/{name}' if place else name for name in tree.below(place, PICTURES)]
            )
            splits.setdefault(split_named(key) or key, []).extend(pictures)
    if not any(splits.values()):
        raise UserError(f'{tree.root / file} names no pictures: set train and val to folders of pictures.')
    return splits


def _locate(tree: Tree, base: Path, declared: str, value: str, where: str, findings: Findings) -> str | None:
    """What a path of ``data.yaml`` means, relative to the root: as written, or, said so, the nearest that is there.

    Raises:
        UserError: it leads out of the folder, and nothing of that name is inside.
    """
    value = value.replace('\\', '/').strip()
    written = [base / declared / value, base / value]
    for path in written:
        inside = tree.inside(path)
        if inside is not None and (tree.has_folder(inside) or _exists(tree, inside)):
            return inside
    parts = [part for part in PurePosixPath(value).parts if part not in ('..', '.', '/')]
    inner = tree.inside(base) or ''
    for start in range(len(parts)):  # /content/data/train/images on the machine that wrote it: train/images here
        tail = PurePosixPath(inner, *parts[start:]).as_posix()
        if tree.has_folder(tail) or _exists(tree, tail):
            findings.add(Action.REPAIRED, 'path of a split', where, '', f'{value!r} is not there, {tail!r} is; taken')
            return tail
    outside = next((path for path in written if tree.inside(path) is None), None)
    if outside is not None and outside.exists():
        raise UserError(
            f'{where} is {value!r}, which leads out of {tree.root}. Name the folder that holds all of it: pictures are '
            'read from below the folder that is named, and from nowhere else.'
        )
    return None


def _listed(tree: Tree, listing: str, findings: Findings) -> list[str]:
    """Pictures that a text file lists, one a line."""
    found = []
    by_name = {PurePosixPath(name).name: name for name in tree.below('', PICTURES)}
    for number, line in enumerate(_lines(tree.root / listing), start=1):
        line = line.replace('\\', '/')
        candidates = (tree.inside(PurePosixPath(listing).parent / line), tree.inside(line))
        name = next((name for name in candidates if name and _exists(tree, name)), None)
        if name is None and (name := by_name.get(PurePosixPath(line).name)) is not None:
            findings.add(Action.REPAIRED, 'path of a picture', listing, f'line {number}', f'{line!r} is {name!r} here')
        if name is None:
            findings.add(Action.DROPPED, 'picture not there', listing, f'line {number}', f'{line!r}')
        else:
            found.append(name)
    return found
