"""Whether the labels of a data set's segmentation maps leave anything to learn or to score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...errors import UserError, some_of
from ..headers import Header
from .findings import Action, Findings

#: So many classes that no map has are named.
_NAMED_CLASSES = 20


@dataclass(frozen=True)
class Labels:
    """What the pixels of a data set's maps are.

    Attributes:
        classes: names.
        pixels: how many pixels each class has.
        values: what stands in the files, in words.
        maps: which maps were looked at, in words.
        all_maps: whether these are all.
    """

    classes: Sequence[str]
    pixels: Sequence[int]
    values: str
    maps: str
    all_maps: bool = True


def check_labels(labels: Labels, findings: Findings, scored: bool = False) -> None:
    """Something is labelled, and as more than one class.

    Args:
        labels: of the data set.
        findings: takes note of classes that no map has, if all maps were looked at.
        scored: the maps are scored against, and not learned from; a single class can be scored.

    Raises:
        UserError: nothing can be learned, or scored.
    """
    present = [name for name, count in zip(labels.classes, labels.pixels, strict=True) if count]
    if not present:
        raise UserError(
            f'Every pixel of every map is unlabelled ({labels.maps} with values {labels.values}), so nothing can be '
            f'{"scored" if scored else "learned"}. Export the maps with their classes.'
        )
    if len(present) < 2 and not scored:
        raise UserError(
            f'Every pixel that is labelled is {present[0]!r}: nothing is left to tell apart. Export the background as '
            f'a class of its own. The maps have the values {labels.values}; 255 means unlabelled, but in masks of 0 '
            'and 255 with two classes.'
        )
    if len(present) < 2:
        reason = f'every labelled pixel of {labels.maps} is {present[0]!r}: whatever always says so scores 100 %'
        findings.add(Action.DOUBTFUL, 'one class alone', 'maps', '', reason)
    absent = [name for name, count in zip(labels.classes, labels.pixels, strict=True) if not count]
    if absent and labels.all_maps:
        reason = f'no pixel of {labels.maps} is {some_of(map(repr, absent), _NAMED_CLASSES)}'
        findings.add(Action.DOUBTFUL, 'class in no file', 'maps', '', reason, len(absent))


@dataclass
class Palettes:
    """Colours that a number has in maps with a palette.

    Programs that turn coloured maps into ones with a palette give the numbers anew in each file, as colours come.
    """

    _seen: dict[int, tuple[bytes, str]] = field(default_factory=dict)
    _is_told: bool = False

    def look(self, file: str, header: Header, values: Iterable[int], findings: Findings) -> None:
        """Take note of the first number that has another colour than in a file before.

        Args:
            file, header: of a map.
            values: that its pixels have.
            findings: takes note.
        """
        for value in values:
            colour = header.palette[3 * value : 3 * value + 3]
            if self._is_told or len(colour) < 3:
                return
            before, where = self._seen.setdefault(value, (colour, file))
            if colour != before:
                reason = (
                    f'{value} is {tuple(colour)} here and {tuple(before)} in {where}: do numbers mean another class in '
                    'each file? Then export colours without a palette'
                )
                findings.add(Action.DOUBTFUL, 'palettes differ', file, '', reason)
                self._is_told = True
