"""A class for every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .masks import run_lengths
from .overlays import colour_map, overlay, with_legend
from .result import Result


@dataclass(frozen=True, eq=False)
class Segmentation(Result):
    """A labelled picture.

    Attributes:
        labels: (H, W) uint8, indices of classes.
    """

    labels: np.ndarray

    def draw(self, score_threshold: float = 0.5) -> np.ndarray:
        """Colours laid over the picture, at its own size; there are no scores."""
        return overlay(self.picture, self.labels, self.classes.palette)

    def draw_map(self) -> np.ndarray:
        """Colours alone, with a legend to the right: (H', W', 3) uint8, RGB."""
        colours = colour_map(self.labels, self.classes.palette)
        return with_legend(colours, self.labels, self.classes.names, self.classes.palette)

    def to_map(self) -> np.ndarray:
        """Segmentation map, (H, W) uint8, numbered as the annotations of the data set are."""
        return np.array(self.classes.numbers, np.uint8)[self.labels]

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """An entry for each class that occurs, with its mask: the form in which COCO-Stuff is scored."""
        return [
            {
                'image_id': image_id,
                'category_id': self.classes.numbers[label],
                'segmentation': run_lengths(self.labels == label),
            }
            for label in np.unique(self.labels).tolist()
        ]

    def rows(self) -> list[dict[str, Any]]:
        """A class each that occurs, most frequent first: its number, its pixels and their share."""
        counts = np.bincount(self.labels.ravel(), minlength=256)
        return [
            {
                'class': self.classes.name(label),
                'number': self.classes.numbers[label],
                'pixels': int(counts[label]),
                'share': round(counts[label] / self.labels.size, 6),
            }
            for label in np.argsort(-counts, kind='stable').tolist()
            if counts[label]
        ]
