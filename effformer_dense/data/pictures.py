"""Finding pictures and telling early which of them cannot be used."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import mmcv
import numpy as np

from ..errors import UserError
from ..variants import MIN_SIDE_PX

PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm')

_JPEG_START, _PNG_START = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
#: In the compressed data of a JPEG, 0xff is followed by 0x00, a restart mark or another 0xff; anything else ends it.
_AFTER_SCAN = re.compile(rb'\xff[^\x00\xd0-\xd7\xff]')


def find_pictures(source: str) -> list[Path]:
    """Pictures that a path, a folder (searched to the bottom) or a glob pattern names, sorted.

    Raises:
        UserError: nothing there, or a file that is no picture by its name.
    """
    path = Path(source)
    if path.is_file():
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            raise UserError(f'{path} is no picture: known are {", ".join(PICTURE_SUFFIXES)}.')
        return [path]
    candidates = path.rglob('*') if path.is_dir() else map(Path, glob.glob(source, recursive=True))
    found = sorted(p for p in candidates if p.is_file() and p.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        what = 'holds no pictures' if path.is_dir() else 'matches no file'
        raise UserError(f'{source} {what} ({", ".join(PICTURE_SUFFIXES)}).')
    return found


def truncation(data: bytes) -> str | None:
    """Why encoded bytes cannot be a whole picture; None if nothing speaks against it.

    Decoders fill the missing part of a cut JPEG or PNG with grey and say nothing. Both formats mark their end; what
    follows it (phones append short films) does not matter.
    """
    if not data:
        return 'the file is empty'
    if data.startswith(_JPEG_START) and not _jpeg_ends(data):
        return 'the JPEG data is truncated'
    if data.startswith(_PNG_START) and not _png_ends(data):
        return 'the PNG data is truncated'
    return None


def _jpeg_ends(data: bytes) -> bool:
    """Walk from segment to segment (ITU T.81, annex B) to the end mark."""
    place = 2
    while place + 4 <= len(data) or data[place : place + 2] == b'\xff\xd9':
        if data[place] != 0xFF:
            return True  # not the structure we know: leave the verdict to the decoder
        marker = data[place + 1]
        if marker == 0xD9:  # end of image
            return True
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        place += 2 + int.from_bytes(data[place + 2 : place + 4], 'big')
        if marker == 0xDA:  # start of scan: compressed data follows the segment
            following = _AFTER_SCAN.search(data, place)
            if following is None:
                return False
            place = following.start()
    return False


def _png_ends(data: bytes) -> bool:
    """Walk from chunk to chunk (length, type, data, checksum) to IEND."""
    place = len(_PNG_START)
    while place + 12 <= len(data):
        if data[place + 4 : place + 8] == b'IEND':
            return True
        place += 12 + int.from_bytes(data[place : place + 4], 'big')
    return False


def read_picture(path: Path) -> np.ndarray:
    """Picture as (H, W, 3) uint8, BGR; grey, alpha and 16 bits per channel are converted.

    Raises:
        UserError: missing, empty, truncated, not decodable, or a side under 32 px.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror}).') from error
    reason = truncation(data)
    try:
        image = None if reason else mmcv.imfrombytes(data, flag='color')
    except cv2.error as error:  # before any pixel is decoded
        raise UserError(f'{path}: larger than OpenCV decodes, 2^30 pixels. Cut it into parts, or remove it.') from error
    if image is None:
        raise UserError(f'{path}: {reason or "no picture format that OpenCV can decode"}. Replace or remove it.')
    if min(image.shape[:2]) < MIN_SIDE_PX:
        height, width = image.shape[:2]
        raise UserError(
            f'{path}: {width} x {height} px; both sides must be at least {MIN_SIDE_PX} px. Enlarge or remove it.'
        )
    return image


def unusable_pictures(paths: Iterable[Path]) -> dict[Path, str]:
    """Pictures that :func:`read_picture` refuses, with its words."""
    bad = {}
    for path in paths:
        try:
            read_picture(path)
        except ValueError as error:
            bad[path] = str(error)
    return bad
