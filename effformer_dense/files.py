"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from .errors import UserError

#: What an error is that has to do with the disk and not with the program.
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
#: Bytes of a file's name that file systems allow.
_LONGEST_NAME = 255
#: Name of a file that is being written: the process that writes it, and the suffix that it will have.
_PARTIAL = re.compile(r'\..*\.(\d+)\.partial(\.\w+)?')
_CHUNK = 1 << 24  # bytes that are read back at a time


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


def write_together(path: Path, write: Callable[[Path], object]) -> None:
    """As :func:`write_atomically`, for formats of several files, or of a folder: all that ``write`` puts beside the
    path that it is given comes to lie beside ``path``, that one last.

    Args:
        path: what to write.
        write: is given a path of the same name in an empty folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix='.', suffix='.partial', dir=path.parent) as folder:
        scratch = Path(folder) / path.name
        write(scratch)
        for source in sorted(Path(folder).iterdir(), key=lambda entry: entry == scratch):
            target = path.with_name(source.name)
            if target.is_dir():  # a folder cannot be renamed onto another
                target.rename(Path(folder) / f'{target.name}.old')
            os.replace(source, target)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file that is whole on the disk, and known to be, when its name appears; parents are made.

    The bytes are forced onto the disk and compared with what is read back from there before the file is renamed. What
    had the name before is there until then.

    Raises:
        OSError: the disk is full, or does not give back what was written.
    """

    def write(scratch: Path) -> None:
        with scratch.open('wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _compare(scratch, data)

    write_atomically(path, write)
    _sync_folder(path.parent)


def _compare(path: Path, data: bytes) -> None:
    place = 0
    with path.open('rb', buffering=0) as file:
        if hasattr(os, 'posix_fadvise'):  # from the disk, not from the system's memory
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while chunk := file.read(_CHUNK):
            if chunk != data[place : place + len(chunk)]:  # a copy, for views are compared byte by byte
                raise OSError(errno.EIO, 'what was read back is not what was written', str(path))
            place += len(chunk)
    if place != len(data):
        raise OSError(errno.EIO, f'{place:,} bytes were read back of {len(data):,}', str(path))


def _sync_folder(folder: Path) -> None:
    """Force a new name onto the disk, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # folders cannot be opened everywhere
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not everywhere either
            raise
    finally:
        os.close(handle)


def remove_partial(folder: Path) -> list[Path]:
    """Remove what processes that are no more left half written in a folder, by :func:`write_atomically`.

    Returns:
        What was removed.
    """
    left = list(_left_behind(folder))
    for path in left:
        path.unlink(missing_ok=True)
    return left


def _left_behind(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir() if folder.is_dir() else ():
        partial = _PARTIAL.fullmatch(path.name)
        if partial and path.is_file() and not _is_running(int(partial[1])):
            yield path


def _is_running(process: int) -> bool:
    """Whether another process has this number; in containers, which count from 1, our own may have been used before."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    # newline='': what the CSV writer ends its lines with stays as it is.
    write_atomically(path, lambda scratch: scratch.write_text(text, encoding='utf-8', newline=''))


def write_png(path: Path, image: np.ndarray) -> None:
    """Write (H, W) or (H, W, 3) uint8 as PNG."""
    # Looking for repetitions further away than the last byte takes five times as long, and saves 3% of a photograph.
    write_atomically(path, lambda scratch: Image.fromarray(image).save(scratch, compress_type=zlib.Z_RLE))


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
