"""Trainings of real networks, killed at a moment that nobody announced and gone on with by another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.conftest import CONFIGS, write_tiny_config
from tests.helpers import PROJECT_ROOT

from .noisy import differing, saved

LAST = 8  # iterations

SEGMENTOR = """
_base_ = {base!r}

shapes = dict(splits=dict(training=8, validation=2), size_px=64, seed=0)
data_root = {root!r}
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    neck=dict(out_channels=16),
    decode_head=dict(in_channels=[16] * 4, channels=16),
)
dataset = dict(data_root=data_root, shapes=shapes)
train_dataloader = dict(batch_size=2, dataset=dataset)
val_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dataset)
test_dataloader = val_dataloader
"""

CHANGES = """
_base_ = {base!r}

model = dict(backbone=dict(drop_path_rate=0.2))
train_cfg = {train_cfg}
train_dataloader = dict(num_workers={workers}, persistent_workers={persistent})
optim_wrapper = dict(accumulative_counts={accumulate})
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1, max_keep_ckpts=-1))
custom_hooks = {hooks}
"""


def write_config(folder: Path, task: str, workers: int, accumulate: int, average: bool) -> Path:
    """A training of eight iterations; of a detector in epochs of two, of a segmentor in one go."""
    if task == 'detection':
        base, train_cfg = write_tiny_config(folder), "dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=3)"
    else:
        base = folder / 'segmentor.py'
        base.write_text(
            SEGMENTOR.format(base=str(CONFIGS / 'semfpn_v2_s0_shapes.py'), root=f'{folder / "shapes_ade"}/')
        )
        train_cfg = f"dict(type='IterBasedTrainLoop', max_iters={LAST}, val_interval=3)"
    hooks = [dict(type='EMAHook', momentum=0.1)] if average else []
    path = folder / 'killed.py'
    path.write_text(
        CHANGES.format(
            base=str(base),
            train_cfg=train_cfg,
            workers=workers,
            persistent=workers > 0,
            accumulate=accumulate,
            hooks=hooks,
        )
    )
    return path


def start(config: Path, work_dir: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, '-m', 'effformer_dense', 'train', str(config), '--work-dir', str(work_dir)]
    environment = {**os.environ, 'PYTHONPATH': str(PROJECT_ROOT), 'OMP_NUM_THREADS': '1'}
    with work_dir.with_suffix('.txt').open('a') as log:
        return subprocess.Popen(
            [*command, '--from-scratch', *options],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=PROJECT_ROOT,
        )


def kill_after(process: subprocess.Popen, work_dir: Path, iteration: int) -> None:
    """Kill a run, with its loading processes, as soon as a checkpoint has been written."""
    pointer = work_dir / 'last_checkpoint'
    while not (pointer.is_file() and pointer.read_text().endswith(f'iter_{iteration}.pth')):
        assert process.poll() is None, work_dir.with_suffix('.txt').read_text()[-3000:]
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('task', 'workers', 'accumulate', 'average'),
    [
        ('detection', 2, 3, True),
        ('segmentation', 0, 1, False),
    ],
)
def test_killed_run_ends_with_the_weights_of_one_that_was_not(
    tmp_path: Path, task: str, workers: int, accumulate: int, average: bool
):
    config = write_config(tmp_path, task, workers, accumulate, average)
    assert start(config, tmp_path / 'whole').wait() == 0, (tmp_path / 'whole.txt').read_text()[-3000:]
    killed = tmp_path / 'killed'
    kill_after(start(config, killed), killed, 3)
    kill_after(start(config, killed, '--resume', str(killed / 'iter_3.pth')), killed, 6)
    assert start(config, killed, '--resume', str(killed / 'iter_6.pth')).wait() == 0, (
        tmp_path / 'killed.txt'
    ).read_text()[-3000:]
    assert differing(*(saved(folder / f'iter_{LAST}.pth') for folder in (tmp_path / 'whole', killed))) == []
