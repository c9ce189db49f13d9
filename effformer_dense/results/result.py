"""What every result can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from .classes import Classes


@dataclass(frozen=True, eq=False)
class Result(ABC):
    """What a network predicts on a picture.

    Attributes:
        picture: (H, W, 3) uint8, RGB, upright and at its own size; all coordinates are of it.
        classes: that labels are indices of.
    """

    picture: np.ndarray
    classes: Classes

    @abstractmethod
    def draw(self, score_threshold: float = 0.5) -> np.ndarray:
        """The picture with what is predicted: (H', W', 3) uint8, RGB.

        Args:
            score_threshold: lowest score of a drawn instance.
        """

    @abstractmethod
    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """Entries of a COCO results file, as ``pycocotools.coco.COCO.loadRes`` reads them.

        Args:
            image_id: of the picture in the annotation file.
        """

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """Lines of a table, by the names of its columns."""
