"""Text that grows for as long as pictures come: cameras and streams have no end, and memory has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, TextIO

from ..files import nearest_existing, write_atomically

#: Bytes up to which a text is held in memory.
_IN_MEMORY = 1 << 24


class GrowingText:
    """Text that lies in memory while it is short, and then in a nameless file, which is gone when its process is.

    Args:
        folder: where the text is going to be; that file is in it, or in the folder above it that is there already.
    """

    def __init__(self, folder: Path) -> None:
        place = str(nearest_existing(folder))
        # newline='': what the CSV writer ends its lines with stays as it is.
        self.file = SpooledTemporaryFile(_IN_MEMORY, 'w+', encoding='utf-8', newline='', dir=place)

    def copy_to(self, target: TextIO) -> None:
        """Copy all of it, and let it go."""
        self.file.seek(0)
        shutil.copyfileobj(self.file, target)
        self.file.close()


class GrowingList(GrowingText):
    """A list in JSON."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.length = 0

    def append(self, value: Any) -> None:
        """Write one more value."""
        self.file.write((', ' if self.length else '[') + json.dumps(value))
        self.length += 1

    def copy_to(self, target: TextIO) -> None:
        """Copy all of it, and let it go."""
        self.file.write(']' if self.length else '[]')
        super().copy_to(target)


def write_pieces(path: Path, *pieces: str | GrowingText) -> None:
    """Write a text file of strings and texts that have grown, one after the other."""

    def write(scratch: Path) -> None:
        with scratch.open('w', encoding='utf-8', newline='') as target:
            for piece in pieces:
                if isinstance(piece, str):
                    target.write(piece)
                else:
                    piece.copy_to(target)

    write_atomically(path, write)
