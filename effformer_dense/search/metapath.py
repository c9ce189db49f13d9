"""V1's supernet: every position a mix of what it can be, in shares that are learned (arXiv 2206.01191, section 4).

A position is an MB4D block (pooling), an MB3D block (attention) where the space lets it attend, or nothing. In training
its output is their sum, weighted by softmax((alpha + noise) / temperature), noise even between 0 and 1. How important a
position is follows from its alphas.

Epochs and temperatures are not published; these here are our own. So is that each step also trains the mix at widths
drawn at random: channels that a search cuts are the last ones, and only so it matters which those are.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from mmengine.logging import MessageHub
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.func import functional_call

from ..errors import UserError
from .networks import build_backbone
from .sandwich import Sandwich
from .space import State
from .supernet import Supernet

#: From the first iteration to the last, falling evenly in its logarithm.
TEMPERATURES = (1.0, 0.1)
#: Shells of mixes that are kept.
_KEPT_SHELLS = 64


@dataclass(frozen=True)
class Mixture:
    """All that the positions can be, at once.

    Attributes:
        widths: channels of each stage.
        temperature: of the softmax over alphas.
        seed: of the noise on alphas; None for no noise.
    """

    widths: tuple[int, ...]
    temperature: float = 1.0
    seed: str | None = None


class MetaPath(nn.Module):
    """A position: the weighted sum of what it can be.

    Attributes:
        weights: of nothing, of ``pool`` and of ``token``; set before each call.
    """

    weights: Tensor

    def __init__(self, pool: nn.Module, token: nn.Module | None) -> None:
        super().__init__()
        self.pool, self.token = pool, token

    def forward(self, x: Tensor) -> Tensor:
        out = self.weights[0] * x + self.weights[1] * self.pool(x)
        return out if self.token is None else out + self.weights[2] * self.token(x)


@MODELS.register_module()
class MetaPathSupernet(Supernet):
    """A supernet that can also be run as a :class:`Mixture`: ``state`` may be one.

    Args:
        backbone, space: see :class:`.supernet.Supernet`.

    Attributes:
        alphas: by ``STAGE_POSITION``, counted from 0: of nothing, pooling, and attention where there is any.
    """

    state: State | Mixture  # type: ignore[assignment]

    def __init__(self, backbone: Mapping[str, Any], space: Mapping[str, Any] | None = None) -> None:
        super().__init__(backbone, space)
        keys = [f'{stage}_{position}' for stage, depth in enumerate(self.space.depths) for position in range(depth)]
        self.alphas = nn.ParameterDict({key: torch.zeros(3 if key in self.pools else 2) for key in keys})
        self._build_mixed = lru_cache(maxsize=_KEPT_SHELLS)(self._mixed_shell)

    def importance(self) -> list[list[float]]:
        """Per stage and position: the share of its blocks over that of nothing, without noise."""

        def of_position(alpha: Tensor) -> float:
            nothing, *blocks = alpha.detach().softmax(dim=0).tolist()
            return sum(blocks) / nothing

        # Not in the order of the dict, which torch sorts as words: 10 before 2.
        return [
            [of_position(self.alphas[f'{stage}_{position}']) for position in range(depth)]
            for stage, depth in enumerate(self.space.depths)
        ]

    def _run(self, images: Tensor) -> tuple[Tensor, ...]:
        if isinstance(self.state, State):
            return super()._run(images)
        shell = self._build_mixed(self.state.widths).train(self.training)
        weights = self._weights(self.state)
        for stage, blocks in enumerate(shell.stages):
            for position, path in enumerate(blocks.blocks):
                path.weights = weights[f'{stage}_{position}']
        return functional_call(shell, self._views(shell, self._mixed_source), (images,))

    def _weights(self, mixture: Mixture) -> dict[str, Tensor]:
        """Shares of what each position can be, which follow from the mixture alone: the same on all processes."""
        generator = random.Random(mixture.seed)
        weights = {}
        for name, alpha in self.alphas.items():
            noise = [0.0 if mixture.seed is None else generator.random() for _ in alpha]
            weights[name] = ((alpha + alpha.new_tensor(noise)) / mixture.temperature).softmax(dim=0)
        return weights

    def _mixed_shell(self, widths: tuple[int, ...]) -> Any:
        """Without values: the network in which all positions attend that can, each of them a :class:`MetaPath`."""
        attending = replace(self.space.largest, widths=widths)
        pooling = replace(attending, attention=(0,) * len(widths))
        with torch.device('meta'):
            shell: Any = build_backbone(attending.row, **self.options)
            pools: Any = build_backbone(pooling.row, **self.options)
        for stage, (mixed, other) in enumerate(zip(shell.stages, pools.stages, strict=True)):
            mixed.blocks = nn.ModuleList(
                MetaPath(pool, token if f'{stage}_{position}' in self.pools else None)
                for position, (pool, token) in enumerate(zip(other.blocks, mixed.blocks, strict=True))
            )
        return shell

    def _mixed_source(self, name: str) -> str:
        """Where an entry of a mixed shell is in this network."""
        parts = name.split('.')
        if parts[0] == 'stages' and parts[2] == 'blocks':
            key, kind = f'{parts[1]}_{parts[3]}', parts.pop(4)
            if kind == 'pool' and key in self.pools:
                return '.'.join(['pools', key, *parts[4:]])
        return '.'.join(['largest', *parts])


@MODELS.register_module()
class MetaPathTraining(Sandwich):
    """Any detector or segmentor on a :class:`MetaPathSupernet`: a step trains its mix at full width, and at others.

    Weights and alphas follow the sum of the gradients. Noise and widths depend on iteration and seed alone: the same
    on every process, and after an interruption.
    """

    logged = ('', 'narrow.')

    @property
    def supernet(self) -> MetaPathSupernet:
        return self.model.backbone

    def states(self, iteration: int) -> list[Mixture]:  # type: ignore[override]
        """The mixtures of a step."""
        generator = random.Random(f'{self.seed} {iteration}')
        temperature = temperature_at(iteration, MessageHub.get_current_instance().get_info('max_iters', 0))
        space = self.supernet.space
        narrow = tuple(generator.choice(choices) for choices in space.widths)
        widths = (space.largest.widths, narrow)
        return [Mixture(each, temperature, f'{self.seed} {iteration} {n}') for n, each in enumerate(widths)]

    def _check(self) -> None:
        super()._check()
        if not isinstance(self.supernet, MetaPathSupernet):
            raise UserError('Shares of blocks are learned by a model whose backbone is a MetaPathSupernet.')


def temperature_at(iteration: int, iterations: int) -> float:
    """Temperature of an iteration, the first being 0, of so many."""
    first, last = TEMPERATURES
    return first * (last / first) ** (min(iteration, iterations) / max(iterations, 1))
