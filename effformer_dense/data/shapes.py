"""Seeded scenes of textured shapes: something to learn from without any download.

A scene is a textured ground with noise and several shapes, later ones over earlier ones; masks are the visible
parts. Everything follows from ``(seed, split, index)``, so that any scene can be made again alone.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

CLASSES = ('disc', 'square', 'triangle', 'star', 'cross')
PALETTE = [(230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48)]

#: Part of what identifies generated data: raise it when the same seed gives other pixels.
GENERATOR_VERSION = 1

_MAX_SHAPES = 6
_MIN_RADIUS, _MAX_RADIUS = 0.09, 0.24  # of the picture's side
_MIN_VISIBLE = 0.5  # of a shape's own area, so that nobody has to guess what it is
_PLACE_TRIES = 10
_NOISE_STD = 10.0


@dataclass(frozen=True)
class Scene:
    """One picture and what is in it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        masks: (N, H, W) bool, visible parts, disjoint.
        labels: (N,) int64, indices into :data:`CLASSES`.
    """

    image: np.ndarray
    masks: np.ndarray
    labels: np.ndarray


def make_scene(seed: int, split: str, index: int, size_px: int) -> Scene:
    """Draw one scene.

    Args:
        seed: of the whole data set.
        split: name of the split; splits never share a scene.
        index: of the scene in its split.
        size_px: side of the square picture.
    """
    rng = np.random.default_rng([seed, zlib.crc32(split.encode()), index])
    image = _texture(rng, size_px, contrast=30.0)
    whole: list[np.ndarray] = []  # every shape without occlusion, in order of painting
    labels: list[int] = []
    for _ in range(rng.integers(2, _MAX_SHAPES + 1)):
        label = int(rng.integers(len(CLASSES)))
        mask = _find_place(rng, label, size_px, whole)
        if mask is None:
            continue
        image[mask] = _texture(rng, size_px, contrast=25.0)[mask]
        whole.append(mask)
        labels.append(label)
    image = image + rng.normal(0, _NOISE_STD, image.shape)
    return Scene(
        image=image.clip(0, 255).astype(np.uint8),
        masks=np.stack(_visible_parts(whole)),
        labels=np.array(labels, dtype=np.int64),
    )


def _find_place(rng: np.random.Generator, label: int, size_px: int, whole: list[np.ndarray]) -> np.ndarray | None:
    """Mask of a new shape that leaves enough of every earlier one; None if a few tries find no place."""
    for _ in range(_PLACE_TRIES):
        mask = _draw_mask(rng, label, size_px)
        parts = _visible_parts([*whole, mask])
        if all(part.sum() >= _MIN_VISIBLE * shape.sum() for part, shape in zip(parts, whole, strict=False)):
            return mask
    return None


def _visible_parts(whole: list[np.ndarray]) -> list[np.ndarray]:
    """What later shapes leave of each."""
    covered = np.zeros_like(whole[0])
    parts = []
    for mask in reversed(whole):
        parts.append(mask & ~covered)
        covered |= mask
    return parts[::-1]


def _draw_mask(rng: np.random.Generator, label: int, size_px: int) -> np.ndarray:
    """Mask of one shape at a random place, size and angle; its centre lies inside the picture."""
    radius = size_px * rng.uniform(_MIN_RADIUS, _MAX_RADIUS)
    centre_y, centre_x = rng.uniform(0.5 * radius, size_px - 0.5 * radius, size=2)
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[:size_px, :size_px].astype(np.float64)
    y, x = (y - centre_y) / radius, (x - centre_x) / radius
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return _INSIDE[CLASSES[label]](u, v)


def _inside_polygon(u: np.ndarray, v: np.ndarray, corners: int) -> np.ndarray:
    """Regular polygon with circumradius 1."""
    angles = 2 * math.pi * (np.arange(corners) + 0.5) / corners
    apothem = math.cos(math.pi / corners)
    return np.all([u * math.cos(a) + v * math.sin(a) <= apothem for a in angles], axis=0)


def _inside_star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Five-pointed star: radius falls from 1 at a point to 0.42 between points."""
    radius, phase = np.hypot(u, v), np.arctan2(v, u) % (2 * math.pi / 5)
    from_point = np.abs(phase - math.pi / 5) / (math.pi / 5)  # 1 at a point, 0 between two
    return radius <= 0.42 + 0.58 * from_point**1.5


def _inside_cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    arms = (np.abs(u) <= 0.3) | (np.abs(v) <= 0.3)
    return arms & (np.abs(u) <= 0.95) & (np.abs(v) <= 0.95)


_INSIDE = {
    'disc': lambda u, v: u**2 + v**2 <= 0.85**2,
    'square': lambda u, v: _inside_polygon(u, v, 4),
    'triangle': lambda u, v: _inside_polygon(u, v, 3),
    'star': _inside_star,
    'cross': _inside_cross,
}


def _texture(rng: np.random.Generator, size_px: int, contrast: float) -> np.ndarray:
    """Random colour, slow blotches and a grating: (size, size, 3) float."""
    colour = rng.uniform(40, 215, 3)
    blotches = _smooth_noise(rng, size_px, cells=int(rng.integers(3, 9)))
    y, x = np.mgrid[:size_px, :size_px]
    angle, period = rng.uniform(0, math.pi), rng.uniform(5, 16)
    grating = np.sin(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / period)
    pattern = blotches + rng.uniform(0, 0.8) * grating
    return colour + contrast * pattern[:, :, None] * rng.uniform(0.5, 1.0, 3)


def _smooth_noise(rng: np.random.Generator, size_px: int, cells: int) -> np.ndarray:
    """Unit normal noise on a coarse grid, bilinearly enlarged."""
    grid = rng.standard_normal((cells + 1, cells + 1))
    position = np.linspace(0, cells, size_px, endpoint=False)
    low = position.astype(int)
    part = position - low
    rows = grid[low] * (1 - part)[:, None] + grid[low + 1] * part[:, None]  # (size, cells + 1)
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part
