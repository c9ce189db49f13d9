"""Detected instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..drawing import Instances, draw_enlarged
from .masks import run_lengths
from .result import Result


@dataclass(frozen=True, eq=False)
class Detections(Result):
    """N objects of a picture.

    Attributes:
        boxes: (N, 4) float, left, top, right, bottom in px.
        labels: (N,) int, indices of classes.
        scores: (N,) float, 0 to 1; None for the segments of a panoptic model, which have none.
        masks: (N, H, W) bool; None for a model without.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    masks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def instances(self) -> Instances:
        """To be drawn; segments without boxes around them."""
        return Instances(self.boxes, self.labels, self.scores, self.masks, framed=self.scores is not None)

    def draw(self, score_threshold: float = 0.5) -> np.ndarray:
        """Boxes, masks and names; see :func:`..drawing.draw_enlarged`."""
        found = self.instances.above(score_threshold)
        return draw_enlarged(self.picture, found, self.classes.names, self.classes.palette)

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """An entry for each object with ``bbox``, ``area``, ``score`` and, with masks, ``segmentation``.

        None for the segments of a panoptic model: COCO scores those by files of another form.
        """
        if self.scores is None:
            return []
        entries = []
        for index, (x1, y1, x2, y2) in enumerate(np.asarray(self.boxes, dtype=float).tolist()):
            entry = {
                'image_id': image_id,
                'category_id': self._number(index),
                'bbox': [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)],
                'area': round((x2 - x1) * (y2 - y1), 3),
                'score': round(float(self.scores[index]), 6),
            }
            if self.masks is not None:
                entry['area'] = int(self.masks[index].sum())
                entry['segmentation'] = run_lengths(self.masks[index])
            entries.append(entry)
        return entries

    def rows(self) -> list[dict[str, Any]]:
        """An object each: class, category id, score, corners of its box and, with masks, how many px it has."""
        rows = []
        for index, corners in enumerate(np.asarray(self.boxes, dtype=float).tolist()):
            row: dict[str, Any] = {'class': self.classes.name(int(self.labels[index])), 'number': self._number(index)}
            row['score'] = '' if self.scores is None else round(float(self.scores[index]), 6)
            row.update(zip(('x1', 'y1', 'x2', 'y2'), (round(value, 3) for value in corners), strict=True))
            row['mask_px'] = '' if self.masks is None else int(self.masks[index].sum())
            rows.append(row)
        return rows

    def _number(self, index: int) -> int:
        label = int(self.labels[index])
        return self.classes.numbers[label] if label < len(self.classes.numbers) else label + 1
