"""YOLO's layouts: which pictures, which label files, which classes.

Ultralytics' ``data.yaml`` (its documentation, "Datasets"), Darknet's ``obj.data``, which CVAT's "YOLO 1.1" exports (its
documentation, "YOLO"), or neither of them: labels beside their pictures.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ....errors import UserError
from ..findings import Action, Findings
from ..tree import Tree
from .places import PICTURES, WHOLE, PictureNames, by_split, split_named
from .split_lists import listed_splits
from .texts import lines_in, strict_text, text_of

NAME_FILES = ('classes.txt', 'obj.names', '_darknet.labels', 'classes.names')
_MAX_BYTES = 1_000_000
#: A class and four numbers; a class and at least three points.
_LINE = re.compile(r'^\d+(\.0+)?(\s+\S+){4,}$')


@dataclass(frozen=True)
class YoloSet:
    """What a folder in YOLO's layout holds.

    Attributes:
        classes: names by number; None if no file has them.
        splits: pictures, relative to the folder, per split.
        source: file that told the classes and splits.
        keypoint_values: how many numbers of key points follow the box in a line of a pose data set.
    """

    classes: list[str] | None
    splits: dict[str, list[str]]
    source: str
    keypoint_values: int = 0


def find_yolo(tree: Tree, findings: Findings) -> YoloSet | None:
    """Recognise YOLO's layout.

    Raises:
        UserError: a ``data.yaml`` or ``obj.data`` cannot be read, or names what is not there or outside the folder.
    """
    return _of_yaml(tree, findings) or _of_darknet(tree, findings) or _of_labels(tree, findings)


def _of_yaml(tree: Tree, findings: Findings) -> YoloSet | None:
    for folder in ('', *(path for path in tree.files if path and '/' not in path)):
        for name in tree.names(folder, ('.yaml', '.yml')):
            file = f'{folder}/{name}' if folder else name
            config = _read_yaml(tree.root / file)
            if isinstance(config, dict) and 'names' in config:
                declared = str(config.get('path') or '')
                splits = _splits(tree, config, file, declared, findings, findings)
                return YoloSet(_names(config['names'], file), splits, file, _keypoint_values(config, file))
    return None


def _of_darknet(tree: Tree, findings: Findings) -> YoloSet | None:
    """By a file of Darknet's: lines ``key = value``, of which ``names``, ``train`` and ``valid`` name text files.

    Its paths start wherever Darknet was started, at ``data/`` as CVAT writes them: to look up their ends is no repair.
    """
    for file in tree.below('', ('.data',)):
        settings = _settings(tree.root / file)
        if 'names' in settings and 'train' in settings:
            listing = _locate(tree, _base(tree, file), '', settings['names'], f'{file}, names', Findings())
            if listing is None or not tree.has_file(listing):
                raise UserError(
                    f'{tree.root / file}: names is {settings["names"]!r}, and there is no such file in {tree.root}.'
                )
            splits = _splits(tree, settings, file, '', Findings(), findings)
            return YoloSet(lines_in(strict_text(tree.root / listing)), splits, file)
    return None


def _of_labels(tree: Tree, findings: Findings) -> YoloSet | None:
    """By label files where they belong to pictures."""
    pictures = tree.below('', PICTURES)
    labelled = {name: label for name in pictures if (label := label_of(tree, name)) is not None}
    filled = (label for label in labelled.values() if (tree.root / label).stat().st_size)
    if not any(_looks_like_labels(tree.root / label) for label in islice(filled, 50)):
        return None
    names = next((name for name in tree.below('', NAME_FILES) if PurePosixPath(name).name in NAME_FILES), None)
    classes = None if names is None else lines_in(strict_text(tree.root / names))
    taken = [one for one in pictures if one in labelled or _has_labels_folder(one)]
    splits = by_split(taken)
    if set(splits) == {WHOLE}:
        splits = listed_splits(tree, 'Main', {_key(one): one for one in taken}, _key, findings) or splits
    return YoloSet(classes, splits, names or 'its text files')


def _key(picture: str) -> tuple[str, ...]:
    path = PurePosixPath(picture)
    return (*(part for part in path.parts[:-1] if part != 'images'), path.stem)


def label_of(tree: Tree, picture: str) -> str | None:
    """Label file of a picture: below ``labels`` where the picture is below ``images``, else beside it; None without."""
    return tree.found_file(label_place(picture))


def label_place(picture: str) -> str:
    """Where the label file of a picture is expected, but for the case of letters."""
    path = PurePosixPath(picture)
    folders = list(path.parts[:-1])
    for index in range(len(folders) - 1, -1, -1):
        if folders[index].lower() == 'images':
            swapped = PurePosixPath(*folders[:index], 'labels', *folders[index + 1 :], f'{path.stem}.txt')
            return swapped.as_posix()
    return path.with_suffix('.txt').as_posix()


def _base(tree: Tree, file: str) -> Path:
    """The folder that paths in a file are relative to."""
    return tree.root.absolute() / PurePosixPath(file).parent


def _looks_like_labels(path: Path) -> bool:
    return path.is_file() and any(_LINE.match(line) for line in lines_in(text_of(path))[:5])


def _has_labels_folder(picture: str) -> bool:
    """Whether other pictures of its folder have labels where its own would be: a picture without objects."""
    return 'labels' in PurePosixPath(label_place(picture)).parts[:-1]


def _read_yaml(path: Path) -> Any:
    if path.stat().st_size > _MAX_BYTES:
        return None
    try:
        return yaml.safe_load(strict_text(path))
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


def _settings(path: Path) -> dict[str, str]:
    """What stands in Darknet's file of a data set, if it is one."""
    if path.stat().st_size > _MAX_BYTES:
        return {}
    pairs = (line.partition('=') for line in lines_in(text_of(path)) if not line.startswith('#'))
    return {key.strip(): value.strip() for key, sign, value in pairs if sign and value.strip()}


