"""Decoding a picture or a segmentation map after its header was looked at."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from .headers import FORMATS, MAX_PIXELS, BrokenPictureError, read_header


@contextmanager
def decoded(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """A picture, open; its pixels are decoded when they are asked for.

    Raises:
        BrokenPictureError: it cannot be decoded, or has more pixels than allowed.
    """
    read_header(path, max_pixels)
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings(), Image.open(path, formats=FORMATS) as image:
            warnings.simplefilter('ignore')
            yield image
    except (OSError, SyntaxError, ValueError, MemoryError, EOFError) as error:
        if isinstance(error, BrokenPictureError):
            raise
        raise BrokenPictureError(f'no picture that can be decoded ({error})'[:200]) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
