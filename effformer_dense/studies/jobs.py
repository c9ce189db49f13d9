"""Parts of a study that run at once, in processes of one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import torch
from mmengine.logging import MMLogger

from ..allocator import keep_freed_memory
from ..denormals import flush_denormals


def wait_for(futures: Iterable[Future]) -> None:
    for future in futures:
        future.result()


@contextmanager
def workers(jobs: int) -> Iterator[Executor]:
    """What runs ``jobs`` calls at once; after an error it begins no further one."""
    executor = _InTurn() if jobs == 1 else ProcessPoolExecutor(jobs, get_context('spawn'), _prepare_worker)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


class _InTurn(Executor):
    """Runs each call when it is submitted, in this process."""

    def submit(self, call: Callable, /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        future.set_result(call(*args, **kwargs))
        return future


def _prepare_worker() -> None:
    torch.set_num_threads(1)
    flush_denormals()
    keep_freed_memory()
    silence_init()


def silence_init() -> None:
    """MMEngine lists every value that it initialises."""
    MMLogger.get_current_instance().setLevel('WARNING')