def _keypoint_values(config: Mapping[str, Any], file: str) -> int:
    """Numbers of key points in a line, by ``kpt_shape: [points, 2 or 3]``; 0 where there is none.

    Raises:
        UserError: it is something else.
    """
    shape = config.get('kpt_shape')
    if shape is None:
        return 0
    if not (isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) and n > 0 for n in shape)):
        raise UserError(f'{file}: kpt_shape must be [points, 2 or 3]; got {str(shape)[:60]}')
    return math.prod(shape)


def _splits(
    tree: Tree, config: Mapping[str, Any], file: str, declared: str, repairs: Findings, findings: Findings
) -> dict[str, list[str]]:
    """Pictures of each split that a file names.

    Args:
        tree: the folder.
        config: with folders, lists or several of them as ``train``, ``val`` or ``valid``, and ``test``.
        file: that it is from.
        declared: where it says that its paths begin.
        repairs: takes note of paths that are not there as they are written, and are by their ends.
        findings: takes note of the rest.
    """
    base = _base(tree, file)
    splits: dict[str, dict[str, None]] = {}
    for key in ('train', 'val', 'valid', 'test'):
        values = config.get(key)
        for value in values if isinstance(values, list) else [values] if values else []:
            place = _locate(tree, base, declared, str(value), f'{file}, {key}', repairs)
            if place is None and key == 'test' and len(splits) > 0:
                continue  # data.yaml of Roboflow names a test folder also where there is none
            if place is None:
                raise UserError(
                    f'{tree.root / file}: {key} is {value!r}, and there is no such folder or list in {tree.root}.'
                )
            pictures = (
                _listed(tree, place, repairs, findings)
                if place.endswith('.txt')
                else [f'{place}/{name}' if place else name for name in tree.below(place, PICTURES)]
            )
            splits.setdefault(split_named(key) or key, {}).update(dict.fromkeys(pictures))
    if not any(splits.values()):
        lines = ''.join(f'\n{line}' for line in findings.summary([Action.DROPPED]))
        raise UserError(f'{tree.root / file} names no pictures: set train and val to folders of pictures.{lines}')
    return {split: list(pictures) for split, pictures in splits.items()}


def _locate(tree: Tree, base: Path, declared: str, value: str, where: str, findings: Findings) -> str | None:
    """What a path of ``data.yaml`` means, relative to the root: as written, or, said so, the nearest that is there.

    Raises:
        UserError: it leads out of the folder, and nothing of that name is inside.
    """
    value = value.replace('\\', '/').strip()
    # Roboflow writes ../train/images for what lies beside data.yaml.
    written = [base / declared / value, base / value, base / re.sub(r'^(\.\./)+', '', value)]
    for path in written:
        inside = tree.inside(path)
        if inside is not None and (tree.has_folder(inside) or tree.has_file(inside)):
            return inside
    for tail in _ends(value, tree.inside(base) or ''):
        if tree.has_folder(tail) or tree.has_file(tail):
            findings.add(Action.REPAIRED, 'path of a split', where, '', f'{value!r} is not there, {tail!r} is; taken')
            return tail
    outside = next((path for path in written if tree.inside(path) is None), None)
    if outside is not None and outside.exists():
        raise UserError(
            f'{where} is {value!r}, which leads out of {tree.root}. Name the folder that holds all of it: pictures are '
            'read from below the folder that is named, and from nowhere else.'
        )
    return None


def _ends(path: str, folder: str) -> Iterable[str]:
    """What /content/data/train/images of another machine may be, in a folder here or in the root, the longest first:
    content/data/train/images, data/train/images, train/images, images."""
    parts = [part for part in PurePosixPath(path).parts if part not in ('..', '.', '/')]
    return (
        PurePosixPath(base, *parts[start:]).as_posix()
        for start in range(len(parts))
        for base in dict.fromkeys((folder, ''))
    )


def _listed(tree: Tree, listing: str, repairs: Findings, findings: Findings) -> list[str]:
    """Pictures that a text file lists, one a line; those that are not there as written, by the ends of their paths."""
    folder, pictures = PurePosixPath(listing).parent.as_posix(), PictureNames(tree)
    found: dict[str, None] = {}
    for number, line in enumerate(lines_in(text_of(tree.root / listing)), start=1):
        line, record = line.replace('\\', '/'), f'line {number}'
        name = pictures.exact(folder, line)
        if name is None:
            name = next((end for end in _ends(line, folder) if tree.has_file(end)), None) or pictures.by_end(line)
            if name is not None:
                repairs.add(Action.REPAIRED, 'path of a picture', listing, record, f'{line!r} is {name!r} here')
        if name is None:
            reason = f'{line!r}: no picture here ends so, or several do'
            findings.add(Action.DROPPED, 'picture not there', listing, record, reason)
        elif name in found:
            findings.add(Action.DROPPED, 'picture twice', listing, record, f'{line!r} is in the list before')
        else:
            found[name] = None
    return list(found)
