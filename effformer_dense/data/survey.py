"""What a data set holds, counted, and how one of its pictures is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Survey:
    """A data set, looked through.

    Attributes:
        classes, palette: names, and RGB per class.
        unit: what ``counts`` are of, in the plural: objects, or pictures.
        counts: (C,) how many of them show a class.
        shown_in: per class, indices of pictures that show it.
        num_pictures: that were looked at.
        sizes: (P, 2) height and width of pictures, in px.
        boxes: (N, 2) height and width of objects in px; None where there are no objects.
        box_pictures: (N,) index of the picture of each.
        name: name of a picture.
        draw: picture with its annotations, (h, w, 3) uint8 RGB, that fits into a height and a width.
        notes: what should be known of it, one sentence each.
    """

    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    unit: str
    counts: np.ndarray
    shown_in: Sequence[Sequence[int]]
    num_pictures: int
    sizes: np.ndarray
    boxes: np.ndarray | None
    box_pictures: np.ndarray | None
    name: Callable[[int], str]
    draw: Callable[[int, int, int], np.ndarray]
    notes: Sequence[str] = ()

    def samples(self, label: int, count: int) -> list[int]:
        """Pictures that show a class, spread evenly over all that do."""
        pictures = self.shown_in[label]
        chosen = np.linspace(0, len(pictures) - 1, min(count, len(pictures))).round().astype(int)
        return [int(pictures[index]) for index in chosen]
