"""Annotations: each with all the fields that pycocotools and mmdet read, of a picture and a class that exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import UserError
from .boxes import BoxFormat, Meaning, Sample, clip_box, judge_boxes, pixel_box, read_box, upright_box
from .categories import Categories
from .findings import Action, Findings
from .image_records import Picture, Progress, by_key
from .masks import Mask, Note, clean_mask, mask_area, mask_box, pixel_polygons
from .numbers import MAX_ID, are_plain, key, number, shown

#: By so many annotations, spread over all, it is judged what boxes mean.
_JUDGED = 20_000
#: COCO has 1 % of crowds; of more than this share, a tool may have meant something else.
_MANY_CROWDS = 0.2


@dataclass(frozen=True)
class AnnotationOptions:
    """How annotations are read.

    Attributes:
        box_format: what the four numbers of a box are; None to judge.
        masks_from_boxes: objects without a mask get their box as one.
        progress: is told what is done, how many of them, and of how many.
    """

    box_format: BoxFormat | None = None
    masks_from_boxes: bool = False
    progress: Progress | None = None


def clean_annotations(
    rows: list[Any],
    pictures: list[Picture],
    categories: Categories,
    file: str,
    findings: Findings,
    options: AnnotationOptions,
) -> list[dict[str, Any]]:
    """Work out the canonical annotations.

    Raises:
        UserError: what the boxes mean cannot be told; no object is left, or only crowds are.
    """
    known = by_key(pictures)
    step = max(1, len(rows) // _JUDGED)
    meaning = judge_boxes(_samples(rows[::step], known), file, options.box_format)
    if step > 1 and (meaning.fractions or meaning.corners):
        meaning = judge_boxes(_samples(rows, known), file, options.box_format)
    cleaner = _Cleaner(known, categories, meaning, file, findings, options)
    cleaned = []
    for place, row in enumerate(rows):
        if options.progress is not None and place % 1000 == 0:
            options.progress('annotations', place, len(rows))
        found = cleaner.annotation(row, place)
        if found is not None:
            cleaned.append(found)
    cleaner.tell_fillings(len(rows))
    _number(cleaned, file, findings)
    _check_trainable(cleaned, len(rows), file, findings)
    return cleaned


def _samples(rows: list[Any], pictures: dict[int | str, Picture]) -> Iterator[Sample]:
    for row in rows:
        box = read_box(row.get('bbox')) if isinstance(row, dict) else None
        picture = pictures.get(key(row.get('image_id'))) if box is not None else None  # type: ignore[arg-type]
        if box is not None and picture is not None:
            size = (picture.turn.width, picture.turn.height) if picture.turn else (picture.width, picture.height)
            yield Sample(box, *size, _extent(row.get('segmentation')))


def _extent(mask: Any) -> tuple[float, float, float, float] | None:
    """Corners around a mask's polygons; None if there are none of plain numbers."""
    if not isinstance(mask, list) or not mask:
        return None
    flat = [n for part in mask if isinstance(part, list) for n in part] if len(mask) > 1 else mask[0]
    if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2 or not are_plain(flat):
        return None
    return min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])


