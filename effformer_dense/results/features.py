"""Feature maps of a backbone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Features:
    """Maps of a picture.

    Attributes:
        picture: (H, W, 3) uint8, RGB, upright and at its own size.
        stages: (C, H', W') float32 each, from fine to coarse, of the network's input: that is the picture after it was
            resized, and within a file for one size padded below and to the right.
        names: of the stages, ``stage1`` for stride 4.
    """

    picture: np.ndarray
    stages: tuple[np.ndarray, ...]
    names: tuple[str, ...]
