"""Work that is done ahead, in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar('T')


def ahead(jobs: Iterable[Callable[[], T]], threads: int, most: int | None = None) -> Generator[T, None, None]:
    """What jobs return, in their order, while the following ones are being done.

    Args:
        jobs: to be called; may be endless.
        threads: that call them.
        most: jobs that are under way, or done and not taken, when the next one is asked for; two for each thread, if
            None.
    """
    most = 2 * threads if most is None else most
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
