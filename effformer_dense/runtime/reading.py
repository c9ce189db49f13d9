"""Pictures with Pillow, as OpenCV reads them for PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.finding import check_sides, whole_bytes
from ..data.headers import BrokenPictureError, decoded, orientation_of
from ..errors import UserError
from ..options import MAX_PIXELS

#: What brings a picture upright, by EXIF's orientation. (Pillow's own function follows other notes as well, writes EXIF
#: anew, and fails on tags that are not as they should be.)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Modes of grey pictures with 16 bits per pixel, of which OpenCV takes the upper eight.
_DEEP = ('I;16', 'I;16B', 'I;16L', 'I;16N', 'I')


def read_pixels(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Picture as (H, W, 3) uint8, RGB, upright; grey, alpha and 16 bits per channel are converted.

    Args:
        path: the picture.
        max_pixels: limit of height times width, by the header: nothing larger is decoded.

    Raises:
        UserError: missing, empty, truncated, not decodable, of more pixels than the limit, or a side under 32 px.
    """
    data = whole_bytes(path, max_pixels)
    try:
        with decoded(data, max_pixels) as image:
            return _pixels(image)
    except BrokenPictureError as error:
        raise UserError(f'{path}: {error}. Replace or remove it.') from error


def as_pixels(picture: Any, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Whatever stands for a picture as (H, W, 3) uint8, RGB.

    Args:
        picture: a path, a Pillow image, or an array (H, W, 3) uint8 in RGB.
        max_pixels: see :func:`read_pixels`.

    Raises:
        UserError: it cannot be read, is no picture, or has a side under 32 px.
    """
    if isinstance(picture, (str, Path)):
        return read_pixels(Path(picture), max_pixels)
    if isinstance(picture, Image.Image):
        check_sides('The picture', *picture.size)
        return _pixels(picture)
    if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        what = f'{picture.dtype} {picture.shape}' if isinstance(picture, np.ndarray) else type(picture).__name__
        raise UserError(f'A picture is a path, a Pillow image or an array (H, W, 3) of uint8 in RGB; got {what}.')
    check_sides('The picture', picture.shape[1], picture.shape[0])
    return picture


def _pixels(image: Image.Image) -> np.ndarray:
    # OpenCV turns no WebP; Pillow turns a TIFF while it decodes it.
    turn = None if image.format in ('WEBP', 'TIFF') else _TURNS.get(orientation_of(image))
    if image.mode in _DEEP:
        image = Image.fromarray((np.asarray(image, dtype=np.int32) >> 8).clip(0, 255).astype(np.uint8))
    if image.format == 'TIFF' and image.mode == 'RGBA':  # which OpenCV reads as lying on black
        values = np.asarray(image, dtype=np.int32)
        image = Image.fromarray(((values[..., :3] * values[..., 3:] + 127) // 255).astype(np.uint8))
    return np.array((image if turn is None else image.transpose(turn)).convert('RGB'))
