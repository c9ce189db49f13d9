"""The slurm job, with stand-ins for ``srun`` and ``scontrol``: they start processes as slurm does, on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from effformer_dense.checkpoint.whole_model import find_checkpoint
from tests.helpers import PROJECT_ROOT, free_port

#: Enough that the notice reaches a training that is under way on a busy machine, too.
EPOCHS = 30

SRUN = """#!{python}
import os, subprocess, sys
size = int(os.environ['SLURM_NTASKS'])
tasks = [
    subprocess.Popen(sys.argv[1:], env={{**os.environ, 'SLURM_PROCID': str(rank), 'SLURM_LOCALID': str(rank)}})
    for rank in range(size)
]
open({pids!r}, 'w').write(' '.join(str(task.pid) for task in tasks))
sys.exit(max(task.wait() for task in tasks))
"""

SCONTROL = """#!/bin/sh
case $1 in show) echo 127.0.0.1;; *) echo "$@" > {asked};; esac
"""


def _job(config: Path, restarts: int) -> subprocess.Popen:
    folder = config.parent
    for name, text in (('srun', SRUN), ('scontrol', SCONTROL)):
        program = folder / name
        program.write_text(text.format(python=sys.executable, pids=str(folder / 'pids'), asked=folder / 'asked'))
        program.chmod(0o755)
    environment = {
        **os.environ,
        'PATH': f'{folder}:{Path(sys.executable).parent}:{os.environ["PATH"]}',
        'PYTHONPATH': str(PROJECT_ROOT),
        'OMP_NUM_THREADS': '1',
        'MASTER_PORT': str(free_port()),
        'SLURM_NTASKS': '2',
        'SLURM_NODELIST': 'node',
        'SLURM_JOB_ID': '17',
    }
    if restarts:
        environment['SLURM_RESTART_COUNT'] = str(restarts)
    command = [str(PROJECT_ROOT / 'tools' / 'slurm_train.sh'), str(config), '--work-dir', str(folder / 'work')]
    command += ['--from-scratch', '--cfg-options', f'train_cfg.max_epochs={EPOCHS}', f'train_cfg.val_interval={EPOCHS}']
    command += ['train_dataloader.batch_size=1', 'default_hooks.logger.interval=1']
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='slurm runs there')
def test_notice_of_the_end_saves_and_the_next_start_goes_on(tiny_config: Path) -> None:
    folder = tiny_config.parent
    job = _job(tiny_config, restarts=0)
    assert job.stdout is not None
    told = ''
    for line in job.stdout:
        told += line
        if re.search(r'Epoch\(train\) +\[ *1\]\[1/2\]', line):
            for pid in (folder / 'pids').read_text().split():
                os.kill(int(pid), signal.SIGUSR1)
    assert job.wait() == 128 + signal.SIGUSR1, told[-3000:]
    assert (folder / 'asked').read_text().split() == ['requeue', '17']
    assert 'srun --ntasks=2 python -m effformer_dense train' in told
    saved = find_checkpoint(folder / 'work')
    again = _job(tiny_config, restarts=1)
    told, _ = again.communicate(timeout=300)
    assert again.returncode == 0, told[-3000:]
    starts = json.loads((folder / 'work' / 'run.json').read_text())
    assert [start['resumed_from'] for start in starts] == [None, str(saved)]
    assert find_checkpoint(folder / 'work').name == f'epoch_{EPOCHS}.pth'
