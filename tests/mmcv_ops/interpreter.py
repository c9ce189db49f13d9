"""Python code in an interpreter of its own, where nothing has been imported yet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.helpers import PROJECT_ROOT

#: ``mmcv/ops.py`` of an mmcv of a few lines: it asks for its ops as mmcv does.
OPS = """
from mmcv import _ext
assert all(hasattr(_ext, name) for name in ('nms', 'roi_align_forward', 'carafe_forward'))
"""


def run(code: str, *folders: Path, arguments: Sequence[str] = ()) -> subprocess.CompletedProcess:
    path = os.pathsep.join(map(str, (*folders, PROJECT_ROOT)))
    command = [sys.executable, '-W', 'ignore', '-c', code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': path})
