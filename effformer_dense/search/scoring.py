"""Scores of a supernet's states on a few pictures, their norms' statistics estimated anew.

Stages that a state shares with the one that the search stands at are not computed again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from ..engine.quiet import only_errors
from ..engine.training.numbers import named_tensors
from .countdown import Countdown
from .judge import Judge
from .pictures import LOSS, Trial, load_pictures
from .sandwich import Sandwich
from .space import State


@dataclass
class Level:
    """What is known of a state's stem, or of one of its stages: statistics, and maps of the batches."""

    statistics: dict[str, Tensor] = field(default_factory=dict)
    calibration: list[Tensor] = field(default_factory=list)
    validation: list[Tensor] = field(default_factory=list)


class Scorer:
    """Scores states on the same pictures.

    Args:
        cfg: whose data and metric are taken.
        sandwich: the trained supernet.
        trial: how much, and by what.
    """

    def __init__(self, cfg: Config, sandwich: Sandwich, trial: Trial) -> None:
        self.sandwich, self.trial = sandwich.eval(), trial
        self.supernet, self.model = sandwich.supernet, sandwich.model
        self._outside = [
            module
            for name, module in self.model.named_modules()
            if isinstance(module, _BatchNorm) and not name.startswith('backbone.')
        ]
        with only_errors():
            pictures = load_pictures(cfg, sandwich.data_preprocessor, trial)
        self._calibration, self._validation = pictures.calibration, pictures.validation
        ids = [sample.get('img_id') for batch in self._validation for sample in batch['data_samples']]
        self._judge = Judge(cfg.val_evaluator, pictures.metainfo, ids, trial.metric)
        self._base: tuple[State, list[Level]] | None = None

    @torch.no_grad()
    def score(self, state: State) -> float:
        """Score of a state; larger is better.

        Raises:
            UserError: the metric is not among those that the config computes.
        """
        levels = self._levels(state)
        with _alone(), self._calibrated(state, levels), torch.random.fork_rng():
            torch.manual_seed(self.trial.seed)  # detectors draw samples for their losses
            if self.trial.metric == LOSS:
                return -self._loss(state, levels)
            return self._metric(state, levels)

    def scores(self, states: Sequence[State], note: Callable[[str], None] = lambda _: None) -> list[float]:
        """Scores of several states; processes share them."""
        size, rank = (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)
        own, countdown = {}, Countdown()
        for number in range(rank, len(states), size):
            note(f'state {number + 1} of {len(states)}{countdown.left(number / len(states))}')
            own[number] = self.score(states[number])
        parts: list[Any] = [own]
        if size > 1:
            parts = [None] * size
            dist.all_gather_object(parts, own)
        found = {number: value for part in parts for number, value in part.items()}
        return [found[number] for number in range(len(states))]

    @torch.no_grad()
    def stand_at(self, state: State) -> None:
        """Keep what is computed of a state, for those that share its first stages."""
        self._base = (state, self._levels(state))

    @torch.no_grad()
    def weights(self, state: State) -> dict[str, Tensor]:
        """Weights of the whole model with a state in the place of the supernet: copies, statistics estimated anew."""
        levels = self._levels(state)
        with self._calibrated(state, levels):
            backbone = self.supernet.extract(state, trained=True)
            for level in levels:
                backbone.update(level.statistics)
            whole = {f'backbone.{name}': value for name, value in backbone.items()}
            for name, value in self.model.state_dict().items():
                if not name.startswith('backbone.'):
                    whole[name] = value
            return {name: value.detach().cpu().clone() for name, value in whole.items()}

    @torch.no_grad()
    def features(self, state: State, model: Any = None) -> list[Tensor]:
        """What becomes of the first picture behind the neck, or the head without one; of a model instead, if given."""
        batch = self._validation[0]
        levels = self._levels(state)
        with self._calibrated(state, levels):
            if model is not None:
                return _behind_neck(model.to(batch['inputs'].device), batch['inputs'][:1])
            maps = tuple(x[:1] for x in self._maps(state, levels, 'validation', 0))
            with self.supernet.answering(maps):
                return _behind_neck(self.model, batch['inputs'][:1])

    def _levels(self, state: State) -> list[Level]:
        """Stem and stages of a state on all batches."""
        tensors = self.supernet.tensors(state, trained=True)
        shell = self.supernet.shell(state).eval()
        levels: list[Level] = []
        for number, (prefix, part) in enumerate(_parts(shell)):
            known = self._known(state, number)
            if known is not None:
                levels.append(known)
                continue
            own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            before = (
                levels[-1]
                if levels
                else Level(
                    calibration=[_ordered(batch['inputs']) for batch in self._calibration],
                    validation=[_ordered(batch['inputs']) for batch in self._validation],
                )
            )
            levels.append(_run_level(part, own, prefix, before))
        return levels

    def _known(self, state: State, number: int) -> Level | None:
        if self._base is None:
            return None
        base, levels = self._base
        return levels[number] if base.prefix(number) == state.prefix(number) else None

    def _maps(self, state: State, levels: Sequence[Level], phase: str, batch: int) -> tuple[Tensor, ...]:
        """What the backbone returns for a batch."""
        shell = self.supernet.shell(state)
        maps = [getattr(levels[index + 1], phase)[batch].contiguous() for index in shell.out_indices]
        if shell.out_norms:
            tensors = self.supernet.tensors(state, trained=True)
            for place, index in enumerate(shell.out_indices):
                prefix = f'out_norms.{index}.'
                own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
                maps[place] = functional_call(shell.out_norms[str(index)], own, (maps[place],))
        return tuple(maps)

    @contextmanager
    def _calibrated(self, state: State, levels: Sequence[Level]) -> Iterator[None]:
        """Give norms of neck and head the statistics of a state, and take them away again."""
        if not self._outside:
            yield
            return
        before = [{name: value.clone() for name, value in norm.named_buffers()} for norm in self._outside]
        momenta = [norm.momentum for norm in self._outside]
        try:
            for norm in self._outside:
                norm.reset_running_stats()
                norm.momentum = None
                norm.train()
            for number, batch in enumerate(self._calibration):
                with self.supernet.answering(self._maps(state, levels, 'calibration', number)):
                    self.model(batch['inputs'], copy.deepcopy(batch['data_samples']), mode='tensor')
            for norm in self._outside:
                norm.eval()
            yield
        finally:
            for norm, values, momentum in zip(self._outside, before, momenta, strict=True):
                norm.eval()
                norm.momentum = momentum
                for name, value in values.items():
                    getattr(norm, name).copy_(value)

    def _loss(self, state: State, levels: Sequence[Level]) -> float:
        total, pictures = 0.0, 0
        for number, batch in enumerate(self._validation):
            with self.supernet.answering(self._maps(state, levels, 'validation', number)):
                losses = self.model(batch['inputs'], copy.deepcopy(batch['data_samples']), mode='loss')
            total += float(self.sandwich.model.parse_losses(losses)[0]) * len(batch['inputs'])
            pictures += len(batch['inputs'])
        return total / pictures

    def _metric(self, state: State, levels: Sequence[Level]) -> float:
        for number, batch in enumerate(self._validation):
            with self.supernet.answering(self._maps(state, levels, 'validation', number)):
                self._judge.add(self.model(batch['inputs'], copy.deepcopy(batch['data_samples']), mode='predict'))
        return self._judge.tell()


