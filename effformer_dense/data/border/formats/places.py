"""Tables made from other formats, whose findings still name the file and line that a record is from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from ....options import MAX_PIXELS
from ...headers import BrokenPictureError, read_header
from ..findings import Action, Finding, Findings
from ..orientation import SWAPPING
from ..tree import Tree

SPLITS = {
    'train': ('train', 'training', 'train2017', 'trainset'),
    'val': ('val', 'valid', 'validation', 'val2017', 'valset', 'dev'),
    'test': ('test', 'testing', 'test2017', 'testset'),
}
PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
#: For what has no splits yet.
WHOLE = 'all'


def split_named(name: str) -> str | None:
    """Which of train, val and test a folder or file of that name holds; None for a name that tells nothing."""
    return next((split for split, names in SPLITS.items() if name.lower() in names), None)


def split_of(name: str) -> str:
    """Which split a file is in by the folders above it; :data:`WHOLE` if they tell nothing."""
    return next((split for part in PurePosixPath(name).parts[:-1] if (split := split_named(part))), WHOLE)


def by_split(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of files by the split that their folders name."""
    splits: dict[str, list[str]] = {}
    for name in names:
        splits.setdefault(split_of(name), []).append(name)
    return splits


class PictureNames:
    """The pictures of a folder, found by the names that files of annotations give them.

    Attributes:
        names: of all pictures, relative to the folder.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.names = tree.below('', PICTURES)
        self._exact = set(self.names)
        self._by_last: dict[str, list[str]] = {}
        self._by_stem: dict[str, str] = {}
        for name in self.names:
            self._by_stem.setdefault(name.rpartition('.')[0], name)
            self._by_last.setdefault(PurePosixPath(name).name.casefold(), []).append(name)

    def exact(self, folder: str, name: str) -> str | None:
        """The picture of that name, seen from a folder or from the root, with slashes or backslashes."""
        plain = name.replace('\\', '/')
        places = (self._tree.inside(PurePosixPath(folder, plain)), self._tree.inside(plain)) if plain else ()
        return next((place for place in places if place in self._exact), None)

    def by_end(self, name: str) -> str | None:
        """The one picture whose name has the same last part, in whatever folder, for paths of another machine."""
        found = self._by_last.get(name.replace('\\', '/').rpartition('/')[2].casefold(), [])
        return found[0] if len(found) == 1 else None

    def of_stem(self, folder: str, stem: str) -> str | None:
        """The picture in a folder that is called so, but for its suffix."""
        return self._by_stem.get(f'{folder}/{stem}'.removeprefix('./'))


@dataclass
class SourceTable:
    """One split in the tables of COCO.

    Attributes:
        table: ``images``, ``annotations`` and ``categories``; file names relative to the data set's folder.
        file: named in findings.
        places: (file, record) of every annotation, in the order of their ids, which count from 1.
    """

    table: dict[str, list[dict[str, Any]]]
    file: str
    places: list[tuple[str, str]] = field(default_factory=list)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {row['name']: row['id'] for row in self.table['categories']}

    def add_picture(
        self, root: Path, name: str, findings: Findings, max_pixels: int = MAX_PIXELS, has_size: bool = True
    ) -> int | None:
        """Take in a picture with the size that it has when decoded.

        Args:
            root: that the name is relative to.
            name: of the picture.
            findings: takes note of what is doubtful.
            max_pixels: of a picture.
            has_size: whether files of the format tell the size that was annotated, to be compared with this one.

        Returns:
            Its id; None for one that cannot be read, which is told.
        """
        try:
            header = read_header(root / name, max_pixels)
        except BrokenPictureError as error:
            findings.add(Action.DROPPED, 'picture broken', name, '', str(error))
            return None
        if not has_size and header.orientation in SWAPPING:
            reason = f'EXIF orientation {header.orientation}: no size tells whether the tool had turned it'
            findings.add(Action.DOUBTFUL, 'EXIF orientation', name, '', reason)
        number = len(self.table['images']) + 1
        self.table['images'].append({'id': number, 'file_name': name, 'width': header.width, 'height': header.height})
        return number

    def add_object(self, file: str, record: str, image_id: int, category: int | str, **fields: Any) -> None:
        """Take in an object of a class, by its name or number; other numbers are judged at the border."""
        number = self._numbers[category] if isinstance(category, str) else category
        row = {'id': len(self.places) + 1, 'image_id': image_id, 'category_id': number, 'iscrowd': 0, **fields}
        self.table['annotations'].append(row)
        self.places.append((file, record))


def empty_table(classes: Sequence[str], file: str) -> SourceTable:
    """A table with categories and nothing else."""
    categories = [{'id': number, 'name': name} for number, name in enumerate(classes, start=1)]
    return SourceTable({'images': [], 'annotations': [], 'categories': categories}, file)


class PlacedFindings(Findings):
    """Hands findings on, with the place of a record in its own file instead of that in the table made of it."""

    def __init__(self, findings: Findings, places: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._findings, self._places = findings, places

    def add(self, action: Action, kind: str, file: str, record: str, reason: str, times: int = 1) -> None:
        """Take note of a record."""
        what, _, number = record.partition(' ')
        if what == 'annotation' and number.isdigit() and 0 < int(number) <= len(self._places):
            file, record = self._places[int(number) - 1]
        self._findings.add(action, kind, file, record, reason, times)

    def count(self, action: Action | None = None, kind: str | None = None) -> int:
        """How many findings there are, of all files."""
        return self._findings.count(action, kind)

    def only(self, action: Action, kind: str) -> Finding | None:
        """The one finding of an action and kind, of all files."""
        return self._findings.only(action, kind)

    def kinds(self, action: Action) -> dict[str, int]:
        """Kinds of findings of an action, of all files."""
        return self._findings.kinds(action)

    def summary(self, actions: Collection[Action] = tuple(Action)) -> Iterator[str]:
        """What was found, in all files."""
        return self._findings.summary(actions)
