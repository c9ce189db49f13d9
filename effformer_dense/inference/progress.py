"""How far the work is, on a terminal. The standard library is enough, so that exported models need few packages."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar('T')

#: Shortest time between two looks of the bar.
_INTERVAL_S = 0.1
_WIDTH = 30
_ERASE_LINE = '\r\x1b[2K'


def track(
    things: Iterable[T], title: str, total: int | None = None, transient: bool = False
) -> Generator[T, None, None]:
    """Things as they are, with a bar on standard error while they are taken; nothing where that is no terminal.

    Args:
        things: to be handed on.
        title: what is done to them.
        total: how many they are; None where nobody knows, as for a camera.
        transient: the bar goes when the work is done.
    """
    if not sys.stderr.isatty():
        yield from things
        return
    start = shown = time.monotonic()
    done = 0
    sys.stderr.write(_line(title, 0, total, 0.0))
    try:
        for done, thing in enumerate(things, 1):
            yield thing
            now = time.monotonic()
            if now - shown >= _INTERVAL_S:
                sys.stderr.write(_line(title, done, total, now - start))
                sys.stderr.flush()
                shown = now
    finally:
        sys.stderr.write(_ERASE_LINE if transient else f'{_line(title, done, total, time.monotonic() - start)}\n')
        sys.stderr.flush()


def _line(title: str, done: int, total: int | None, seconds: float) -> str:
    """Bar, share, and how long it still takes at the pace so far; without a total, how many and how fast."""
    pace = done / seconds if seconds else 0.0
    if total is None:
        return f'{_ERASE_LINE}{title} {done} ({pace:.1f}/s)'
    filled = _WIDTH * done // max(total, 1)
    left = f', {_clock((total - done) / pace)} left' if pace and done < total else ''
    return f'{_ERASE_LINE}{title} [{"#" * filled:<{_WIDTH}}] {done}/{total}{left}'


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _clock(3723.4)
    '1:02:03'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f'{minutes // 60}:{minutes % 60:02}:{rest:02}'
