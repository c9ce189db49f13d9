"""A cache for numba where there is none, or importing mmdet stops."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from ..files import nearest_existing

VARIABLE = 'NUMBA_CACHE_DIR'


def provide_numba_cache() -> None:
    """Give numba a folder of its own if it could write neither beside the packages nor in the user's cache.

    mmdet imports imagecorruptions, which imports imgaug, where numba is asked to keep what it compiles. On a read-only
    installation without a writable home (containers, shared clusters) numba raises ``RuntimeError: cannot cache
    function`` while that is imported. The folder is new, for what lies in it is executed, and goes with the process.
    """
    if os.environ.get(VARIABLE) or not _is_needed():
        return
    folder = tempfile.mkdtemp(prefix='numba-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[VARIABLE] = folder  # read when numba is imported, by this process and those that load data


def _is_needed() -> bool:
    spec = importlib.util.find_spec('imgaug')
    if spec is None or spec.origin is None:
        return False
    beside = Path(spec.origin).parent / 'augmenters' / '__pycache__'
    home = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')  # numba/misc/appdirs.py
    return not _is_writable(beside) and not _is_writable(home / 'numba')


def _is_writable(folder: Path) -> bool:
    """Whether files can be written to ``folder``, which may have to be made. Asked by trying: root may do anything but
    write to what is mounted read-only."""
    try:
        with tempfile.TemporaryFile(dir=nearest_existing(folder)):
            return True
    except OSError:
        return False
