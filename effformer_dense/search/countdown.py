"""How long work still takes."""

from __future__ import annotations

import time
from collections.abc import Callable


class Countdown:
    """Time that is left of work, at its pace so far.

    Args:
        clock: seconds from any point on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._start = clock, clock()

    def left(self, share: float) -> str:
        """Half a sentence, to be put behind what is going on; nothing while there is no pace.

        Args:
            share: of the work that is done, from 0 to 1.

        >>> seconds = iter([0.0, 30.0])
        >>> Countdown(lambda: next(seconds)).left(0.2)
        ', about 2 min left'
        """
        if not 0 < share < 1:
            return ''
        seconds = (self._clock() - self._start) * (1 - share) / share
        return f', about {seconds:.0f} s left' if seconds < 100 else f', about {seconds / 60:.0f} min left'
