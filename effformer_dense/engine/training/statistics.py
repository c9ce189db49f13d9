"""Running statistics of batch norm that are the same in all processes."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from torch import Tensor, nn


class StatisticsHook(Hook):
    """Average running means and variances over the processes, after each iteration.

    Gradients are averaged by DDP; statistics it would leave to each process, or take from the first. Then validation,
    which every process does with its own, would be about another model than the checkpoint, which the first writes.
    The average is what the batches of all processes add, so that nothing of the data is lost. It is one exchange of
    some ten thousand numbers. SyncBN has exchanged them already, and frozen norms have not changed.
    """

    priority = 'VERY_HIGH'  # before a moving average copies them

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None) -> None:
        if get_world_size() > 1:
            average_statistics(runner.model)


def average_statistics(model: nn.Module) -> None:
    """Average over the processes, in place."""
    statistics = [value for module in model.modules() for value in _own_statistics(module)]
    if statistics:
        flat = torch.cat(statistics)
        all_reduce(flat, 'mean')
        torch._foreach_copy_(statistics, list(flat.split([len(value) for value in statistics])))


def _own_statistics(module: nn.Module) -> list[Tensor]:
    """Statistics that a module has changed by itself."""
    if not module.training or isinstance(module, nn.SyncBatchNorm):
        return []
    values = (getattr(module, name, None) for name in ('running_mean', 'running_var'))
    return [value for value in values if isinstance(value, Tensor)]
