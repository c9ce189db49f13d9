"""COCO's run lengths: checked in Python before pycocotools, which trusts them, sees any.

A mask is read column by column as runs of zeros and ones in turn, zeros first. pycocotools writes runs as numbers, or
compressed as text: six bits per character, from the third run on as the difference to the one before the last.
"""

from __future__ import annotations

import ast
from typing import Any

from .numbers import whole

_MAX_CHARACTERS_PER_RUN = 7  # 35 bits, more than a picture has pixels


def read_runs(counts: Any, num_pixels: int) -> list[int] | None:
    """Run lengths out of ``counts``, compressed or not.

    Args:
        counts: list of numbers, or text.
        num_pixels: of the picture, which the runs must fill.

    Returns:
        Runs; None if these are no run lengths of such a picture.
    """
    runs: list[int] | None
    if isinstance(counts, str):
        runs = _decompressed(_unquoted(counts))
    elif isinstance(counts, list):
        found = [whole(count) for count in counts]
        runs = None if None in found else found  # type: ignore[assignment]
    else:
        return None
    if not runs or min(runs) < 0 or sum(runs) != num_pixels:
        return None
    return runs


def _decompressed(text: str) -> list[int] | None:
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 5 * _MAX_CHARACTERS_PER_RUN:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        runs.append(value)
        value = shift = 0
    return None if shift else runs  # cut off within a run


def _unquoted(text: str) -> str:
    """What was meant by bytes that a program wrote as Python prints them."""
    if text[:2] in ("b'", 'b"') and text[-1:] == text[1:2]:
        try:
            return ast.literal_eval(text).decode('latin-1')
        except (ValueError, SyntaxError, MemoryError, AttributeError):
            return text
    return text


def joined(runs: list[int]) -> list[int]:
    """Without empty runs but the first, over which pycocotools' boxes stumble; the list itself if there are none."""
    if 0 not in runs[1:]:
        return runs
    whole_runs = [runs[0]]
    for place, run in enumerate(runs[1:], start=1):
        if (place - len(whole_runs)) % 2:  # of the kind of the last
            whole_runs[-1] += run
        elif run:
            whole_runs.append(run)
    return whole_runs


def box_of_runs(runs: list[int], height: int) -> list[int]:
    """Box (x, y, width, height) around the ones of a mask, which must have some."""
    starts, place = [], 0
    for number, run in enumerate(runs):
        if number % 2 and run:
            starts.append((place, place + run - 1))
        place += run
    left, right = starts[0][0] // height, starts[-1][1] // height
    top, bottom = height, -1
    for first, last in starts:
        if first // height != last // height:
            top, bottom = 0, height - 1
            break
        top, bottom = min(top, first % height), max(bottom, last % height)
    return [left, top, right - left + 1, bottom - top + 1]
