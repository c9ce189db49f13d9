"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import UserError

#: Bytes of a file's name that file systems allow.
_LONGEST_NAME = 255


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then rename it; parents are made.

    Args:
        path: what to write.
        write: is given the temporary path, which has the suffix of ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    end = f'.{os.getpid()}.partial{path.suffix}'
    start = os.fsencode(path.stem)[: _LONGEST_NAME - len(os.fsencode(end)) - 1]  # names may be as long as they can be
    scratch = path.with_name('.' + os.fsdecode(start) + end)
    try:
        write(scratch)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    # newline='': what the CSV writer ends its lines with stays as it is.
    write_atomically(path, lambda scratch: scratch.write_text(text, encoding='utf-8', newline=''))


def write_png(path: Path, image: np.ndarray) -> None:
    """Write (H, W) or (H, W, 3) uint8 as PNG."""
    write_atomically(path, lambda scratch: Image.fromarray(image).save(scratch))


def names_below(folder: Path, suffix: str) -> list[str]:
    """Relative names of the files of a kind in a folder, to its bottom, sorted; without hidden ones."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob(f'*{suffix}') if not p.name.startswith('.'))


def nearest_existing(path: Path) -> Path:
    """``path`` itself, or the folder above it in which the first part that is missing would be made."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def check_output_file(path: Path) -> None:
    """A file can be written, in a folder that may have to be made.

    Raises:
        UserError: a folder is in its place, a file in the place of its folder, or it is not ours to write.
    """
    if path.is_dir():
        raise UserError(f'{path} is a folder; the name of a file is expected.')
    check_output_dir(path.parent)


def make_output_dir(path: Path) -> None:
    """Make a folder for results, before the work that they take.

    Raises:
        UserError: see :func:`check_output_dir`, or the file system refuses.
    """
    check_output_dir(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'{path} cannot be made: {error.strerror}. Name another place for the results.') from error


def check_output_dir(path: Path) -> None:
    """A folder can be made and written to.

    Raises:
        UserError: a file is in the way, or it is not ours to write.
    """
    there = nearest_existing(path)
    if not there.is_dir():
        raise UserError(f'{path} cannot be a folder: {there} is a file. Name another place for the results.')
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f'{path} cannot be written: no permission in {there}. Name another place for the results.')