class _Cleaner:
    """What :func:`clean_annotations` does with one annotation after the other."""

    def __init__(
        self,
        pictures: dict[int | str, Picture],
        categories: Categories,
        meaning: Meaning,
        file: str,
        findings: Findings,
        options: AnnotationOptions,
    ) -> None:
        self.pictures, self.categories, self.meaning = pictures, categories, meaning
        self.file, self.findings, self.options = file, findings, options
        self.filled: Counter[tuple[str, str]] = Counter()
        self.seen: dict[tuple[Any, ...], dict[str, Any]] = {}

    def note(self, action: Action, row: Any, place: int, note: Note) -> None:
        its_id = row.get('id') if isinstance(row, dict) else None
        record = f'annotation {shown(its_id)}' if its_id is not None else f'annotation at {place}'
        self.findings.add(action, note[0], self.file, record, note[1])

    def annotation(self, row: Any, place: int) -> dict[str, Any] | None:
        """The canonical annotation; None if it is dropped."""
        found = self.references(row)
        if isinstance(found[0], str):
            self.note(Action.DROPPED, row, place, found)  # type: ignore[arg-type]
            return None
        picture, category = found
        given = row.get('segmentation')
        if self.meaning.fractions:
            seen = picture.turn or picture
            given = pixel_polygons(given, seen.width, seen.height)
        mask, mask_note = clean_mask(given, picture.width, picture.height, picture.turn)
        box, notes = self.box(row, picture, mask)
        if box is None:
            self.note(Action.DROPPED, row, place, notes[-1])
            return None
        crowd = self.crowd(row)
        cleaned = {'id': row.get('id'), 'image_id': picture.id, 'category_id': category, 'bbox': box, 'iscrowd': crowd}
        twin = self.seen.setdefault((picture.id, category, crowd, *box), cleaned)
        if mask is None and self.options.masks_from_boxes:
            mask = rectangle(box)
            self.filled['mask from box', 'had no mask; their box is their mask now'] += 1
        if twin is not cleaned and twin['segmentation'] == (mask or []):
            self.note(Action.DROPPED, row, place, ('object listed twice', f'as annotation {shown(twin["id"])}'))
            return None
        for note in notes if mask_note is None else [*notes, mask_note]:
            self.note(Action.REPAIRED, row, place, note)
        cleaned['area'] = self.area(row, picture, box, mask, changed=bool(notes))
        cleaned['segmentation'] = mask or []
        return cleaned

    def references(self, row: Any) -> tuple[Picture, int] | Note:
        """Picture and category of an annotation, or why it has none."""
        if not isinstance(row, dict):
            return 'annotation unreadable', shown(row)
        image_id, category_id = row.get('image_id'), row.get('category_id')
        picture = self.pictures.get(key(image_id))  # type: ignore[arg-type]
        if picture is None:
            return 'no such picture', f'image_id {shown(image_id)} is that of no picture'
        its_key = key(category_id)
        category = self.categories.ids.get(its_key)  # type: ignore[arg-type]
        if category is None:
            name = self.categories.left_out.get(its_key)  # type: ignore[arg-type]
            if name is not None:
                return 'class not wanted', f'{name!r} is none of the classes'
            return 'no such category', f'category_id {shown(category_id)} is that of no category'
        if type(image_id) is not int or type(category_id) is not int:
            self.filled['ids as text', 'refer to picture or category by text or a fraction'] += 1
        return picture, category

    def box(self, row: dict[str, Any], picture: Picture, mask: Mask | None) -> tuple[list[Any] | None, list[Note]]:
        """The box in the decoded picture, or why there is none, and what was done to it."""
        given: Any = row.get('bbox')
        written = read_box(given)
        if written is None or (mask is not None and not any(written)):  # of zeros alone: nobody has filled it in
            return self.box_of_mask(given, picture, mask)
        if written is not given:
            self.filled['numbers as text', 'have a box of text'] += 1
        seen = picture.turn or picture
        box = pixel_box(written, self.meaning, seen.width, seen.height)
        box, rotated = upright_box(box, row.get('attributes'))
        if picture.turn is not None:
            box = picture.turn.box(box)
        inside, note = clip_box(box, picture.width, picture.height)
        return inside, [one for one in (rotated, note) if one is not None]

    def box_of_mask(self, given: Any, picture: Picture, mask: Mask | None) -> tuple[list[Any] | None, list[Note]]:
        """The same where the file has no box of numbers."""
        if mask is None:
            return None, [('box not of numbers', f'bbox {shown(given)}, and no mask to take it from')]
        around, note = clip_box(mask_box(mask, picture.width, picture.height), picture.width, picture.height)
        if around is None:
            return None, [note] if note else []
        return around, [('no box', f'bbox {shown(given)}, now the box around its mask')]

    def crowd(self, row: dict[str, Any]) -> int:
        """1 for what is to be ignored. mmdet and COCOeval agree on ``iscrowd``, and not on ``ignore``."""
        given = row.get('iscrowd')
        value = int(given) if isinstance(given, bool) else number(given)
        if value is None:
            self.filled['no iscrowd', 'have no iscrowd, or one that is no number; 0 is written'] += 1
        elif value not in (0, 1):
            self.filled['odd iscrowd', 'have an iscrowd other than 0 and 1; 1 is written'] += 1
        if row.get('ignore') in (1, True, '1'):
            self.filled['ignore', 'have ignore, at which COCOeval does not look; iscrowd is written'] += 1
            return 1
        return int(bool(value))

    def area(self, row: dict[str, Any], picture: Picture, box: list[Any], mask: Mask | None, changed: bool) -> float:
        """Area as it stands in the file, or of the mask, or else of the box."""
        given = row.get('area')
        area = number(given)
        usual = area is not None and area > 0 and not isinstance(given, str)
        if usual and not changed and not self.meaning.fractions:
            return area  # type: ignore[return-value]
        if not usual:
            self.filled[
                'no area', 'have no area, or one that is no number above 0; that of mask or box is written'
            ] += 1
        computed = mask_area(mask, picture.width, picture.height) if mask is not None else 0.0
        return computed or box[2] * box[3]

    def tell_fillings(self, total: int) -> None:
        """What was done to many in the same way is told once, with the number of annotations."""
        for (kind, what), times in self.filled.items():
            self.findings.add(Action.REPAIRED, kind, self.file, 'annotations', f'{times:,} of {total:,} {what}', times)
        if self.meaning.fractions:
            reason = f'all {self.meaning.count:,} boxes are fractions of the picture; now pixels'
            self.findings.add(
                Action.REPAIRED, 'boxes as fractions', self.file, 'annotations', reason, self.meaning.count
            )
        if self.meaning.corners:
            reason = f'all {self.meaning.count:,} boxes are left, top, right, bottom; now left, top, width, height'
            self.findings.add(Action.REPAIRED, 'boxes as corners', self.file, 'annotations', reason, self.meaning.count)


