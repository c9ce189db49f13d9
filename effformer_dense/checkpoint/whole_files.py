"""Which checkpoints of a training are whole, and which of them is the newest."""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

#: Names the last checkpoint of a work dir; a hint, for a training that was killed may have written one more.
POINTER = 'last_checkpoint'
#: How folders begin in which checkpoints of earlier trainings of a work dir are.
EARLIER = 'earlier_'
_TRAINING = re.compile(r'(epoch|iter)_(\d+)\.pth')
_LONGEST_PATH = 4096


def flaw_of(path: Path) -> str | None:
    """What keeps a file from being a whole checkpoint, to follow its name; None if nothing does.

    The file is read to its end, and its checksums are compared; nothing in it is unpacked. Files older than torch 1.6
    have no checksums: of them the beginning alone is looked at.
    """
    try:
        with path.open('rb') as file:
            head = file.read(2)
        if not head:
            return 'is empty'
        if head[:1] == b'\x80':  # a bare pickle
            return None
        with zipfile.ZipFile(path) as archive:
            if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):
                return 'is a compressed archive'  # which torch does not write, and which could unpack to any size
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        return 'is cut short or no checkpoint'
    except OSError as error:
        return f'cannot be read ({error.strerror})'
    return 'is damaged' if damaged else None


def newest_whole(folder: Path) -> tuple[Path | None, list[str]]:
    """Newest whole checkpoint of a training, and what is wrong with those that are newer.

    Args:
        folder: work dir, which need not exist.

    Returns:
        The file, None if there is none; a name and a flaw for each that was passed over.
    """
    flaws: list[str] = []
    for path in _newest_first(folder) if folder.is_dir() else ():
        flaw = flaw_of(path)
        if flaw is None:
            return path, flaws
        flaws.append(f'{path.name} {flaw}')
    return None, flaws


def _newest_first(folder: Path) -> list[Path]:
    """Checkpoints of a training: first those newer than the pointer, then the one that it names, then the others.

    Times alone would not do: copying a work dir gives its files new ones, in any order. So what is newer has to be
    further on as well, where names can tell; and nothing is, where the file that the pointer names is newer than it.
    """
    pointer = folder / POINTER
    named = _named_by(pointer)
    places = {folder} | ({named.parent} if named else set())
    found = {path for place in places for path in place.iterdir() if _TRAINING.fullmatch(path.name) and path.is_file()}
    found |= {named} if named else set()
    written = pointer.stat().st_mtime_ns if named else -1

    if named is not None and named.stat().st_mtime_ns > written:
        written = max(path.stat().st_mtime_ns for path in found)

    def key(path: Path) -> tuple[bool, bool, int, int]:
        time, name = path.stat().st_mtime_ns, _TRAINING.fullmatch(path.name)
        is_newer = time > written and path != named and not _is_behind(path, named)
        return is_newer, path == named, time, int(name[2]) if name else 0

    return sorted(found, key=key, reverse=True)


def _is_behind(path: Path, named: Path | None) -> bool:
    """Whether a checkpoint is of an earlier epoch, or iteration, than another; not if names do not tell."""
    names = [_TRAINING.fullmatch(one.name) for one in (path, named) if one is not None]
    if len(names) < 2 or names[0] is None or names[1] is None or names[0][1] != names[1][1]:
        return False
    return int(names[0][2]) < int(names[1][2])


def _named_by(pointer: Path) -> Path | None:
    """The file that the pointer of a work dir names, beside it or, if it is not there, elsewhere."""
    try:
        text = pointer.read_bytes()[:_LONGEST_PATH].decode(errors='replace').strip()
        candidates = [pointer.parent / Path(text).name, Path(text)] if text else []
        return next((path for path in candidates if path.is_file()), None)
    except (OSError, ValueError):  # it is not there, or holds no path
        return None
