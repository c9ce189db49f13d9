"""Sizes of pictures as they are typed."""

from __future__ import annotations

import re

from ..errors import UserError


def to_shape(text: str, batch: int = 1) -> tuple[int, int, int]:
    """'512' to a square, '800x1344' to (batch, height, width), '8x224x224' to another batch."""
    match = re.fullmatch(r'(?:(?:(\d+)x)?(\d+)x)?(\d+)', text)
    if match is None or match[1] == '0':
        raise UserError(
            f'--sizes takes SIDE, HEIGHTxWIDTH or BATCHxHEIGHTxWIDTH, such as 512, 800x1344 or 8x224x224; got {text!r}.'
        )
    return int(match[1] or batch), int(match[2] or match[3]), int(match[3])


def to_pixels(text: str) -> tuple[int, int]:
    """'512' to a square, '800x1344' to (height, width)."""
    match = re.fullmatch(r'(?:(\d+)x)?(\d+)', text)
    if match is None:
        raise UserError(f'--size takes SIDE or HEIGHTxWIDTH, such as 512 or 800x1344; got {text!r}.')
    return int(match[1] or match[2]), int(match[2])
