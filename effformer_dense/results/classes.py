"""Names, colours and numbers of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..drawing import colours_of

#: The 80 classes of COCO detection have ids from 1 to 90, with these ten left out.
_UNUSED_COCO_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
_COCO_IDS = tuple(number for number in range(1, 91) if number not in _UNUSED_COCO_IDS)


@dataclass(frozen=True)
class Classes:
    """The classes that a network tells apart, in the order of its labels.

    Attributes:
        names: of each class.
        palette: its colour (R, G, B).
        numbers: how files name it: its category id, or its value in segmentation maps.
    """

    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    numbers: tuple[int, ...]

    @classmethod
    def of_detection(cls, names: Sequence[str], palette: Any = None) -> Classes:
        """Classes of a detector, see :func:`category_ids`; colours are made where there is no palette of them."""
        names = tuple(map(str, names))
        return cls(names, _colours(colours_of(palette, len(names))), tuple(category_ids(names)))

    @classmethod
    def of_segmentation(cls, names: Sequence[str], palette: Sequence[Sequence[int]], numbers: Sequence[int]) -> Classes:
        """Classes of a segmentor; ``numbers`` are their values in segmentation maps."""
        colours = _colours(colours_of(palette, len(names)))
        return cls(tuple(map(str, names)), colours, tuple(map(int, numbers[: len(names)])))

    def name(self, label: int) -> str:
        """Name of a class; made of its label where it has none."""
        return self.names[label] if label < len(self.names) else f'class {label}'


def category_ids(classes: Sequence[str]) -> list[int]:
    """Category id of each class: COCO's own for COCO's classes, otherwise 1, 2, 3, ..."""
    is_coco = len(classes) == len(_COCO_IDS) and classes[0] == 'person' and classes[-1] == 'toothbrush'
    return list(_COCO_IDS if is_coco else range(1, len(classes) + 1))


def _colours(palette: Sequence[Sequence[int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((int(red), int(green), int(blue)) for red, green, blue in palette)
