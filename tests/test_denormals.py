"""Numbers that are taken for zero."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from effformer_dense.denormals import flush_denormals
flush_denormals()
import numpy as np, torch
assert torch.tensor(1e-30) * torch.tensor(1e-10) == 0
print(np.finfo(np.float32), np.finfo(float))
"""


def test_they_are_zero_and_numpy_has_nothing_to_say() -> None:
    ended = subprocess.run([sys.executable, '-W', 'error::UserWarning', '-c', PROGRAM], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
