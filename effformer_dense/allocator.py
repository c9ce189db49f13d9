"""What the C library does with freed memory."""

from __future__ import annotations

import ctypes
import platform

# mallopt's parameters, from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Let the process keep large blocks that it frees, for its next allocations.

    glibc hands blocks of 32 MiB and more back to the system at once and fetches them anew, page by page, for the next
    layer. Feature maps of large images are of that size: on a CPU this takes a fifth of a training step
    (docs/performance.md). The tools call this; the package never does by itself, for it changes the whole process.

    Returns:
        Whether it took effect: with glibc only.
    """
    if not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def release_freed_memory() -> None:
    """Hand what the process has freed back to the system now (glibc only)."""
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == 'glibc'
