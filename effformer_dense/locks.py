"""Locks that go with the process that holds them, however it ends.

They are POSIX record locks: unlike those of ``flock`` they are not handed on to forked processes, such as those that
load data, which may outlive a killed training by seconds. A process that closes any handle of the file loses its lock:
here nothing else opens it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Errors of file systems that have no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class HeldError(Exception):
    """Somebody holds the lock; the message is what they wrote into it."""


@contextmanager
def locked(path: Path, note: str = '', wait: bool = True) -> Iterator[bool]:
    """Hold a lock for the time of a ``with`` block; where the file system has none, nothing is held.

    Args:
        path: file that stands for the lock, in a folder that exists; it is there while the lock is held.
        note: what those read who find it held.
        wait: wait for another process that holds it.

    Yields:
        Whether it is held; not where the file system has no locks.

    Raises:
        HeldError: another process holds it, and ``wait`` is false.
    """
    handle, held = _acquire(path, wait)
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, note.encode(), 0)
        yield held
    finally:
        path.unlink(missing_ok=True)  # before it is given up: nobody else can have taken it
        os.close(handle)


def _acquire(path: Path, wait: bool) -> tuple[int, bool]:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return handle, False
            held = error.errno in (errno.EACCES, errno.EAGAIN)
            note = os.pread(handle, 4096, 0).decode(errors='replace') if held else ''
            os.close(handle)
            if held:
                raise HeldError(note) from error
            raise
        if _is_at(handle, path):
            return handle, True
        os.close(handle)  # its last holder has removed it meanwhile


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
