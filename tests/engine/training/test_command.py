"""The command that a training prints when it is ended goes on with it."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from effformer_dense.checkpoint.whole_model import find_checkpoint, read_checkpoint
from effformer_dense.engine.training.session import Session
from effformer_dense.options import ConfigOptions
from tests.helpers import PROJECT_ROOT


def test_options_come_back_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'argv', ['/usr/bin/effdense'])
    options = ConfigOptions(
        Path('my config.py'), ('a.b=1', 'c=[1,2]'), tmp_path, from_scratch=True, max_pixels=10, launcher='none'
    )
    session = Session(options, None, tmp_path)
    started = f"effdense train 'my config.py' --cfg-options a.b=1 'c=[1,2]' --work-dir {tmp_path} --from-scratch"
    assert session.going_on() == f'{started} --max-pixels 10'
    assert Session(options, 'x y.pth', tmp_path).going_on() == f"{started} --max-pixels 10 --resume 'x y.pth'"


def test_under_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    options = ConfigOptions(Path('config.py'), launcher='pytorch')
    for program, told in (('tools/train.py', 'tools/train.py'), ('x/__main__.py', '-m effformer_dense train')):
        monkeypatch.setattr(sys, 'argv', [program])
        expected = f'torchrun --nproc-per-node 4 {told} config.py --launcher pytorch'
        assert Session(options, None, tmp_path).going_on() == expected


@pytest.mark.slow
def test_what_is_printed_works(tiny_config: Path, tmp_path: Path) -> None:
    work_dir = tmp_path / 'work'
    command = [sys.executable, '-m', 'effformer_dense', 'train', str(tiny_config), '--work-dir', str(work_dir)]
    command += ['--cfg-options', 'train_cfg.max_epochs=3', 'default_hooks.checkpoint.max_keep_ckpts=1']
    training = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=PROJECT_ROOT)
    assert training.stdout is not None
    told = ''
    for line in training.stdout:
        told += line
        if 'Checkpoints will be saved' in line:
            training.send_signal(signal.SIGTERM)
    assert training.wait() == 128 + signal.SIGTERM, told
    _, printed = told.split('Go on with:\n')
    python, *arguments = shlex.split(printed)
    assert python == 'python' and arguments[-1] == '--resume'
    assert find_checkpoint(work_dir).name in ('iter_1.pth', 'epoch_1.pth')
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=PROJECT_ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'Best checkpoint (coco/bbox_mAP' in done.stdout
    assert read_checkpoint(find_checkpoint(work_dir))['meta']['epoch'] == 3
    assert sum(path.name.startswith(('epoch', 'iter')) for path in work_dir.glob('*.pth')) == 1
