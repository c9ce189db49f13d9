"""Training a supernet: several sub-networks per step, the gradients summed (the sandwich rule)."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import BaseModel
from mmengine.registry import MODEL_WRAPPERS, MODELS
from torch import Tensor, nn

from ..errors import UserError
from .space import State
from .supernet import Supernet


@MODELS.register_module()
class Sandwich(BaseModel):
    """Any detector or segmentor on a supernet: a step trains the largest, the smallest and random sub-networks.

    One optimizer step follows the sum of their gradients (the sandwich rule, as in arXiv 2212.08059, section 3.3).
    Which random ones depends on iteration and seed alone: the same on every process, and after an interruption.
    Otherwise it does what the model does, with the largest network.

    Args:
        model: config of the detector or segmentor, whose backbone is a :class:`.supernet.Supernet`.
        random_states: random sub-networks per step.
        seed: of their choice.

    Raises:
        UserError: another backbone.
    """

    iteration: Tensor
    #: What the losses of a step's first networks are logged with.
    logged: ClassVar[tuple[str, ...]] = ('', 'smallest.')

    def __init__(self, model: dict, random_states: int = 2, seed: int = 0) -> None:
        built = MODELS.build(model)
        super().__init__(built.data_preprocessor)
        self.model, self.random_states, self.seed = built, random_states, seed
        self._check()
        self.register_buffer('iteration', torch.zeros((), dtype=torch.long))

    def _check(self) -> None:
        """Raises ``UserError`` for a backbone that is not trained so."""
        if not isinstance(getattr(self.model, 'backbone', None), Supernet):
            raise UserError('A sandwich is trained of a model whose backbone is a Supernet.')

    @property
    def supernet(self) -> Supernet:
        return self.model.backbone

    def states(self, iteration: int) -> list[State]:
        """The sub-networks of a step."""
        space, generator = self.supernet.space, random.Random(f'{self.seed} {iteration}')
        return [space.largest, space.smallest, *(space.random(generator) for _ in range(self.random_states))]

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """What the model does."""
        return self.model(inputs, data_samples, mode)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Forward and backward pass of each sub-network, then one step of the optimizer, or of several iterations one.

        Returns:
            The losses of the first ones; of a sandwich, the largest and the smallest.
        """
        data = self.data_preprocessor(data, True)
        logged = {}
        count = optim_wrapper.inner_count
        try:
            for number, state in enumerate(self.states(int(self.iteration))):
                self.supernet.state = state
                with optim_wrapper.optim_context(self):
                    losses = self._run_forward(data, mode='loss')
                total, values = self.parse_losses(losses)
                optim_wrapper.backward(optim_wrapper.scale_loss(total))
                optim_wrapper._inner_count = count  # it counts backward passes; accumulation is over iterations
                if number < len(self.logged):
                    logged.update({f'{self.logged[number]}{name}': value for name, value in values.items()})
        finally:
            self.supernet.state = self.supernet.space.largest
        optim_wrapper._inner_count = count + 1
        if optim_wrapper.should_update():
            average_gradients(self)
            optim_wrapper.step()
            optim_wrapper.zero_grad()
        self.iteration += 1
        return logged


def average_gradients(model: nn.Module) -> None:
    """Gradients become their means over all processes; alone, nothing happens.

    DistributedDataParallel would average what the last of several backward passes has used, and nothing else. Running
    statistics are averaged in any training, by :class:`..engine.training.statistics.StatisticsHook`.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if get_world_size() > 1 and gradients:
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        all_reduce(flat, 'mean')
        parts = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])


@MODEL_WRAPPERS.register_module()
class SandwichProcesses(nn.Module):
    """Stands where DistributedDataParallel would: starts all processes alike; the sandwich exchanges the rest."""

    def __init__(self, module: Sandwich, **_: Any) -> None:
        super().__init__()
        self.module = module
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor.data, 0)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data: Any) -> Any:
        return self.module.val_step(data)

    def test_step(self, data: Any) -> Any:
        return self.module.test_step(data)
