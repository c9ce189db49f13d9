"""Which sample each loading process is at, so that one that dies or hangs can be asked what it held."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import RawArray

from torch.utils.data import get_worker_info

#: How torch tells of loading processes that are gone (in two ways), and of some that do not answer.
_DIED = re.compile(r'DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)')
_TIMED_OUT = 'DataLoader timed out'
_NONE = -1


class HeldSamples:
    """A table in shared memory with a row per loading process.

    Args:
        num_workers: loading processes; with none there is nothing to note, errors come by themselves.
    """

    def __init__(self, num_workers: int) -> None:
        self._pids = RawArray('q', num_workers)
        self._indices = RawArray('q', [_NONE] * num_workers)

    @contextmanager
    def holding(self, index: int) -> Iterator[None]:
        """Note that this process makes a sample meanwhile."""
        worker = get_worker_info()
        if worker is None:
            yield
            return
        self._pids[worker.id] = os.getpid()
        self._indices[worker.id] = int(index)
        yield  # an error leaves the note: the process ends
        self._indices[worker.id] = _NONE

    def behind(self, error: RuntimeError) -> list[int] | None:
        """Samples that were held when torch raised an error.

        Returns:
            Indices, of processes that died or of all that do not answer; None if the error is of another kind.
        """
        text = str(error)
        held = {pid: index for pid, index in zip(self._pids, self._indices, strict=True) if index != _NONE}
        if text.startswith(_TIMED_OUT):
            return list(held.values())
        died = _DIED.match(text)
        if died is None:
            return None
        pids = map(int, died[1].split(','))
        return [held[pid] for pid in pids if pid in held]
