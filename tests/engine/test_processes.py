"""Processes that have met end as they should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: Two processes that end right after a collective, and never let another thread have the interpreter on the way.
_PAIRS = """
import os, sys
import torch
import torch.distributed as dist
from effformer_dense.engine.processes import meet_without_gpu

sys.setswitchinterval(1000)
ended = []
for pair in range(15):
    children = []
    for rank in (0, 1):
        children.append(os.fork())
        if not children[-1]:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
            meet_without_gpu('pytorch', dict(init_method=f'file://{sys.argv[1]}/{pair}', rank=rank, world_size=2))
            for _ in range(3):
                dist.all_gather_object([None, None], list(range(1000)))
                dist.broadcast(torch.ones(10000), 0)
            sys.exit(0)
    ended += [os.waitpid(child, 0)[1] for child in children]
assert ended == [0] * 30, ended
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='gloo by a file')
def test_no_process_is_aborted_after_its_work(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, '-c', _PAIRS, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
