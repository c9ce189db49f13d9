"""Sizes of pictures out of their headers: limited before anyone decodes a pixel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..pictures import truncation

#: Larger pictures are refused unless an option raises it: a small file can hold as many pixels as it likes.
MAX_PIXELS = 178_956_970  # where Pillow refuses by itself
#: Formats that Pillow may try. It knows forty, some of which start other programs.
FORMATS = ('JPEG', 'PNG', 'BMP', 'TIFF', 'WEBP', 'PPM')
_ORIENTATION = 274


class BrokenPictureError(Exception):
    """A picture that cannot be used, and why."""


@dataclass(frozen=True)
class Header:
    """A picture's size as mmcv decodes it.

    Attributes:
        width, height: in pixels, after turning by EXIF where the decoder does that.
        orientation: EXIF's, 1 to 8.
        turned: whether the decoder turns the picture by it. OpenCV does for JPEG, PNG and TIFF, and not for WebP.
    """

    width: int
    height: int
    orientation: int
    turned: bool


def read_header(path: Path, max_pixels: int = MAX_PIXELS, whole: bool = False) -> Header:
    """Read a picture's header.

    Args:
        path: the picture.
        max_pixels: limit of width times height.
        whole: also look through the file's bytes for the marks of a whole picture.

    Raises:
        BrokenPictureError: no picture of a format that is known, truncated, or larger than the limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of a large picture, which is decided here
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path, formats=FORMATS)
            finally:
                Image.MAX_IMAGE_PIXELS = limit
            with image:
                width, height, kind = *image.size, image.format
                orientation = _orientation(image)
                if width * height <= max_pixels and whole and kind == 'PNG':
                    image.verify()  # checksums of its chunks
    except Exception as error:  # readers of formats raise what they like on broken files
        raise BrokenPictureError(f'no picture that can be read ({type(error).__name__}: {error})'[:200]) from error
    if width * height > max_pixels:
        raise BrokenPictureError(f'{width} x {height} px; up to {max_pixels:,} pixels are read: raise --max-pixels')
    reason = truncation(path.read_bytes()) if whole else None
    if reason is not None:
        raise BrokenPictureError(reason)
    turned = kind != 'WEBP'
    if turned and kind != 'TIFF' and orientation in (5, 6, 7, 8):  # Pillow has turned a TIFF's size already
        width, height = height, width
    return Header(width, height, orientation, turned)


def _orientation(image: Image.Image) -> int:
    if image.format == 'TIFF':
        found = image.tag_v2.get(_ORIENTATION, 1)  # type: ignore[attr-defined]
    elif image.format == 'PNG' and 'exif' not in image.info:
        found = 1  # Pillow would decode the picture to look behind the pixels
    else:
        found = image.getexif().get(_ORIENTATION, 1)
    return found if found in range(1, 9) else 1
