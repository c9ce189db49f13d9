"""A training of a second: one small layer of everything that remembers or draws."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from torch import nn

from effformer_dense.engine.training.runner import TrainingRunner
from effformer_dense.options import TrainOptions

LENGTH = 13  # of the data set: no multiple of any batch


class ToyModel(BaseModel):
    """Batch norm's statistics, dropout, two losses; ``spoil`` says which iterations go wrong, and where."""

    def __init__(self, spoil: dict[int, str] | None = None) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))
        self.spoil = spoil or {}
        self.calls = 0
        self.seen: list[list[list[float]]] = []

    def forward(self, inputs: torch.Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        inputs = torch.stack(list(inputs)).float()
        self.seen.append(inputs.tolist())
        wrong = self.spoil.get(self.calls)
        self.calls += 1
        out = self.net(inputs * torch.inf if wrong == 'inputs' else inputs)
        draw = torch.rand(1) + random.random() + np.random.rand()  # as proposals are sampled
        loss = (out**2).mean()
        if wrong == 'loss':
            loss = loss * torch.nan
        if wrong == 'gradients':
            loss = loss + torch.sqrt(out * 0).mean()  # adds 0, whose slope is infinite
        return {'loss_a': loss, 'loss_b': (out * draw).abs().mean()}


@dataclass
class DataSample:
    """What the frameworks tell of a sample."""

    img_path: str


class ToyDataset(BaseDataset):
    """Samples that draw from each generator; ``broken`` ones cannot be made, ``deadly`` ones end the process."""

    def __init__(
        self, broken: tuple[int, ...] = (), deadly: int = -1, endless: int = -1, folder: str = '', **kwargs: Any
    ) -> None:
        self.broken, self.deadly, self.endless = broken, deadly, endless
        self.folder = folder
        self.made: list[int] = []
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [
            {'img_path': str(Path(self.folder, f'{i}.png')), 'width': 1 + i % 2, 'height': 1} for i in range(LENGTH)
        ]

    def prepare_data(self, index: int) -> dict[str, Any]:
        self.made.append(index)
        if index in self.broken:
            raise AssertionError('failed to load image')
        if index == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == self.endless:
            time.sleep(60)
        drawn = [index, random.random(), np.random.rand(), float(torch.rand(1))]
        return {'inputs': torch.tensor(drawn), 'data_samples': DataSample(self.get_data_info(index)['img_path'])}


def toy_runner(work_dir: Path, resume: Path | None = None, options: TrainOptions | None = None, **changes: Any) -> Any:
    """A runner of three epochs, or of 12 iterations with ``by_epoch=False``; saves each iteration."""
    by_epoch = changes.pop('by_epoch', True)
    workers = changes.pop('num_workers', 0)
    train_cfg = dict(by_epoch=True, max_epochs=3) if by_epoch else dict(by_epoch=False, max_iters=12)
    loader = dict(
        dataset=dict(type=ToyDataset, **changes.pop('dataset', {})),
        sampler=changes.pop('sampler', None) or dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler'),
        num_workers=workers,
        persistent_workers=workers > 0,
        **{'batch_size': 3, **changes.pop('loader', {})},
    )
    if 'batch_sampler' not in loader:
        loader['drop_last'] = True
    parts: dict[str, Any] = dict(
        model=dict(type=ToyModel, **changes.pop('model', {})),
        train_dataloader=loader,
        train_cfg=train_cfg,
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=0.01),
            accumulative_counts=changes.pop('accumulate', 1),
            clip_grad=changes.pop('clip_grad', None),
        ),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, begin=0, end=9, by_epoch=False),
            dict(type='MultiStepLR', milestones=[1, 2], by_epoch=True),
        ],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False),
            sampler_seed=dict(type='DistSamplerSeedHook'),
        ),
        randomness=dict(seed=3),
        load_from=None if resume is None else str(resume),
        resume=resume is not None,
        experiment_name=f'toy_{work_dir.name}_{random.random()}',
        work_dir=str(work_dir),
    )
    runner = TrainingRunner(**{**parts, **changes})
    runner.options = options or TrainOptions()
    return runner


def saved(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint: weights, running statistics, averages, and state of the optimizer."""
    content = torch.load(path, weights_only=False)
    found = dict(content['state_dict'])
    found |= {f'ema.{name}': value for name, value in content.get('ema_state_dict', {}).items()}
    for place, state in content['optimizer']['state'].items():
        found |= {f'{place}.{name}': value for name, value in state.items()}
    return found


def differing(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> list[str]:
    """Names of what is not equal to the bit."""
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]
