"""Boxes of objects: what a file's four numbers mean, judged over all of them, and one box within its picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, radians, sin
from typing import Any, Literal

from ...errors import UserError
from .masks import ROUNDING_PX, Note
from .numbers import number, numbers, shown

#: The ways to write a box: left, top, width, height as COCO has it; or left, top, right, bottom.
BoxFormat = Literal['xywh', 'corners']

#: mmdet leaves out narrower boxes without a word.
MIN_SIDE_PX = 1.0
#: COCO boxes may lie partly outside; of more than this share, something else is wrong.
_MOST, _SOME, _NEARLY_ALL = 0.5, 0.1, 0.99
_FEW_BOXES = 20


@dataclass(frozen=True)
class Meaning:
    """How a file writes boxes.

    Attributes:
        fractions: they are parts of the picture's width and height.
        corners: the last two numbers are the right and lower side.
        count: of the boxes that say so.
    """

    fractions: bool
    corners: bool
    count: int


@dataclass(frozen=True)
class Sample:
    """A box as it stands in a file, its picture's size as the file has it, and the extent of its mask if it has one."""

    box: list[int | float]
    width: int
    height: int
    extent: tuple[float, float, float, float] | None


def judge_boxes(samples: Iterable[Sample], file: str, box_format: BoxFormat | None = None) -> Meaning:
    """Work out how a file writes its boxes.

    Args:
        samples: all boxes of four finite numbers.
        file: named in errors.
        box_format: for who knows; None to judge.

    Raises:
        UserError: most boxes lead out of their pictures, or both ways would fit.
    """
    count = leading_out = as_corners = fractions = masked = masks_of_corners = masks_of_sizes = 0
    for sample in samples:
        count += 1
        x, y, third, fourth = sample.box
        in_unit = 0 <= x <= 1 and 0 <= y <= 1 and 0 < third <= 1 and 0 < fourth <= 1
        fractions += in_unit
        width, height = (1, 1) if in_unit else (sample.width, sample.height)
        slack = 0.01 if in_unit else 1.0
        leading_out += x + third > width + slack or y + fourth > height + slack
        as_corners += third > x and fourth > y and third <= width + slack and fourth <= height + slack
        if sample.extent is not None and not in_unit:
            masked += 1
            masks_of_corners += _is_near(sample.extent, (x, y, third, fourth))
            masks_of_sizes += _is_near(sample.extent, (x, y, x + third, y + fourth))
    is_fractions = count > 0 and fractions == count
    if box_format is not None:
        if box_format == 'xywh' and leading_out > _MOST * count:
            raise UserError(
                f'{file}: {leading_out:,} of {count:,} boxes lead out of their pictures. Were they made for '
                'pictures of another size? Export them again for these pictures.'
            )
        return Meaning(is_fractions, box_format == 'corners', count)
    fitting = as_corners >= _NEARLY_ALL * count
    if max(masks_of_corners, masks_of_sizes) > _MOST * masked:
        return Meaning(is_fractions, masks_of_corners > masks_of_sizes, count)
    if leading_out <= _SOME * count or (not fitting and leading_out <= _MOST * count):
        return Meaning(is_fractions, False, count)
    if leading_out > _MOST * count and fitting:
        return Meaning(is_fractions, True, count)
    what = f'{leading_out:,} of {count:,} boxes lead out of their pictures if they are left, top, width, height'
    if not fitting:
        raise UserError(
            f'{file}: {what}, and they are no corners either. Were they made for pictures of another size, or are they '
            'centres? Export them again for these pictures.'
        )
    if count < _FEW_BOXES and leading_out <= _MOST * count:
        return Meaning(is_fractions, False, count)
    raise UserError(f'{file}: {what}, and all fit as corners. Say which they are: --box-format xywh or corners.')


def _is_near(extent: tuple[float, ...], corners: tuple[float, ...]) -> bool:
    return all(abs(a - b) <= 2 for a, b in zip(extent, corners, strict=True))


def pixel_box(box: list[int | float], meaning: Meaning, width: int, height: int) -> list[int | float]:
    """A file's four numbers as left, top, width, height in pixels."""
    if not (meaning.fractions or meaning.corners):
        return box
    x, y, third, fourth = box
    if meaning.fractions:
        x, y, third, fourth = x * width, y * height, third * width, fourth * height
    return [x, y, third - x, fourth - y] if meaning.corners else [x, y, third, fourth]


def upright_box(box: list[int | float], attributes: Any) -> tuple[list[int | float], Note | None]:
    """The box around a rotated rectangle, which CVAT writes as it was before it was rotated."""
    if not isinstance(attributes, dict):
        return box, None
    angle = number(attributes.get('rotation'))
    if not angle or angle % 180 == 0:
        return box, None
    x, y, width, height = box
    across, down = abs(cos(radians(angle))), abs(sin(radians(angle)))
    wide, high = width * across + height * down, width * down + height * across
    around = [x + (width - wide) / 2, y + (height - high) / 2, wide, high]
    return around, ('box rotated', f'rotation {angle:g} degrees: {shown(box)}, now the box around it')


def clip_box(box: list[int | float], width: int, height: int) -> tuple[list[int | float] | None, Note | None]:
    """The part of a box (x, y, width, height) in its picture.

    Returns:
        The box, None if less than a pixel is left; and what was done, None if nothing was.
    """
    x, y, wide, high = box
    note: Note | None = None
    if wide < 0 or high < 0:
        x, wide = (x + wide, -wide) if wide < 0 else (x, wide)
        y, high = (y + high, -high) if high < 0 else (y, high)
        note = 'box of negative size', f'{shown(box)}, read from right to left or upwards'
    far = max(-x, -y, x + wide - width, y + high - height)
    if far <= 0:
        inside = [x, y, wide, high]
    else:
        left, top = max(x, 0), max(y, 0)
        inside = [left, top, min(x + wide, width) - left, min(y + high, height) - top]
        if inside[2] <= 0 or inside[3] <= 0:
            return None, ('box outside', f'{shown(box)} does not touch the picture of {width} x {height} px')
        if far > ROUNDING_PX:
            note = 'box partly outside', f'{shown(box)}, clipped to {width} x {height} px'
    if inside[2] < MIN_SIDE_PX or inside[3] < MIN_SIDE_PX:
        return None, ('box under a pixel', f'{shown(box)} in a picture of {width} x {height} px')
    return inside, note


def read_box(value: Any) -> list[int | float] | None:
    """Four finite numbers; None for anything else."""
    return numbers(value, 4)