@contextmanager
def _alone() -> Iterator[None]:
    """Let this process look alone: losses of many heads average factors over processes, which score other states."""
    usual = dist.is_initialized
    dist.is_initialized = lambda: False
    try:
        yield
    finally:
        dist.is_initialized = usual


def _behind_neck(model: Any, images: Tensor) -> list[Tensor]:
    found = model.extract_feat(images) if model.with_neck else model(images, mode='tensor')
    return [value for _, value in named_tensors(found, '')]


def _parts(shell: Any) -> Iterator[tuple[str, nn.Module]]:
    yield 'stem.', shell.stem
    for index, stage in enumerate(shell.stages):
        yield f'stages.{index}.', stage


def _ordered(images: Tensor) -> Tensor:
    """As the backbone takes them: on a CPU, convolutions are fastest on channels-last maps."""
    return images.contiguous(memory_format=torch.channels_last) if images.device.type == 'cpu' else images


def _run_level(part: nn.Module, tensors: dict[str, Tensor], prefix: str, before: Level) -> Level:
    """One part of a network on all batches: first for its norms' statistics, then with them."""
    norms = {name: module for name, module in part.named_modules() if isinstance(module, _BatchNorm)}
    fresh = _fresh_statistics(norms, tensors)
    tensors = {**tensors, **fresh}
    for norm in norms.values():
        norm.train()
        norm.momentum = None  # the mean over all batches
    try:
        calibration = [functional_call(part, tensors, (x,)) for x in before.calibration]
    finally:
        part.eval()
    validation = [functional_call(part, tensors, (x,)) for x in before.validation]
    return Level({prefix + name: value for name, value in fresh.items()}, calibration, validation)


def _fresh_statistics(norms: Mapping[str, nn.Module], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    fresh = {}
    for name in norms:
        for leaf, start in (('running_mean', 0), ('running_var', 1), ('num_batches_tracked', 0)):
            key = f'{name}.{leaf}' if name else leaf
            fresh[key] = torch.full_like(tensors[key], start)
    return fresh
