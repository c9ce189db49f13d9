"""What is built of the C++ sources.

Asked by the loader, and by ``setup.py``, which runs this file where nothing is installed.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from zlib import crc32

HERE = Path(__file__).parent
SOURCES = ('attention.cpp', 'products.h', 'vectors.h')
#: Of GCC and Clang. There is nothing in it that GCC warns of.
FLAGS = ('-std=c++17', '-O3', '-g0', '-Wall', '-Wextra')
#: Builds for x86: torch's name for what a processor can do, and flags besides. Older processors compute as ever.
X86 = {
    'AVX512': ('-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mavx2', '-mfma'),
    'AVX2': ('-mavx2', '-mfma'),
}


def builds() -> dict[str, tuple[str, ...]]:
    """Names of the shared objects for this kind of machine, and flags of each. For Linux, where they were tried."""
    if sys.platform != 'linux':
        return {}
    if platform.machine() in ('x86_64', 'AMD64'):
        return {build_name(capability): flags for capability, flags in X86.items()}
    return {build_name('NEON'): ()} if platform.machine() == 'aarch64' else {}


def build_name(capability: str) -> str:
    """Of the shared object for what a processor can do."""
    return f'_attention_{capability.lower()}'


def sources_sum(folder: Path = HERE) -> int:
    """Sum of the sources, by which a build that is older than they are gives itself away."""
    return crc32(b''.join((folder / name).read_bytes() for name in SOURCES))
