"""How torch's threads on a CPU wait for each other, and how many there are, of torch and of exported models.

OpenMP reads its variables when it is loaded, before torch is imported, so this needs the standard library only. The
commands call :func:`share_cores` first thing; the package never does by itself, for it changes the whole process.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path, PurePosixPath

from .errors import UserError

#: What says how OpenMP's threads wait: the standard's, GNU's (which torch's wheels have) and Intel's.
_WAITING = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')
#: Sleep, but not at once: most waits between the layers of a small picture end within some ten microseconds, and waking
#: up takes as long. GNU's looks so many times before, which a neighbour's wait of milliseconds does not notice much.
_SLEEP_SOON = {'OMP_WAIT_POLICY': 'PASSIVE', 'GOMP_SPINCOUNT': '1000'}
#: What says how many there are.
_COUNT = 'OMP_NUM_THREADS'


def share_cores(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads sleep soon where they wait, and be as many as a quota of this process lets run at once.

    By default a thread that is done spins until the others are. Where a neighbour takes one of their cores, they
    wait spinning for the one that does not run, on the core that it could have. What the user has set stays.

    Args:
        environment: variables, which are changed.
    """
    if not any(name in environment for name in _WAITING):
        environment.update(_SLEEP_SOON)
    if _COUNT not in environment and available_cores() < _cores_by_affinity():  # of affinity torch knows by itself
        environment[_COUNT] = str(available_cores())


def check_threads(count: int) -> None:
    """Raises ``UserError`` for more threads than this process has cores to measure them on."""
    cores = available_cores()
    if count > cores:
        raise UserError(f'--threads {count} is more than the {cores} cores of this machine.')


def available_cores(root: Path = Path('/')) -> int:
    """Cores that this process may use: by its affinity and, on Linux, by the quotas of its control groups.

    Of a quota the begun core counts: the system evens out what is used too fast.

    Args:
        root: of the file system, for tests.
    """
    quotas = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([_cores_by_affinity(), *quotas]))


def granted_cores(root: Path = Path('/')) -> int | None:
    """Cores that this process may use where they are fewer than the machine has, else None.

    For what counts the machine's cores itself, and knows which threads share one, but not the limits of a process: ONNX
    Runtime knows neither affinity nor quotas, OpenVINO no quotas.

    Args:
        root: of the file system, for tests.
    """
    cores = available_cores(root)
    return cores if cores < (os.cpu_count() or 1) else None


def _cores_by_affinity() -> int:
    if hasattr(os, 'sched_getaffinity'):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Cores' worth of time that the control groups of this process, and those around them, let it have."""
    mount = root / 'sys/fs/cgroup'
    for line in _text(root / 'proc/self/cgroup').splitlines():
        _, controllers, name = line.split(
            ':', 2
        )  # cgroups(7): of version 2 "0::/name", of version 1 "4:cpu,cpuacct:/name"
        if controllers and 'cpu' not in controllers.split(','):
            continue
        top = mount / 'cpu' if controllers else mount
        group = PurePosixPath(name.lstrip('/'))
        for part in (group, *group.parents):  # in a container the name may be that outside; then its top alone is there
            yield from _quota_of(top / part)


def _quota_of(folder: Path) -> Iterator[float]:
    """Quota over period of one group, unless it has none."""
    both = _text(folder / 'cpu.max') or f'{_text(folder / "cpu.cfs_quota_us")} {_text(folder / "cpu.cfs_period_us")}'
    try:
        quota, period = map(int, both.split())
    except ValueError:  # "max", or no such files
        return
    if quota > 0 and period > 0:  # -1: none
        yield quota / period


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ''
