"""Fully sharded training: each process keeps its part of every weight, of its gradient and of the optimizer's state.

torch's ``fully_shard`` splits a model in place, and runs on CPUs as well as on GPUs. It is applied when everything is
loaded, so that initialisation, pretrained weights, checkpoints and moving averages know whole tensors alone. For a
checkpoint all processes put the parts together, and the first one writes it as it would without sharding.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from ...backbones.base import DenseBackbone
from ...errors import UserError, some_of

_Value = TypeVar('_Value')


@MODEL_WRAPPERS.register_module()
class ShardedModel(nn.Module):
    """A model that several processes train, each of which keeps a part of every weight.

    Training has the blocks of the backbone whole one by one, while they compute; in validation everything is, so that
    processes with different numbers of pictures need not wait for each other.

    Args:
        module: detector or segmentor, whole until :meth:`shard`.
    """

    module: Any

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def shard(self, optimizers: Iterable[Optimizer]) -> None:
        """Keep this process's part of the weights and of what optimizers remember of them.

        Args:
            optimizers: of the model; what they have loaded goes with the weights.
        """
        shard_with_state(self.module, optimizers)

    @property
    def is_sharded(self) -> bool:
        """Whether each process has a part only."""
        return isinstance(self.module, FSDPModule)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's."""
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Losses of a batch, and a step."""
        assert self.is_sharded, 'shard() comes first: nothing else exchanges gradients'
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data: Any) -> list:
        """Predictions."""
        return self.module.val_step(data)

    def test_step(self, data: Any) -> list:
        """Predictions."""
        return self.module.test_step(data)

    def train(self, mode: bool = True) -> ShardedModel:
        """Set the mode; all processes at a time. Weights are whole in evaluation mode."""
        super().train(mode)
        if self.is_sharded:
            (self.split if mode else self.unite)()
        return self

    def unite(self) -> None:
        """Have all weights whole until :meth:`split`; all processes at a time."""
        for module in _sharded_modules(self.module):
            module.set_reshard_after_forward(False, recurse=False)
            module.unshard()

    def split(self) -> None:
        """Have this process's part of the weights again, which is what optimizers and averages change."""
        for module in _sharded_modules(self.module):
            module.reshard()
            # The heads are whole from the forward pass to the end of the backward pass, with which they are next.
            module.set_reshard_after_forward(module is not self.module, recurse=False)


class ShardsHook(Hook):
    """Split the weights after a validation, before a moving average takes the place of others or they are saved."""

    priority = 'VERY_HIGH'

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        if isinstance(runner.model, ShardedModel) and runner.model.is_sharded:
            runner.model.split()


def shard_with_state(model: nn.Module, optimizers: Iterable[Optimizer]) -> None:
    """Split a model in place, with gradients, and with state of optimizers that train it."""
    before = dict(model.named_parameters())
    _shard_module(model)
    parts = dict(model.named_parameters())
    replaced = {parameter: parts[name] for name, parameter in before.items()}
    for parameter, part in replaced.items():
        if parameter.grad is not None:
            part.grad = _split_like(parameter.grad, part)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group['params'] = [replaced[parameter] for parameter in group['params']]
        for parameter, part in replaced.items():
            state = optimizer.state.pop(parameter, None)
            if state is not None:
                optimizer.state[part] = {name: _split_like(value, part) for name, value in state.items()}


def shard_average(hook: EMAHook) -> None:
    """Split a moving average as its model is."""
    average = hook.ema_model
    _shard_module(average.module)
    buffers = average.update_buffers
    average.avg_parameters = average.module.state_dict() if buffers else dict(average.module.named_parameters())


def _shard_module(model: nn.Module) -> None:
    """Split block by block; what is left, heads above all, in one piece, for heads are called by other methods."""
    mesh = init_device_mesh(next(model.parameters()).device.type, (get_world_size(),))
    for part in _parts(model):
        fully_shard(part, mesh=mesh)
    fully_shard(model, mesh=mesh, reshard_after_forward=False)


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    """Modules that are used by calling them alone, which is when their weights are put together."""
    backbone, neck = getattr(model, 'backbone', None), getattr(model, 'neck', None)
    if isinstance(backbone, DenseBackbone):
        stage: Any  # for mypy, a ModuleList holds modules whose attributes may be tensors
        for stage in backbone.stages:
            yield from stage.blocks
            if stage.downsample is not None:
                yield stage.downsample
    elif isinstance(backbone, nn.Module):
        yield backbone
    if isinstance(neck, nn.Module):
        yield neck


def check_can_shard(model: nn.Module) -> None:
    """Check that every weight of a model can be split.

    Raises:
        UserError: one has no dimension to be split along (mmcv's Scale, in FCOS and others); or torch is too old.
    """
    if not hasattr(FSDPModule, 'set_reshard_after_forward'):
        raise UserError(f'--fsdp needs torch 2.8 or later, and this is {torch.__version__}: train without it.')
    numbers = [name for name, parameter in model.named_parameters() if parameter.dim() == 0]
    if numbers:
        raise UserError(
            f'--fsdp splits every weight, and {some_of(numbers, 3)} {"is a" if len(numbers) == 1 else "are"} single '
            f'number{"s" * (len(numbers) != 1)} without a dimension: train this model without it.'
        )


def _sharded_modules(model: nn.Module) -> list[FSDPModule]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def _split_like(value: _Value, part: Tensor) -> _Value | DTensor:
    """This process's part of a tensor of a weight's shape; anything else, such as a count of steps, as it is."""
    assert isinstance(part, DTensor)
    if not isinstance(value, Tensor) or value.shape != part.shape:
        return value
    return distribute_tensor(value, part.device_mesh, part.placements)


@contextmanager
def gathered(holders: Iterable[Any]) -> Iterator[None]:
    """Let ``state_dict()`` of each holder give whole tensors, in the first process; all processes at a time.

    Args:
        holders: models, moving averages, optimizers.
    """
    states = [(holder, gather(holder.state_dict())) for holder in holders]
    for holder, state in states:
        holder.state_dict = partial(_same, state)
    try:
        yield
    finally:
        for holder, _ in states:
            del holder.state_dict


def _same(state: Any) -> Any:
    return state


def gather(node: Any) -> Any:
    """Put tensors in nested dicts and lists together, on the CPU; all processes at a time.

    Returns:
        The same nested dicts and lists with whole tensors, in the first process; their parts elsewhere.
    """
    if isinstance(node, DTensor):
        value = node.full_tensor()
        return value.cpu() if is_main_process() else node
    if isinstance(node, OrderedDict):
        copied = OrderedDict((key, gather(value)) for key, value in node.items())
        vars(copied).update(vars(node))  # versions of modules, which MMEngine saves with the weights
        return copied
    if isinstance(node, dict):
        return {key: gather(value) for key, value in node.items()}
    return [gather(value) for value in node] if isinstance(node, list) else node


def whole(tensor: Tensor) -> Tensor:
    """A tensor, put together if processes have parts of it; all of them at a time. Of a norm these are sums."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
