"""One training per work dir."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from ...errors import UserError
from ...files import make_output_dir, nearest_existing
from ...locks import HeldError, locked

_NAME = '.lock'
#: Work dirs that trainings of this process write to: locks keep out other processes only.
_IN_USE: set[Path] = set()


@contextmanager
def work_dir_in_use(work_dir: Path) -> Iterator[None]:
    """Make a work dir and keep other trainings out of it, for the time of a ``with`` block.

    A folder that is still empty at the end is removed again.

    Raises:
        UserError: another training writes there. One that has died, however it died, is no hindrance.
    """
    there = nearest_existing(work_dir)
    make_output_dir(work_dir)
    place = work_dir.resolve()
    if place in _IN_USE:
        raise UserError(f'Another training of this process writes to {work_dir}. Name another work dir.')
    who = dict(pid=os.getpid(), host=socket.gethostname(), since=datetime.now().strftime('%Y-%m-%d %H:%M:%S'))
    _IN_USE.add(place)
    try:
        with locked(place / _NAME, json.dumps(who), wait=False):
            yield
    except HeldError as error:
        raise UserError(_told(work_dir, str(error))) from error
    finally:
        _IN_USE.discard(place)
        _remove_empty(place, there.resolve())


def _told(work_dir: Path, note: str) -> str:
    who = {'pid': '?', 'host': '?', 'since': '?'}
    with suppress(ValueError):  # it may have been written this moment
        who |= json.loads(note)
    return (
        f'{work_dir} is in use by a training that is still running: process {who["pid"]} on {who["host"]}, since '
        f'{who["since"]}. Wait for its end, end it (kill {who["pid"]}), or name another folder: --work-dir.'
    )


def _remove_empty(folder: Path, there: Path) -> None:
    with suppress(OSError):  # not empty
        while folder != there and there in folder.parents:
            folder.rmdir()
            folder = folder.parent
