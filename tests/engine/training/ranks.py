"""Trainings by the engine in processes that have met as torchrun lets them, without torchrun's start."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.distributed.tensor import DTensor

from effformer_dense.engine.processes import let_gloo_finish
from effformer_dense.engine.runner import train
from effformer_dense.engine.training.runner import TrainingRunner
from effformer_dense.engine.training.sharding import whole
from effformer_dense.options import ConfigOptions, TrainOptions
from tests.helpers import free_port


@dataclass(frozen=True)
class Outcome:
    """How a training ended in one process.

    Attributes:
        state: weights and buffers of the model, whole.
        losses: of each iteration.
        wrapper: name of the class that wraps the model.
        held: bytes of weights and of the optimizer's state that this process keeps.
    """

    state: dict[str, Tensor]
    losses: list[float]
    wrapper: str
    held: int


Training = tuple[ConfigOptions, TrainOptions]


@contextmanager
def met_by_file(folder: Path, rank: int) -> Iterator[None]:
    """Be one of two processes on this machine, for as long as this is open."""
    dist.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2)
    try:
        yield
    finally:
        dist.destroy_process_group()
        let_gloo_finish()


def _run(rank: int, size: int, port: int, trainings: Sequence[Training]) -> None:
    torch.set_num_threads(1)
    if size > 1:
        names: dict[str, Any] = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=size, MASTER_PORT=port)
        os.environ.update({name: str(value) for name, value in names.items()}, MASTER_ADDR='127.0.0.1')
    runners = []
    usual = TrainingRunner.train

    def noted(runner: TrainingRunner) -> Any:
        runners.append(runner)
        return usual(runner)

    TrainingRunner.train = noted  # type: ignore[method-assign]
    for options, training in trainings:
        train(options, None, training)
        model = runners[-1].model
        losses = runners[-1].message_hub.get_scalar('train/loss').data[0].tolist()
        kept = [*model.parameters(), *_tensors(runners[-1].optim_wrapper.optimizer)]
        held = sum(value.to_local().nbytes if isinstance(value, DTensor) else value.nbytes for value in kept)
        state = {name: whole(value) for name, value in getattr(model, 'module', model).state_dict().items()}
        torch.save((state, losses, type(model).__name__, held), f'{options.work_dir}.{rank}')


def _tensors(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]


def run(options: ConfigOptions, size: int, training: TrainOptions | None = None) -> list[Outcome]:
    """Train in ``size`` processes of one thread each; one outcome for each."""
    return run_all([(options, training or TrainOptions())], size)[0]


def run_all(trainings: Sequence[Training], size: int) -> list[list[Outcome]]:
    """Train one after the other in the same ``size`` processes, whose start takes longer than a small training."""
    launcher: Any = 'pytorch' if size > 1 else 'none'
    trainings = [(replace(options, launcher=launcher), training) for options, training in trainings]
    mp.spawn(_run, (size, free_port(), trainings), nprocs=size)
    return [
        [Outcome(*torch.load(Path(f'{options.work_dir}.{rank}'))) for rank in range(size)] for options, _ in trainings
    ]


def farthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Largest difference of any entry."""
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one if one[name].numel())
