"""The compiled C++ of this room: which build this processor takes, and the threads that it shares with torch."""

from __future__ import annotations

import ctypes
import os
import platform
import sysconfig
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .builds import HERE, build_name, sources_sum

#: Set to 0, nothing compiled is used: to compare, or to find out where a difference comes from.
SWITCH = 'EFFORMER_DENSE_NATIVE'


@cache
def library() -> ctypes.CDLL | None:
    """The build for this processor; None where there is none, or it is switched off."""
    path = build_path('NEON' if platform.machine() == 'aarch64' else torch.backends.cpu.get_cpu_capability())
    if os.environ.get(SWITCH) == '0' or not path.exists():
        return None
    try:
        return open_library(path)
    except (OSError, ValueError) as error:
        warnings.warn(f'{path} is not used, and attention takes longer: {error}', stacklevel=2)
        return None


def build_path(capability: str) -> Path:
    """Where the build for what a processor can do lies, if it was made."""
    return HERE / (build_name(capability) + sysconfig.get_config_var('EXT_SUFFIX'))


def open_library(path: Path) -> ctypes.CDLL:
    """Load a build.

    Raises:
        OSError: it cannot be loaded.
        ValueError: it was built from other sources.
    """
    opened = ctypes.CDLL(str(path))
    opened.attention_sources.restype = ctypes.c_uint
    opened.attention_panel.restype = opened.attention_memory.restype = ctypes.c_long
    opened.attention_run.restype = None
    if opened.attention_sources() != sources_sum():
        raise ValueError('it was built from other sources than lie beside it. Install the package again (make setup).')
    return opened


@cache
def in_parallel() -> Any | None:
    """Runs a function on the threads of the OpenMP that torch has loaded; None where that does not speak like GNU's."""
    return getattr(ctypes.CDLL(None), 'GOMP_parallel', None)
