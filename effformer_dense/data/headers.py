"""What a picture's file tells before a pixel of it is decoded, and decoding with a limit."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..errors import UserError
from ..options import MAX_PIXELS

#: Formats that Pillow may try. It knows forty, some of which start other programs.
FORMATS = ('JPEG', 'PNG', 'BMP', 'TIFF', 'WEBP', 'PPM')
_ORIENTATION = 274
_JPEG_START, _PNG_START = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
#: In the compressed data of a JPEG, 0xff is followed by 0x00, a restart mark or another 0xff; anything else ends it.
_AFTER_SCAN = re.compile(rb'\xff[^\x00\xd0-\xd7\xff]')


class BrokenPictureError(Exception):
    """A picture that cannot be used, and why."""


@dataclass(frozen=True)
class Header:
    """A picture's size as mmcv decodes it.

    Attributes:
        width, height: in pixels, after turning by EXIF where the decoder does that.
        orientation: EXIF's, 1 to 8.
        turned: whether the decoder turns the picture by it. OpenCV does for JPEG, PNG and TIFF, and not for WebP.
        palette: red, green and blue of each number of a PNG with a palette; empty without.
    """

    width: int
    height: int
    orientation: int
    turned: bool
    palette: bytes = b''


def read_header(source: Path | bytes, max_pixels: int = MAX_PIXELS, whole: bool = False) -> Header:
    """Read a picture's header.

    Args:
        source: the picture's file, or what is in it.
        max_pixels: limit of width times height.
        whole: also look through the file's bytes for the marks of a whole picture.

    Raises:
        BrokenPictureError: no picture of a format that is known, truncated, or larger than the limit.
    """
    with _opened(source, max_pixels) as image:
        width, height, kind = *image.size, image.format
        try:
            orientation, palette = orientation_of(image), _palette(image)
            if whole and kind == 'PNG':
                image.verify()  # checksums of its chunks
        except Exception as error:  # readers of formats raise what they like on broken files
            raise _broken(error) from error
    reason = truncation(source if isinstance(source, bytes) else source.read_bytes()) if whole else None
    if reason is not None:
        raise BrokenPictureError(reason)
    turned = kind != 'WEBP'
    if turned and kind != 'TIFF' and orientation in (5, 6, 7, 8):  # Pillow has turned a TIFF's size already
        width, height = height, width
    return Header(width, height, orientation, turned, palette)


@contextmanager
def decoded(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """A picture, open; its pixels are decoded when they are asked for.

    Args:
        source, max_pixels: as of :func:`read_header`.

    Raises:
        BrokenPictureError: it cannot be decoded, or has more pixels than allowed.
    """
    try:
        with _opened(source, max_pixels) as image:
            yield image
    except UserError:  # of what is done with the picture, and a ValueError
        raise
    except (OSError, SyntaxError, ValueError, MemoryError, EOFError, Image.DecompressionBombError) as error:
        raise _broken(error) from error


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


@contextmanager
def _opened(source: Path | bytes, max_pixels: int) -> Iterator[Image.Image]:
    """A picture within the limit, whose header alone has been read."""
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source.open('rb')
    except OSError as error:
        raise _broken(error) from error
    with file:
        try:
            image = _read(file)
        except BrokenPictureError:
            raise
        except Exception as error:  # readers of formats raise what they like on broken files
            raise _broken(error) from error
        width, height = image.size
        if width * height > max_pixels:
            raise BrokenPictureError(f'{width} x {height} px; up to {max_pixels:,} pixels are read: raise --max-pixels')
        yield image


def _read(file: BinaryIO) -> Image.Image:
    """By the reader of its format, without ``Image.open``.

    That holds a picture against a limit of the whole process, which threads could not set for themselves.
    """
    start = file.read(16)
    for kind in FORMATS:
        if kind not in Image.OPEN:
            Image.init()
        reader, accepts = Image.OPEN[kind]
        accepted = accepts is None or accepts(start)
        if accepted and not isinstance(accepted, str):  # words, where Pillow was built without that format
            file.seek(0)
            return reader(file, '')
    raise BrokenPictureError(f'no picture of a format that is read here: {", ".join(FORMATS)}')


def _broken(error: Exception) -> BrokenPictureError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else f'{type(error).__name__}: {error}'
    return BrokenPictureError(f'no picture that can be read ({reason})'[:200])


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation of a picture, 1 to 8."""
    if image.format == 'TIFF':
        found = image.tag_v2.get(_ORIENTATION, 1)  # type: ignore[attr-defined]
    else:  # as OpenCV: getexif() would follow other notes as well, and decode a PNG to look behind its pixels
        exif = Image.Exif()
        exif.load(image.info.get('exif', b''))
        found = exif.get(_ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def _palette(image: Image.Image) -> bytes:
    return bytes(image.palette.palette) if image.format == 'PNG' and image.palette is not None else b''
