"""How much of the machine other programs use meanwhile: figures taken beside them mean little."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

#: From here on, in cores, a measurement is called disturbed.
DISTURBED_CORES = 0.1


@dataclass(frozen=True)
class Clock:
    """A reading of the machine's clocks.

    Attributes:
        wall_s: time.
        busy_s: core seconds that anybody has used, stolen ones included; None where the system does not tell.
    """

    wall_s: float
    busy_s: float | None

    @staticmethod
    def read() -> Clock:
        return Clock(time.perf_counter(), _busy_s())


def cores_of_others(start: Clock, end: Clock, own_cpu_s: float) -> float | None:
    """Cores that others kept busy between two readings, on average, given the core seconds that were our own."""
    if start.busy_s is None or end.busy_s is None:
        return None
    return max(0.0, (end.busy_s - start.busy_s - own_cpu_s) / (end.wall_s - start.wall_s))


def _busy_s() -> float | None:
    try:
        first = Path('/proc/stat').read_text().split('\n', 1)[0]
    except OSError:
        return None
    # user nice system idle iowait irq softirq steal (proc(5)); guests are counted in user.
    ticks = [int(value) for value in first.split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf('SC_CLK_TCK')
