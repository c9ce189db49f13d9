"""Tables made from other formats, whose findings still name the file and line that a record is from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..findings import Action, Findings
from ..headers import MAX_PIXELS, BrokenPictureError, read_header

SPLITS = {
    'train': ('train', 'training', 'train2017', 'trainset'),
    'val': ('val', 'valid', 'validation', 'val2017', 'valset', 'dev'),
    'test': ('test', 'testing', 'test2017', 'testset'),
}
#: For what has no splits yet.
WHOLE = 'all'


def split_named(name: str) -> str | None:
    """Which of train, val and test a folder or file of that name holds; None for a name that tells nothing."""
    return next((split for split, names in SPLITS.items() if name.lower() in names), None)


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

    def add_picture(self, root: Path, name: str, findings: Findings, max_pixels: int = MAX_PIXELS) -> int | None:
        """Take in a picture with the size that it has when decoded.

        Returns:
            Its id; None for one that cannot be read, which is told.
        """
        try:
            header = read_header(root / name, max_pixels)
        except BrokenPictureError as error:
            findings.add(Action.DROPPED, 'picture broken', name, '', str(error))
            return None
        number = len(self.table['images']) + 1
        self.table['images'].append({'id': number, 'file_name': name, 'width': header.width, 'height': header.height})
        return number

    def add_object(self, file: str, record: str, image_id: int, category: int | str, **fields: Any) -> None:
        """Take in an object; its numbers are judged when the table crosses the border."""
        row = {'id': len(self.places) + 1, 'image_id': image_id, 'category_id': category, 'iscrowd': 0, **fields}
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
