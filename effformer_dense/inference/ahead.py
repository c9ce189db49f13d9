"""Work that is done ahead, in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar('T')


def ahead(jobs: Iterable[Callable[[], T]], threads: int) -> Generator[T, None, None]:
    """What jobs return, in their order, while the following ones are being done.

    Args:
        jobs: to be called; may be endless.
        threads: that call them. No more than two jobs for each have been done and not been taken.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
