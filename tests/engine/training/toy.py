"""A training of one layer, in this process or in one of its own that can be killed.

python -m tests.engine.training.toy WORK_DIR '{"epochs": 3}'
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.utils.data import Dataset

from effformer_dense.checkpoint.loaders import safe_loaders
from effformer_dense.checkpoint.whole_files import newest_whole
from effformer_dense.engine.training.runner import TrainingRunner
from effformer_dense.engine.training.session import Session
from effformer_dense.options import ConfigOptions
from tests.helpers import PROJECT_ROOT


@dataclass(frozen=True)
class Toy:
    """What a toy training is like.

    Attributes:
        epochs: of four iterations; 0 for a training that counts iterations.
        iters: of a training that counts iterations.
        megabytes: of weights that learn nothing, which makes writing a checkpoint take time.
        step_s: how long an iteration takes.
        val_s: how long one of the two iterations of a validation takes; None for no validation.
        hook: arguments of the hook that writes checkpoints.
    """

    epochs: int = 2
    iters: int = 8
    workers: int = 0
    accumulate: int = 1
    megabytes: float = 0
    step_s: float = 0
    val_s: float | None = None
    hook: dict[str, Any] | None = None
    resume: bool = False


class _Data(Dataset):
    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {'inputs': torch.full((3,), index / self.length)}


class ToyModel(BaseModel):
    def __init__(self, toy: Toy) -> None:
        super().__init__()
        self.toy = toy
        self.layer = nn.Linear(3, 1)
        self.register_buffer('ballast', torch.rand(int(toy.megabytes * 1e6 / 4)))

    def forward(self, inputs: Tensor, mode: str = 'tensor') -> Any:
        inputs = torch.stack(list(inputs)) if isinstance(inputs, list) else inputs
        time.sleep((self.toy.step_s if mode == 'loss' else self.toy.val_s) or 0)
        out = self.layer(inputs)
        return {'loss': ((out - inputs.sum()) ** 2).mean()} if mode == 'loss' else [*out]


class ToyScore(BaseMetric):
    """Grows with the iterations, so that every validation is the best yet."""

    default_prefix = 'toy'

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(len(data_samples))

    def compute_metrics(self, results: list) -> dict[str, float]:
        from mmengine.logging import MessageHub

        return {'acc': float(MessageHub.get_current_instance().get_info('iter', 0))}


def build(work_dir: Path, toy: Toy, load_from: Path | None = None) -> TrainingRunner:
    """A runner of such a training; it goes on from ``load_from`` if that is given."""
    loader = dict(batch_size=2, num_workers=toy.workers)
    validation: dict[str, Any] = {}
    if toy.val_s is not None:
        sampler = dict(type='DefaultSampler', shuffle=False)
        validation = dict(
            val_dataloader=dict(loader, dataset=_Data(4), sampler=sampler),
            val_cfg=dict(type='ValLoop'),
            val_evaluator=dict(type=ToyScore),
        )
    by_epoch = dict(type='EpochBasedTrainLoop', max_epochs=toy.epochs, val_interval=1)
    by_iter = dict(type='IterBasedTrainLoop', max_iters=toy.iters, val_interval=4)
    return TrainingRunner(
        model=ToyModel(toy),
        work_dir=str(work_dir),
        train_dataloader=dict(loader, dataset=_Data(8), sampler=dict(type='DefaultSampler', shuffle=True)),
        train_cfg=by_epoch if toy.epochs else by_iter,
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9), accumulative_counts=toy.accumulate
        ),
        default_hooks=dict(
            checkpoint=dict(dict(type='CheckpointHook', interval=1, by_epoch=toy.epochs > 0), **toy.hook or {}),
            logger=dict(type='LoggerHook', interval=1),
        ),
        resume=load_from is not None,
        load_from=load_from and str(load_from),
        randomness=dict(seed=0),
        experiment_name=f'toy_{time.monotonic_ns()}',
        **validation,
    )


@safe_loaders()
def run(work_dir: Path, toy: Toy) -> TrainingRunner:
    """Train; from the newest whole checkpoint if ``toy.resume`` and there is one."""
    session = Session(ConfigOptions(Path('toy.py'), work_dir=work_dir), None, work_dir)
    with session.open():
        runner = build(work_dir, toy, newest_whole(work_dir)[0] if toy.resume else None)
        runner.going_on = session.going_on
        runner.train()
    return runner


class Process:
    """A toy training in a process group of its own."""

    def __init__(self, work_dir: Path, toy: Toy, slow_write_s: float = 0) -> None:
        self.work_dir = work_dir
        command = [sys.executable, '-W', 'ignore', '-m', __name__, str(work_dir), json.dumps(vars(toy))]
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'SLOW_WRITE_S': str(slow_write_s)}
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=PROJECT_ROOT,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(
                signal.SIGINT, signal.SIG_DFL
            ),  # ignored where tests run in the background
        )
        self.read: list[str] = []

    def wait_for(self, text: str) -> None:
        """Read what it prints up to a line that has ``text``."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.read.append(line)
            if text in line:
                return
        raise AssertionError(f'no {text!r} in:\n{"".join(self.read)}')

    def end(self, timeout_s: float = 60) -> tuple[int, str]:
        """Wait for its end; returns status and all that it has printed."""
        rest, _ = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, ''.join(self.read) + rest

    def send(self, number: int, to_group: bool = False) -> None:
        (os.killpg if to_group else os.kill)(self.process.pid, number)

    def left(self) -> list[int]:
        """Processes of its group that are there."""
        found = []
        for folder in Path('/proc').iterdir():
            try:
                fields = (folder / 'stat').read_text().rpartition(')')[2].split()
            except (OSError, ValueError):
                continue
            if folder.name.isdigit() and fields[0] != 'Z' and int(fields[2]) == self.process.pid:
                found.append(int(folder.name))
        return found


@contextmanager
def started(work_dir: Path, toy: Toy, slow_write_s: float = 0):
    """A process that is no more at the end of a ``with`` block, nor are those that it started."""
    process = Process(work_dir, toy, slow_write_s)
    try:
        yield process
    finally:
        if process.left():
            process.send(signal.SIGKILL, to_group=True)
        process.process.wait()
        if process.process.stdout:
            process.process.stdout.close()


def _write_slowly(seconds: float) -> None:
    """Let every durable write stop half way for some time."""
    from effformer_dense import files

    usual = files.write_atomically

    def slow(path: Path, write: Any) -> None:
        def write_and_wait(scratch: Path) -> None:
            write(scratch)
            if path.suffix == '.pth':
                with scratch.open('r+b') as file:
                    whole = file.read()
                    file.truncate(len(whole) // 2)
                    print(f'WRITING {path.name}', flush=True)
                    time.sleep(seconds)
                    file.seek(0)
                    file.write(whole)

        usual(path, write_and_wait)

    files.write_atomically = slow


if __name__ == '__main__':
    from effformer_dense.errors import UserError

    if float(os.environ.get('SLOW_WRITE_S', 0)):
        _write_slowly(float(os.environ['SLOW_WRITE_S']))
    try:
        run(Path(sys.argv[1]), Toy(**json.loads(sys.argv[2])))
    except UserError as error:
        print(f'Error: {error}', file=sys.stderr)
        sys.exit(2)
