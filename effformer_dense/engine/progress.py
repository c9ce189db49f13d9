"""Progress of long work on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

#: Is told what is done, how many of them, and of how many.
Advance = Callable[[str, int, int], None]


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """A bar on a terminal, which goes when the work is done; nothing elsewhere."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=None)
        yield lambda what, done, total: bar.update(task, description=f'{title}: {what}', completed=done, total=total)
