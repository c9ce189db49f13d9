"""Text files that annotation tools write, with or without a byte order mark."""

from __future__ import annotations

from pathlib import Path

from ....errors import UserError


def text_of(path: Path) -> str:
    """Text of labels or of a list, where odd letters are no harm."""
    return path.read_text(encoding='utf-8-sig', errors='replace')


def strict_text(path: Path) -> str:
    """Text with names of classes, of which no letter may be lost.

    Raises:
        UserError: it is not in UTF-8.
    """
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'{path} is no text in UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.'
        ) from error


def lines_in(text: str) -> list[str]:
    """Lines without the space around them, those that hold something."""
    return [line.strip() for line in text.splitlines() if line.strip()]
