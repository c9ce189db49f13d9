"""A training that is killed while it writes a checkpoint, or at any other moment, leaves a whole one."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from effformer_dense.checkpoint.whole_files import flaw_of, newest_whole

from .toy import Toy, run, started

pytestmark = pytest.mark.slow

TOY = {'epochs': 4, 'val_s': 0.05, 'megabytes': 2, 'step_s': 0.05}


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.glob('*.pth') if not path.name.startswith('.')]


@pytest.mark.parametrize('keep', [1, 3])
def test_while_a_checkpoint_is_written(keep: int, tmp_path: Path) -> None:
    """Each of the first writes is killed half way, and the training gone on with."""
    hook = dict(max_keep_ckpts=keep, save_best='auto')
    with started(tmp_path, Toy(**TOY, hook=hook), slow_write_s=0.5) as training:
        for name in ('epoch_1.pth', 'best_toy_acc_epoch_1.pth', 'epoch_1.pth', 'epoch_2.pth'):
            training.wait_for(f'WRITING {name}')
        training.send(signal.SIGKILL)
        training.end()
    assert list(tmp_path.glob('.epoch_2.*.partial.pth')), 'killed half way'
    assert newest_whole(tmp_path) == (tmp_path / 'epoch_1.pth', [])
    assert [path.name for path in _visible(tmp_path) if flaw_of(path)] == []
    run(tmp_path, Toy(**TOY, hook=hook, resume=True))
    kept = [f'epoch_{number}.pth' for number in range(5 - keep, 5)]
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['best_toy_acc_epoch_4.pth', *kept]


@pytest.mark.parametrize('workers', [0, 2])
def test_at_random_moments(workers: int, tmp_path: Path) -> None:
    """Every kill leaves whole files only; once there was one, there is always one."""
    toy = Toy(**{**TOY, 'epochs': 40}, workers=workers, hook=dict(max_keep_ckpts=1, save_best='auto'), resume=True)
    moments, before = random.Random(workers), 0
    for _ in range(2):
        with started(tmp_path, toy, slow_write_s=0.05) as training:
            training.wait_for('WRITING')
            time.sleep(moments.uniform(0, 1.5))
            training.send(signal.SIGKILL)
            training.end()
        assert [path.name for path in _visible(tmp_path) if flaw_of(path)] == []
        found, _ = newest_whole(tmp_path)
        number = int(found.stem.partition('_')[2]) if found else 0
        assert number >= before
        before = number
    assert before > 0
