"""A job that is started again goes on, with what is its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from effformer_dense.checkpoint.whole_model import find_checkpoint
from effformer_dense.engine.training.restart import saved_before_restart
from tests.helpers import PROJECT_ROOT

from .noisy import differing, saved


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / 'iter_1.pth'
    torch.save({'state_dict': {}}, path)
    return path


def _set_start(work_dir: Path, job: str, before_s: float) -> None:
    started = time.strftime('%Y-%m-%dT%H:%M:%S%z', time.localtime(time.time() - before_s))
    (work_dir / 'run.json').write_text(
        json.dumps([{'started': '2020-01-01T00:00:00+0000'}, dict(job=job, started=started)])
    )


@pytest.mark.parametrize('variable', ['TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT'])
def test_only_a_job_that_was_started_before_goes_on(
    checkpoint: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('SLURM_JOB_ID', '17')
    _set_start(checkpoint.parent, '17', 5)
    for count, found in (('', None), ('0', None), ('1', checkpoint)):
        monkeypatch.setenv(variable, count)
        assert saved_before_restart(checkpoint.parent) == found


@pytest.mark.skipif(sys.platform != 'linux', reason='asks /proc')
def test_checkpoint_of_another_training_is_none(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    os.utime(checkpoint, (1e9, 1e9))
    assert saved_before_restart(checkpoint.parent) is None
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '0')
    monkeypatch.setenv('SLURM_RESTART_COUNT', '1')
    monkeypatch.setenv('SLURM_JOB_ID', '17')
    _set_start(checkpoint.parent, '16', 0)
    assert saved_before_restart(checkpoint.parent) is None, 'the job has not begun here'
    _set_start(checkpoint.parent, '17', 60)
    assert saved_before_restart(checkpoint.parent) is None, 'older than the job'


def _elastic(config: Path, work_dir: Path) -> subprocess.Popen:
    command = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        '--nproc-per-node=2',
        '--max-restarts=2',
        '--monitor-interval=0.2',
    ]
    command += ['--master-port=0', '--rdzv-backend=c10d', '--rdzv-endpoint=localhost:0']
    command += ['-m', 'effformer_dense', 'train', str(config), '--launcher', 'pytorch', '--work-dir', str(work_dir)]
    command += ['--from-scratch', '--cfg-options', 'train_cfg.max_epochs=4', 'train_cfg.val_interval=4']
    command += ['train_dataloader.batch_size=1', 'default_hooks.logger.interval=1']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(PROJECT_ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=config.parent, env=environment
    )


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


def _is_rank(pid: int, rank: int) -> bool:
    return f'RANK={rank}'.encode() in Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='looks for processes in /proc')
def test_a_process_that_is_killed_costs_nothing(tiny_config: Path, tmp_path: Path) -> None:
    undisturbed = _elastic(tiny_config, tmp_path / 'undisturbed')
    told, _ = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, told[-3000:]
    killed = _elastic(tiny_config, tmp_path / 'killed')
    assert killed.stdout is not None
    told = ''
    for line in killed.stdout:
        told += line
        if 'Epoch(train) [3][1/2]' in line and 'restarted' not in told:
            (victim,) = (pid for pid in _children(killed.pid) if _is_rank(pid, 1))
            os.kill(victim, signal.SIGKILL)
            told += 'restarted'
    assert killed.wait(60) == 0, told[-3000:]
    starts = json.loads((tmp_path / 'killed' / 'run.json').read_text())
    assert [start['resumed_from'] is None for start in starts] == [True, False], told[-3000:]
    assert 'epoch_2.pth' in starts[1]['resumed_from']
    ends = [find_checkpoint(tmp_path / name) for name in ('undisturbed', 'killed')]
    assert [end.name for end in ends] == ['epoch_4.pth'] * 2
    assert differing(*map(saved, ends)) == []
