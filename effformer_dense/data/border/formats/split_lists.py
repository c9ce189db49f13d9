"""The lists of Pascal VOC, ``ImageSets/Main/train.txt`` and its like: which file is in which split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from ..findings import Action, Findings
from ..tree import Tree
from .places import PICTURES, split_named
from .texts import lines_in, text_of

#: Folders above a file, without those that only say what is in them, and its stem.
Key = tuple[str, ...]
_SUFFIXES = frozenset({*PICTURES, '.xml'})


def listed_splits(
    tree: Tree, kind: str, files: Mapping[Key, str], key_of: Callable[[str], Key], findings: Findings
) -> dict[str, list[str]]:
    """Files by the split whose list names them; empty where no list names any.

    A line is the stem of a file, as in VOC; with the folders above it that make it unique, as CVAT and datumaro write
    them; in quotes, as datumaro puts names with spaces. A suffix does no harm.

    Args:
        tree: the folder of a data set, or of several, each with lists of its own.
        kind: folder of the lists: 'Main' or 'Segmentation'.
        files: those that may be named, by their keys.
        key_of: key of a path.
        findings: takes note of lines that name none, or several, of the files, and of files that no list names.
    """
    keys_by_stem: dict[str, list[Key]] = {}
    for key in files:
        keys_by_stem.setdefault(key[-1], []).append(key)
    splits: dict[str, dict[str, None]] = {}
    wrong: list[tuple[str, str, str]] = []
    for split, listing in _lists(tree, kind):
        above = list(PurePosixPath(listing).parents)[:3]  # Main, ImageSets, the data set
        home = key_of(str(above[-1] / '_'))[:-1]
        for number, line in enumerate(lines_in(text_of(tree.root / listing)), start=1):
            named = _named(line, home, keys_by_stem, key_of)
            if len(named) == 1:
                splits.setdefault(split, {})[files[named[0]]] = None
            else:
                some = f', such as {files[named[0]]} and {files[named[1]]}' if named else ''
                wrong.append((listing, f'line {number}', f'{line!r} names {len(named) or "none"} of the files{some}'))
    for place in wrong:
        findings.add(Action.DROPPED if splits else Action.DOUBTFUL, 'line of a list', *place)
    if splits:
        listed = {file for named in splits.values() for file in named}
        for file in sorted(set(files.values()) - listed):
            findings.add(Action.DROPPED, 'in no list', file, '', f'no list in {kind} names it')
    return {split: list(named) for split, named in splits.items()}


def _lists(tree: Tree, kind: str) -> Iterator[tuple[str, str]]:
    """Split and path of each list."""
    for folder in tree.files:
        if folder.rpartition('/')[2] == kind:
            for name in tree.names(folder, ('.txt',)):
                split = split_named(PurePosixPath(name).stem)
                if split is not None:
                    yield split, f'{folder}/{name}'


def _named(line: str, home: Key, keys_by_stem: Mapping[str, list[Key]], key_of: Callable[[str], Key]) -> list[Key]:
    """Keys that a line of a list may mean: those below the data set that the list belongs to before others."""
    path = line.strip('"').replace('\\', '/').lstrip('/')
    whole = [f'{path}.xml'] if PurePosixPath(path).suffix.lower() not in _SUFFIXES else [path, f'{path}.xml']
    for name in whole:
        key = key_of(name)
        ends = [one for one in keys_by_stem.get(key[-1], ()) if one[-len(key) :] == key]
        for tier in ([one for one in ends if one == (*home, *key)], [one for one in ends if one[: len(home)] == home]):
            if tier:
                return tier
        if ends:
            return ends
    return []
