"""A job that its launcher has started again goes on with what it has saved."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ...checkpoint.whole_files import newest_whole
from .provenance import FILE

#: How torchrun and slurm count the starts of a job after the first.
_COUNTS = ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT')


def saved_before_restart(work_dir: Path) -> Path | None:
    """Newest whole checkpoint of an earlier start of this job.

    What another training has left in the work dir is older than the job, and none of its own: a job that was killed
    before its first checkpoint begins as it did.

    Returns:
        None if this is the first start, or nothing was saved.
    """
    began = _began(work_dir)
    checkpoint = newest_whole(work_dir)[0] if began is not None else None
    is_own = checkpoint is not None and began is not None and checkpoint.stat().st_mtime >= began
    return checkpoint if is_own else None


def is_restart(work_dir: Path) -> bool:
    """Whether a launcher has started this job before."""
    return _began(work_dir) is not None


def _began(work_dir: Path) -> float | None:
    """When the first start of this job was, in seconds since 1970; None if this is it, or it is not known."""
    elastic, slurm = (int(os.environ.get(name) or 0) for name in _COUNTS)
    if elastic:
        return _process_began(os.getppid())
    return _first_start(work_dir, os.environ.get('SLURM_JOB_ID')) if slurm else None


def _process_began(pid: int) -> float | None:
    """When a process began: here the launcher, which outlives the starts of a job."""
    with suppress(OSError, ValueError, IndexError):
        ticks = int(Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19])
        up_s = float(Path('/proc/uptime').read_text().split()[0])
        return time.time() - up_s + ticks / os.sysconf('SC_CLK_TCK')
    return None


def _first_start(work_dir: Path, job: str | None) -> float | None:
    """When a job has first started here; one that is queued anew keeps its number."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        starts = [start for start in json.loads((work_dir / FILE).read_text()) if job and start.get('job') == job]
        return datetime.strptime(starts[0]['started'], '%Y-%m-%dT%H:%M:%S%z').timestamp() if starts else None
    return None
