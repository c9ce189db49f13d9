"""Lists of files, one for each split: Pascal VOC's ``ImageSets/Main/train.txt``, ``splits/val.txt`` and their like."""

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
_IMAGE_SETS = 'ImageSets'
#: Where else lists lie: the folder of the data set itself is the last that is looked at.
_ELSEWHERE = (_IMAGE_SETS, 'splits', '')


def listed_splits(
    tree: Tree, kind: str, files: Mapping[Key, str], key_of: Callable[[str], Key], findings: Findings
) -> dict[str, list[str]]:
    """Files by the split whose list names them; empty where no list names any.

    A line is the stem of a file, as in VOC; with the folders above it that make it unique, as CVAT and datumaro write
    them; in quotes, as datumaro puts names with spaces. A suffix does no harm, nor do further words after the name.

    Args:
        tree: the folder of a data set, or of several, each with lists of its own.
        kind: folder of the lists in ``ImageSets``: 'Main' or 'Segmentation'.
        files: those that may be named, by their keys.
        key_of: key of a path.
        findings: takes note of lines that name none, or several, of the files, and of files that no list names.
    """
    keys_by_stem: dict[str, list[Key]] = {}
    for key in files:
        keys_by_stem.setdefault(key[-1], []).append(key)
    for place in (kind, *_ELSEWHERE):
        splits: dict[str, dict[str, None]] = {}
        for split, listing in _lists(tree, place):
            home = key_of(f'{_home(listing, kind)}/_')[:-1]
            lines = lines_in(text_of(tree.root / listing))
            named = [_named(line, home, keys_by_stem, key_of) for line in lines]
            if any(named):
                _tell_lines(listing, lines, named, files, findings)
                splits.setdefault(split, {}).update(dict.fromkeys(files[keys[0]] for keys in named if len(keys) == 1))
            elif place in (kind, _IMAGE_SETS):  # elsewhere, it may be any text
                reason = f'none of its {len(lines)} lines names one of the files'
                findings.add(Action.DOUBTFUL, 'list of a split', listing, '', reason)
        if any(splits.values()):
            listed = {file for chosen in splits.values() for file in chosen}
            for file in sorted(set(files.values()) - listed):
                findings.add(Action.DROPPED, 'in no list', file, '', f'no list in {place or "the folder"} names it')
            return {split: list(chosen) for split, chosen in splits.items()}
    return {}


def _lists(tree: Tree, place: str) -> Iterator[tuple[str, str]]:
    """Split and path of each list in folders of a name; '' for the root."""
    for folder in tree.files:
        if folder == place or (place and folder.rpartition('/')[2] == place):
            for name in tree.names(folder, ('.txt',)):
                split = split_named(PurePosixPath(name).stem)
                if split is not None:
                    yield split, f'{folder}/{name}'.lstrip('/')


def _home(listing: str, kind: str) -> PurePosixPath:
    """The folder of the data set that a list belongs to."""
    folder = PurePosixPath(listing).parent
    while folder.name in (kind, *_ELSEWHERE) and folder.name:
        folder = folder.parent
    return folder


def _tell_lines(
    listing: str, lines: list[str], named: list[list[Key]], files: Mapping[Key, str], findings: Findings
) -> None:
    for number, (line, keys) in enumerate(zip(lines, named, strict=True), start=1):
        if len(keys) != 1:
            some = f', such as {files[keys[0]]} and {files[keys[1]]}' if keys else ''
            reason = f'{line!r} names {len(keys) or "none"} of the files{some}'
            findings.add(Action.DROPPED, 'line of a list', listing, f'line {number}', reason)


def _named(line: str, home: Key, keys_by_stem: Mapping[str, list[Key]], key_of: Callable[[str], Key]) -> list[Key]:
    """Keys that a line of a list may mean: those below the data set that the list belongs to before others."""
    for text in dict.fromkeys((line.strip('"'), line.split()[0])):
        path = text.replace('\\', '/').lstrip('/')
        has_suffix = PurePosixPath(path).suffix.lower() in _SUFFIXES
        for name in [path, f'{path}.xml'] if has_suffix else [f'{path}.xml']:
            key = key_of(name)
            alike = keys_by_stem.get(key[-1], ())
            ends = [one for one in alike if one[-len(key) :] == key] or [
                one for one in alike if key[-len(one) :] == one
            ]
            exact = [one for one in ends if one == (*home, *key)]
            found = exact or [one for one in ends if one[: len(home)] == home] or ends
            if found:
                return found
    return []
