"""A picture and its segmentation map: of one size, and turned alike."""

from __future__ import annotations

from pathlib import Path

from ..headers import BrokenPictureError, Header, read_header
from .findings import Action, Findings
from .orientation import SWAPPING

Pair = tuple[Path, Path]


def turn_of(pair: Pair, findings: Findings, max_pixels: int) -> int:
    """How the map has to be turned to lie on its picture: an EXIF orientation, 1 for not at all.

    Args:
        pair: picture and map.
        findings: takes note of maps that have to be turned, and of those of which nobody can tell.
        max_pixels: of each.

    Raises:
        BrokenPictureError: a file cannot be read, or the sizes differ and EXIF does not explain it.
    """
    try:
        picture = read_header(pair[0], max_pixels, whole=True)
    except BrokenPictureError as error:
        raise BrokenPictureError(f'its picture {pair[0].name}: {error}') from error
    seg_map = read_header(pair[1], max_pixels)  # it is decoded after that
    size, there = (picture.width, picture.height), (seg_map.width, seg_map.height)
    if size == there:
        if picture.orientation > 1 and not _proves(picture):
            reason = f'EXIF orientation {picture.orientation}: whether the map follows it, its size does not tell'
            findings.add(Action.DOUBTFUL, 'EXIF orientation', str(pair[0]), '', reason)
        return 1
    if size == there[::-1] and picture.orientation in SWAPPING and picture.turned:
        reason = (
            f'{there[0]} x {there[1]} px, its picture {size[0]} x {size[1]} px after EXIF {picture.orientation}; turned'
        )
        findings.add(Action.REPAIRED, 'EXIF orientation', str(pair[1]), '', reason)
        return picture.orientation
    raise BrokenPictureError(f'{there[0]} x {there[1]} px, and its picture {pair[0].name} {size[0]} x {size[1]} px')


def _proves(picture: Header) -> bool:
    """Whether equal sizes prove that the map was drawn on the picture as it is decoded."""
    return picture.orientation in SWAPPING and picture.width != picture.height
