"""Records of pictures: found, measured, listed once, and numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...options import MAX_PIXELS
from ..headers import BrokenPictureError, Header, read_header
from .findings import Action, Findings
from .numbers import MAX_ID, key, shown, whole
from .orientation import INVERSE, SWAPPING, Turn
from .picture_folder import Match, PictureFolder, candidates, leaves
from .tree import is_text

Key = int | str
Progress = Callable[[str, int, int], None]
#: If more pictures than this share cannot be used, it is not they that are wrong.
_MAX_LOST = 0.5


@dataclass
class Picture:
    """A picture of the canonical table, and how to read the annotations of it.

    Attributes:
        id, file_name, width, height: of the canonical table; the size is that of the decoded picture.
        record: how the file's record is called in findings.
        keys: all ids by which the file's annotations call it.
        turn: what brings the file's coordinates to the decoded picture.
    """

    id: int
    file_name: str
    width: int
    height: int
    record: str
    keys: list[Key] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    turn: Turn | None = None

    @property
    def num_pixels(self) -> int:
        """0 as long as the size is not known."""
        return self.width * self.height

    def row(self) -> dict[str, Any]:
        """Of the canonical table."""
        return {'id': self.id, 'file_name': self.file_name, 'width': self.width, 'height': self.height}


@dataclass(frozen=True)
class ImageOptions:
    """How pictures are looked at.

    Attributes:
        opened: how many are opened at least; None for all.
        max_pixels: larger ones are left out.
        progress: is told what is done, how many of them, and of how many.
    """

    opened: int | None = None
    max_pixels: int = MAX_PIXELS
    progress: Progress | None = None


def clean_images(
    rows: list[Any], file: str, folder: PictureFolder | None, findings: Findings, options: ImageOptions
) -> list[Picture]:
    """Work out the canonical pictures.

    Args:
        rows: ``images`` of the file.
        file, findings: where notes go.
        folder: of the pictures; None: names and sizes of the file are taken for right.
        options: how they are looked at.

    Raises:
        UserError: none or less than half can be used; sizes of the file are not those of the pictures; sizes are
            neither in the file nor to be read; a name leads out of the folder.
    """
    if not rows:
        lines = ''.join(f'\n{line}' for line in findings.summary([Action.DROPPED]))
        raise UserError(f'{file} lists no pictures.{lines}')
    cleaner = _Cleaner(file, folder, findings, options)
    pictures = cleaner.one_per_id(cleaner.one_per_file(cleaner.readable(rows)))
    pictures = cleaner.measured(pictures)
    if len(pictures) <= (1 - _MAX_LOST) * len(rows) and len(pictures) < len(rows) - cleaner.repeated:
        lines = '\n'.join(findings.summary([Action.DROPPED]))
        where = f'; the pictures were looked for in {folder.root}' if folder else ''
        raise UserError(f'{file}: of {len(rows):,} pictures {len(pictures):,} can be used{where}.\n{lines}')
    return cleaner.numbered(pictures)


@dataclass
class _Found:
    """A record whose picture was found."""

    row: dict[str, Any]
    record: str
    name: str
    match: Match


class _Cleaner:
    """The steps of :func:`clean_images`, which share where notes go."""

    def __init__(self, file: str, folder: PictureFolder | None, findings: Findings, options: ImageOptions) -> None:
        self.file, self.folder, self.findings, self.options = file, folder, findings, options
        self.repeated = 0  # records that say again what another says
        self.odd_ids = 0  # ids that are absent, or no whole numbers as they stand

    def note(self, action: Action, kind: str, record: str, reason: str) -> None:
        self.findings.add(action, kind, self.file, record, reason)

    def readable(self, rows: list[Any]) -> list[_Found]:
        """Records that name a picture that is there."""
        found = []
        for place, row in enumerate(rows):
            self.advance('pictures found', place, len(rows))
            name = row.get('file_name') if isinstance(row, dict) else None
            if not isinstance(name, str) or not name.strip():
                self.note(Action.DROPPED, 'picture without name', f'image at {place}', shown(row))
                continue
            record = f'image {shown(row.get("id"))}, {_printed(name)}'
            match = self.find(name)
            if match is None:
                self.note(
                    Action.DROPPED, 'picture missing', record, f'not in {self.folder.root if self.folder else "?"}'
                )
            elif match.num_bytes == 0:
                self.note(Action.DROPPED, 'picture empty', record, 'the file is empty')
            else:
                found.append(_Found(row, record, name, match))
        return found

    def find(self, name: str) -> Match | None:
        if self.folder is not None:
            return self.folder.find(name)
        named = next(iter(candidates(name)), None)
        if named is None or '\0' in name or not is_text(name):
            return None
        if leaves(name):
            raise UserError(f'{self.file} names {shown(name)}, which leads out of the folder of the pictures.')
        return Match(named[0], named[1], False, 1)

    def one_per_file(self, found: list[_Found]) -> list[Picture]:
        """Records of the same picture become one, if no other picture has its name."""
        exact = {one.match.name for one in found if not one.match.loose}
        loose = Counter(one.match.name for one in found if one.match.loose)
        shared = self.shared(found)
        pictures: dict[str, Picture] = {}
        for one in found:
            name = one.match.name
            if name in shared:
                reason = f'{name} is that of several records, and other pictures are called so, too'
                self.note(Action.DROPPED, 'picture ambiguous', one.record, reason)
                continue
            if one.match.loose and (name in exact or loose[name] > 1):
                self.note(Action.DROPPED, 'picture ambiguous', one.record, f'{name} fits the names of several records')
                continue
            if one.match.how is not None:
                self.note(Action.REPAIRED, 'file name', one.record, f'{one.match.how}: {name}')
            its_key = key(one.row.get('id'))
            self.odd_ids += type(one.row.get('id')) is not int
            keys = [] if its_key is None else [its_key]
            if name in pictures:
                self.repeated += 1
                pictures[name].keys += keys
                pictures[name].names.append(one.name)
                self.note(Action.REPAIRED, 'picture listed twice', one.record, f'joined with {pictures[name].record}')
                continue
            width, height = (max(whole(one.row.get(side)) or 0, 0) for side in ('width', 'height'))
            if width != one.row.get('width') or height != one.row.get('height'):
                width, height = self.odd_size(one, width, height)
            pictures[name] = Picture(0, name, width, height, one.record, keys, [one.name])
        return list(pictures.values())

    def shared(self, found: list[_Found]) -> set[str]:
        """Pictures of several records, of which some may mean others that are called alike in other folders."""
        ids: dict[str, set[Key | None]] = {}
        for one in found:
            ids.setdefault(one.match.name, set()).add(key(one.row.get('id')))
        several = [name for name, keys in ids.items() if len(keys) > 1]
        return {name for name in several if self.folder is not None and self.folder.namesakes(name) > 1}

    def odd_size(self, one: _Found, width: int, height: int) -> tuple[int, int]:
        """A size that is absent, no number, or text."""
        if width and height:
            self.note(Action.REPAIRED, 'size as text', one.record, f'{width} x {height} px')
            return width, height
        return 0, 0

    def one_per_id(self, pictures: list[Picture]) -> list[Picture]:
        """An id that several pictures have belongs to none of them: nobody knows whose the annotations are."""
        owners = Counter(its_key for picture in pictures for its_key in set(picture.keys))
        kept = []
        for picture in pictures:
            shared = [its_key for its_key in picture.keys if owners[its_key] > 1]
            if shared:
                self.note(
                    Action.DROPPED, 'picture id not unique', picture.record, f'other pictures have it too: {shared[0]}'
                )
            else:
                kept.append(picture)
        return kept

    def measured(self, pictures: list[Picture]) -> list[Picture]:
        """Pictures with the size that they have when decoded."""
        opened = len(pictures) if self.options.opened is None else self.options.opened
        step = max(1, -(-len(pictures) // opened)) if opened > 0 else 0
        kept, wrong = [], []
        for place, picture in enumerate(pictures):
            self.advance('pictures measured', place, len(pictures))
            is_chosen = step > 0 and place % step == 0
            if self.folder is None or not (is_chosen or picture.num_pixels == 0):
                kept += [picture] if self.is_sized(picture) else []
                continue
            try:
                header = read_header(Path(self.folder.root, picture.file_name), self.options.max_pixels, is_chosen)
            except BrokenPictureError as error:
                self.note(Action.DROPPED, 'picture broken', picture.record, str(error))
                continue
            fitted = self.fitted(picture, header)
            if fitted is not None:
                kept.append(fitted)
            else:
                sizes = (
                    f'{picture.width} x {picture.height} px in the file, {header.width} x {header.height} px decoded'
                )
                wrong.append(f'{picture.record}: {sizes}')
        if wrong:
            raise UserError(
                f'{self.file}: {len(wrong):,} pictures have another size than the file says, so their annotations do '
                f'not fit: {"; ".join(wrong[:3])}{"; ..." * (len(wrong) > 3)}. Get the pictures that were annotated, '
                'or export the annotations for these.'
            )
        return kept

    def is_sized(self, picture: Picture) -> bool:
        """Whether the file has a size for a picture that is not opened, within the limit.

        Raises:
            UserError: it has none.
        """
        if picture.num_pixels == 0:
            raise UserError(
                f'{self.file}: {picture.record} has no width and height, and its folder is not known. Name the folder.'
            )
        if picture.num_pixels <= self.options.max_pixels:
            return True
        size = f'{picture.width} x {picture.height} px'
        self.note(Action.DROPPED, 'picture too large', picture.record, f'{size}: raise --max-pixels')
        return False

    def fitted(self, picture: Picture, header: Header) -> Picture | None:
        """A picture with the size of its header; None if the file's is another one that EXIF does not explain."""
        size, there = (picture.width, picture.height), (header.width, header.height)
        swaps = header.orientation in SWAPPING
        if picture.num_pixels == 0:
            self.note(Action.REPAIRED, 'no width or height', picture.record, f'{there[0]} x {there[1]} px, read')
        if picture.num_pixels == 0 or size == there:
            if header.orientation > 1 and (not swaps or there[0] == there[1] or picture.num_pixels == 0):
                reason = f'EXIF orientation {header.orientation}: no size tells whether the tool had turned it'
                self.note(Action.DOUBTFUL, 'EXIF orientation', picture.record, reason)
            return replace(picture, width=there[0], height=there[1])
        if size != there[::-1] or not swaps:
            return None
        orientation = header.orientation if header.turned else INVERSE[header.orientation]
        reason = f'{size[0]} x {size[1]} px, decoded {there[0]} x {there[1]} (orientation {header.orientation}); turned'
        self.note(Action.REPAIRED, 'EXIF orientation', picture.record, reason)
        return replace(picture, width=there[0], height=there[1], turn=Turn(orientation, *size))

    def numbered(self, pictures: list[Picture]) -> list[Picture]:
        """Pictures with ids: their own if all can be kept."""
        ids = [picture.keys[0] if picture.keys else None for picture in pictures]
        kept = all(isinstance(one, int) and 0 <= one < MAX_ID for one in ids)
        if not kept or self.odd_ids:
            reason = 'text or fractions; now numbers' if kept else 'absent or no numbers; all are numbered from 1'
            self.findings.add(Action.REPAIRED, 'picture ids', self.file, 'images', reason, len(pictures))
        numbers = ids if kept else range(1, len(pictures) + 1)
        return [replace(picture, id=one) for picture, one in zip(pictures, numbers, strict=True)]  # type: ignore[arg-type]

    def advance(self, what: str, done: int, total: int) -> None:
        if self.options.progress is not None and done % 1000 == 0:
            self.options.progress(what, done, total)


def by_key(pictures: list[Picture]) -> dict[Key, Picture]:
    """Pictures by what annotations may call them: an id, or else the name of the file, with or without its suffix."""
    found: dict[Key, Picture] = {}
    for picture in pictures:
        for its_key in picture.keys:
            found.setdefault(its_key, picture)
    named: dict[str, list[Picture]] = {}
    for picture in pictures:
        last = picture.file_name.rpartition('/')[2]
        for name in {*picture.names, last, last.rpartition('.')[0]}:
            named.setdefault(name, []).append(picture)
    for name, those in named.items():
        name_key = key(name)
        if len(those) == 1 and isinstance(name_key, str):
            found.setdefault(name_key, those[0])
    return found


def _printed(name: str) -> str:
    return name if name.isprintable() and len(name) < 200 else shown(name)
