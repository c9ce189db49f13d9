"""Signals end a training where it can be gone on with."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook

from effformer_dense.checkpoint.whole_model import find_checkpoint, read_checkpoint
from effformer_dense.engine.training.interruption import SIGNALS, Interrupted
from effformer_dense.engine.training.runner import TrainingRunner

from .ranks import met_by_file
from .toy import Toy, build, run, started

EPOCHS = {'epochs': 3, 'hook': dict(max_keep_ckpts=2)}


class _Sends(Hook):
    """Sends a signal to this process at a moment."""

    def __init__(self, stage: str, iteration: int, number: int) -> None:
        self.iteration, self.number = iteration, number
        setattr(self, stage, self.send)

    def send(self, runner: TrainingRunner, **_: Any) -> None:
        if runner.iter == self.iteration:
            os.kill(os.getpid(), self.number)


def _interrupted(tmp_path: Path, toy: Toy, stage: str, iteration: int, number: int = signal.SIGTERM) -> int:
    with pytest.MonkeyPatch.context() as patch:
        usual = TrainingRunner.train

        def train(runner: TrainingRunner) -> Any:
            runner.register_hook(_Sends(stage, iteration, number))
            return usual(runner)

        patch.setattr(TrainingRunner, 'train', train)
        with pytest.raises(Interrupted) as raised:
            run(tmp_path, toy)
    return int(str(raised.value.code))


@pytest.mark.parametrize('number', SIGNALS)
@pytest.mark.parametrize('by_epoch', [True, False])
def test_in_the_middle(number: int, by_epoch: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    toy = Toy(**EPOCHS) if by_epoch else Toy(epochs=0, iters=12, hook=dict(interval=4, max_keep_ckpts=2))
    assert _interrupted(tmp_path, toy, 'before_train_iter', 5, number) == 128 + number
    assert {number: signal.getsignal(number) for number in SIGNALS} == before
    assert find_checkpoint(tmp_path).name == 'iter_6.pth'
    meta = read_checkpoint(tmp_path / 'iter_6.pth')['meta']
    assert (meta['epoch'], meta['iter']) == (int(by_epoch), 6)
    told = capfd.readouterr()
    name = signal.Signals(number).name
    assert f'{name}: finishing this iteration and saving a checkpoint.' in told.err
    assert f'Ended by {name} after iteration 6 of 12. Go on with:' in told.out
    assert f'train toy.py --work-dir {tmp_path} --resume\n' in told.out


def test_its_checkpoint_goes_when_the_next_one_stands(tmp_path: Path) -> None:
    toy = Toy(epochs=0, iters=12, hook=dict(interval=4, max_keep_ckpts=2))
    _interrupted(tmp_path, toy, 'before_train_iter', 5)
    run(tmp_path, Toy(**{**vars(toy), 'resume': True}))
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['iter_12.pth', 'iter_8.pth']


def test_gradients_are_not_left_pending(tmp_path: Path) -> None:
    _interrupted(tmp_path, Toy(**EPOCHS, accumulate=3), 'before_train_iter', 0)
    assert find_checkpoint(tmp_path).name == 'iter_3.pth'


def test_the_end_of_an_epoch_has_its_own_checkpoint(tmp_path: Path) -> None:
    _interrupted(tmp_path, Toy(**EPOCHS), 'before_train_iter', 3)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']


def test_the_end_of_an_epoch_without_a_checkpoint_of_its_own(tmp_path: Path) -> None:
    _interrupted(tmp_path, Toy(epochs=3, hook=dict(interval=2)), 'before_train_iter', 3)
    meta = read_checkpoint(find_checkpoint(tmp_path))['meta']
    assert (find_checkpoint(tmp_path).name, meta['epoch'], meta['iter']) == ('iter_4.pth', 1, 4)


@pytest.mark.parametrize(('interval', 'name', 'validations'), [(1, 'epoch_1.pth', 0), (2, 'iter_4.pth', 1)])
def test_in_a_validation(interval: int, name: str, validations: int, tmp_path: Path) -> None:
    """It is left at once where the weights are saved, and finished where they are not."""
    toy = Toy(epochs=3, val_s=0, hook=dict(interval=interval))
    _interrupted(tmp_path, toy, 'before_val_iter', 4)
    assert find_checkpoint(tmp_path).name == name
    assert next(tmp_path.glob('*/*.log')).read_text().count('toy/acc') == validations


@pytest.mark.slow
@pytest.mark.parametrize(
    ('number', 'to_group'),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True), (signal.SIGUSR1, True)],
)
def test_a_process_with_workers_ends_and_leaves_none(number: int, to_group: bool, tmp_path: Path) -> None:
    toy = Toy(epochs=50, workers=2, step_s=0.3, val_s=0, hook=dict(interval=5))
    with started(tmp_path, toy) as training:
        training.wait_for('[1][2/4]')
        assert len(training.left()) >= 3
        training.send(number, to_group)
        status, told = training.end(timeout_s=20)
        deadline = time.monotonic() + 2
        while training.left() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert training.left() == []
    assert status == 128 + number, told
    assert 'Traceback' not in told and 'killed by signal' not in told, told
    assert 'Go on with:' in told and find_checkpoint(tmp_path).name.startswith('iter_')


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    with started(tmp_path, Toy(epochs=50, workers=2, step_s=30)) as training:
        training.wait_for('Checkpoints will be saved')
        time.sleep(2)
        training.send(signal.SIGINT, to_group=True)
        training.send(signal.SIGINT, to_group=True)
        time.sleep(1.5)
        assert training.process.poll() is None, 'a launcher handing on the first one is no second one'
        begun = time.monotonic()
        training.send(signal.SIGINT, to_group=True)
        status, told = training.end(timeout_s=5)
        assert time.monotonic() - begun < 2 and status == 130 and 'Ended at once.' in told
        time.sleep(0.2)
        assert training.left() == []


@pytest.mark.slow
def test_a_worker_that_hangs_does_not_outlive_the_training(tmp_path: Path) -> None:
    """It is told by SIGTERM, which it must hear from the training while it hears it from nobody else."""
    with started(tmp_path, Toy(epochs=50, workers=1, step_s=0.2)) as training:
        training.wait_for('[1][2/4]')
        worker = next(process for process in training.left() if process != training.process.pid)
        os.kill(worker, signal.SIGTERM)
        training.wait_for('[2][1/4]')
        training.send(signal.SIGKILL)
        training.end()
        os.kill(worker, signal.SIGTERM) if worker in training.left() else None
        time.sleep(0.5)
        assert worker not in training.left()


def _train_one_of_two(rank: int, folder: Path) -> None:
    """Train beside another process, of which the second is sent a signal."""
    with met_by_file(folder, rank):
        runner = build(folder / 'work', Toy(epochs=50, step_s=0.02))
        runner._distributed = True  # not before: MMEngine would look for a GPU
        if rank == 1:
            runner.register_hook(_Sends('before_train_iter', 4, signal.SIGUSR1))
        try:
            runner.train()
        except Interrupted as end:
            (folder / f'rank_{rank}').write_text(f'{end.code} after {runner.saved_iter}')


@pytest.mark.slow
def test_two_processes_end_together(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_train_one_of_two, (tmp_path,), nprocs=2)
    assert [(tmp_path / f'rank_{rank}').read_text() for rank in (0, 1)] == ['138 after 5'] * 2
    meta = read_checkpoint(find_checkpoint(tmp_path / 'work'))['meta']
    assert (meta['iter'], meta['world_size']) == (5, 2)
