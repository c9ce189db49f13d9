"""Which files are pictures, and which pictures are large enough; without a decoder."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..errors import UserError
from ..options import MAX_PIXELS
from ..variants import MIN_SIDE_PX
from .headers import BrokenPictureError, read_header, truncation

PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.jfif', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm')
#: Of pictures that cannot be read here.
_UNKNOWN_SUFFIXES = (
    *('.heic', '.heif', '.avif', '.jxl', '.jp2', '.gif', '.psd', '.svg'),
    *('.dng', '.cr2', '.cr3', '.nef', '.arw', '.raf', '.orf', '.rw2'),
)


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
    candidates = _below(path) if path.is_dir() else map(Path, glob.glob(source, recursive=True))
    files = [p for p in candidates if p.is_file() and not p.name.startswith('.')]  # '._NAME' are no pictures
    found = sorted(p for p in files if p.suffix.lower() in PICTURE_SUFFIXES)
    others = Counter(suffix for p in files if (suffix := p.suffix.lower()) in _UNKNOWN_SUFFIXES)
    if others:
        said = ', '.join(f'{number} {suffix}' for suffix, number in sorted(others.items()))
        print(f'Left out of {source}, for want of a reader: {said}. Convert them to JPEG or PNG.')
    if not found:
        what = 'holds no pictures' if path.is_dir() else 'matches no picture' if files else 'matches no file'
        seen = ', '.join(f'{number} {suffix}' for suffix, number in Counter(p.suffix for p in files).most_common(5))
        rest = f' There is: {seen}. Videos are named one at a time.' if seen else ''
        raise UserError(f'{source} {what} ({", ".join(PICTURE_SUFFIXES)}).{rest}')
    return found


def _below(folder: Path) -> Iterator[Path]:
    """What is in a folder, to the bottom, but for hidden folders: ``.ipynb_checkpoints`` has pictures a second time."""
    for path in folder.rglob('*'):
        if not any(part.startswith('.') for part in path.relative_to(folder).parent.parts):
            yield path


def check_sides(path: object, width: int, height: int) -> None:
    """Both sides of a picture are as long as the networks need them; raises ``UserError``."""
    if min(width, height) < MIN_SIDE_PX:
        raise UserError(
            f'{path}: {width} x {height} px; both sides must be at least {MIN_SIDE_PX} px. Enlarge or remove it.'
        )


def whole_bytes(path: Path, max_pixels: int = MAX_PIXELS) -> bytes:
    """What is in a picture's file, after what can be known of it before a pixel is decoded has been checked.

    Args:
        path: the picture.
        max_pixels: limit of height times width, by the header.

    Raises:
        UserError: missing, empty, truncated, of no format that is known, of more pixels than the limit, or a side under
            32 px.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror}).') from error
    try:
        reason = truncation(data)
        if reason is not None:
            raise BrokenPictureError(reason)
        header = read_header(data, max_pixels)
    except BrokenPictureError as error:
        raise UserError(f'{path}: {error}. Replace or remove it.') from error
    check_sides(path, header.width, header.height)
    return data
