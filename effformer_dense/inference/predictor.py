"""What runs a network, as seen by those who feed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..results import Classes, Features, Result


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, or a frame of a video.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, upright.
        name: relative path of what is written of it, without suffix.
        file_name: that tables have of it.
        path: its file; None for a frame.
    """

    pixels: np.ndarray
    name: Path
    file_name: str
    path: Path | None = None

    @property
    def known_as(self) -> str:
        """By which annotation files may know it: its whole path, where it has one."""
        return self.file_name if self.path is None else self.path.absolute().as_posix()


class Predictor(Protocol):
    """A network and how pictures are brought to it."""

    task: str
    classes: Classes

    def read(self, path: Path, max_pixels: int) -> np.ndarray:
        """Picture as (H, W, 3) uint8, RGB; raises ``UserError`` for one that cannot be used."""

    def prepare(self, pixels: np.ndarray, path: Path | None = None) -> Any:
        """What the network needs of a picture, which :meth:`predict` gets; called in other threads, ahead of it.

        Args:
            pixels: (H, W, 3) uint8, RGB.
            path: the picture's file; None for a frame of a video.
        """

    def predict(self, prepared: Sequence[Any]) -> Sequence[Result | Features]:
        """Results of some pictures."""