def rectangle(box: list[Any]) -> Mask:
    """A box as a polygon."""
    x, y, width, height = box
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def _number(rows: list[dict[str, Any]], file: str, findings: Findings) -> None:
    """Ids from 1, unless all can be kept: COCOeval takes an object of id 0 for none."""
    ids = [row['id'] for row in rows]
    if all(type(one) is int and 0 < one < MAX_ID for one in ids) and len(set(ids)) == len(ids):
        return
    for number_, row in enumerate(rows, start=1):
        row['id'] = number_
    reason = 'absent, not unique, 0 or no numbers; all are numbered from 1'
    findings.add(Action.REPAIRED, 'annotation ids', file, 'annotations', reason, len(rows))


def _check_trainable(rows: list[dict[str, Any]], total: int, file: str, findings: Findings) -> None:
    crowds = sum(row['iscrowd'] for row in rows)
    if crowds < len(rows):
        if crowds > _MANY_CROWDS * len(rows):
            reason = f'{crowds:,} of {len(rows):,} objects are; nothing is learned from them. supervision marks so'
            findings.add(Action.DOUBTFUL, 'many crowds', file, 'annotations', f'{reason} what has holes or parts')
        return
    if rows:
        raise UserError(
            f'{file}: all {len(rows):,} objects are crowds (iscrowd or ignore), from which nothing is learned. Tools '
            'write iscrowd 1 for what was drawn with a brush; set it to 0 where it is one object.'
        )
    lines = '\n'.join(findings.summary([Action.DROPPED]))
    what = f'of {total:,} annotations none can be used' if total else 'there are no annotations'
    raise UserError(f'{file}: {what}.\n{lines}')
