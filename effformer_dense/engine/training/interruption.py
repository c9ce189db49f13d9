"""Signals that end a training: the iteration is finished, a checkpoint saved, and the command told that goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...checkpoint.whole_files import POINTER
from ...files import write_text
from .checkpoints import INTERIM
from .numbers import is_between_steps

#: From a scheduler or ``kill``; from Ctrl-C; slurm's notice before it ends a job (``--signal=USR1@120``).
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
#: A launcher hands on the Ctrl-C that the terminal has sent to all processes: that is not a second one.
_SAME_KEY_SECONDS = 1.0


class Interrupted(SystemExit):
    """A training that was asked to end has ended; the status is 128 and the number of the signal, as in a shell."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class Request:
    """Whether somebody has asked the training to end."""

    def __init__(self) -> None:
        self.number = 0  # of the signal
        self._time = 0.0
        self._process = os.getpid()

    @contextmanager
    def listening(self) -> Iterator[Request]:
        """Note signals instead of dying of them, for the time of a ``with`` block.

        What is ignored stays so, such as Ctrl-C by processes in the background. Threads other than the main one hear no
        signals.
        """
        in_main_thread = threading.current_thread() is threading.main_thread()
        before = {number: signal.getsignal(number) for number in SIGNALS if in_main_thread}
        heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        for number in heard:
            signal.signal(number, self._note)
        try:
            yield self
        finally:
            for number in heard:
                signal.signal(number, before[number])

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a process that loads data, and has not come to its own handlers yet
            return
        now = time.monotonic()
        if not self.number:
            self.number, self._time = number, now
            name = signal.Signals(number).name
            _say(f'{name}: finishing this iteration and saving a checkpoint. Ctrl-C now ends at once, without one.')
        elif number == signal.SIGINT and now - self._time > _SAME_KEY_SECONDS:
            for child in multiprocessing.active_children():
                child.kill()
            _say('Ended at once.')
            os._exit(128 + number)


def _say(text: str) -> None:
    """Write to the terminal as a signal handler may, which can come while something else is printed."""
    if is_main_process():
        os.write(2, f'\n{text}\n'.encode())


class InterruptionHook(Hook):
    """Ends a training that was asked to, where it can be gone on with: after a step of the optimizer.

    Args:
        request: whether it was asked to.
    """

    priority = 'LOWEST'

    def __init__(self, request: Request) -> None:
        self.request = request

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """End here, unless gradients are pending or an epoch ends, which has its own checkpoint."""
        if self._asked(runner) and is_between_steps(runner.optim_wrapper) and not _ends_epoch(runner):
            self._end(runner, dict(epoch=runner.epoch, iter=runner.iter + 1))

    def after_train_epoch(self, runner: Runner) -> None:
        """End between two epochs."""
        if (
            isinstance(runner.train_loop, EpochBasedTrainLoop)
            and self._asked(runner)
            and is_between_steps(runner.optim_wrapper)
        ):
            self._end(runner, dict(epoch=runner.epoch + 1, iter=runner.iter))

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """End in the middle of a validation, if the weights it is about are saved; else it is finished first.

        Weights may be others meanwhile (averages). Of several processes some may have fewer pictures: they could not
        agree.
        """
        if self.request.number and not runner.distributed and runner.saved_iter == runner.iter:
            self._end(runner, dict(epoch=runner.epoch, iter=runner.iter))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """End after a validation."""
        if self._asked(runner):
            self._end(runner, dict(epoch=runner.epoch, iter=runner.iter))

    def _asked(self, runner: Runner) -> bool:
        """Whether any process of the training was asked; all come to the same answer."""
        if runner.distributed:
            number = torch.tensor([self.request.number], device=next(runner.model.parameters()).device)
            all_reduce(number, 'max')
            self.request.number = int(number)
        return bool(self.request.number)

    def _end(self, runner: Runner, position: dict[str, int]) -> None:
        name = f'iter_{position["iter"]}.pth'
        if runner.saved_iter != position['iter']:
            out_dir = next((hook.out_dir for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
            out_dir = out_dir or runner.work_dir
            runner.save_checkpoint(out_dir, name, meta={**position, INTERIM: True}, by_epoch=False)
            if is_main_process():
                write_text(Path(runner.work_dir, POINTER), str(Path(out_dir, name)))
        barrier()  # a launcher ends all processes when the first has gone
        runner.logger.warning(
            f'Ended by {signal.Signals(self.request.number).name} after iteration {position["iter"]} of '
            f'{runner.max_iters}. Go on with:\n    {runner.going_on()}'
        )
        raise Interrupted(self.request.number)


def _ends_epoch(runner: Runner) -> bool:
    loop = runner.train_loop
    return isinstance(loop, EpochBasedTrainLoop) and (loop.iter + 1) % len(loop.dataloader) == 0
