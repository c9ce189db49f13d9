"""Losses and gradients that are not finite: they reach neither weights nor checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from ...checkpoint.whole_model import find_checkpoint, unwrapped
from ...errors import UserError, some_of
from .continuation import ENTRY
from .sharding import whole


class _NotFinite(Exception):
    """Gradients turned out to be so while they were being clipped."""


class NumberGuard(Hook):
    """Stop before a loss or gradients that are not finite change the weights; or leave out some such steps.

    A loss is looked at before the backward pass, gradients before the optimizer's step; where they are clipped by their
    norm, that norm tells. With several processes all of them have the same gradients, so that there is where they
    decide: one whose loss is not finite hands on gradients that are not either. Infinite gradients of mixed precision
    are left to its scaler, which lowers its scale until they are finite.

    Args:
        most_skipped: steps that may be left out in the whole run; with none the first stops it.
    """

    priority = 'VERY_HIGH'

    def __init__(self, most_skipped: int = 0) -> None:
        self.most_skipped = most_skipped
        self.skipped = 0
        self._runner: Any = None
        self._batch: Any = None
        self._losses: dict[str, Tensor] = {}
        self._bad_losses: list[str] = []  # what to tell of them, since the last step
        self._statistics: list[Tensor] = []
        self._kept: list[Tensor] = []

    def before_train(self, runner) -> None:
        self._runner = runner
        model = unwrapped(runner.model)
        model.parse_losses = partial(self._parse_losses, model.parse_losses)
        if self.most_skipped or get_world_size() > 1:
            self._statistics = list(_running_statistics(model))
            self._kept = [value.clone() for value in self._statistics]
        for wrapper in single_wrappers(runner.optim_wrapper):
            wrapper.backward = partial(self._backward, wrapper, wrapper.backward)
            step = wrapper.step
            wrapper.step = update_wrapper(partial(self._step, wrapper, step), step)  # schedulers look for their mark
            # A scaler begins with steps that are not finite, leaves them out, and clips all the same.
            is_scaled = hasattr(wrapper, 'loss_scaler')
            if wrapper.clip_grad_kwargs and wrapper.clip_func is nn.utils.clip_grad_norm_ and not is_scaled:
                wrapper.clip_func = _clip_finite

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        self._batch = data_batch
        # Of several processes a step is left out as a whole, once the last of its iterations has come.
        if get_world_size() == 1 or is_between_steps(runner.optim_wrapper):
            _copy(self._kept, self._statistics)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        bad = _not_finite(unwrapped(runner.model), checkpoint)
        if bad:
            raise UserError(
                f'No checkpoint was written at iteration {runner.iter + 1}: {some_of(bad, 5)} '
                f'{"is" if len(bad) == 1 else "are"} not finite, though losses and gradients were. '
                f'{self._way_out(runner.optim_wrapper)}'
            )
        checkpoint.setdefault(ENTRY, {}).update(skipped=self.skipped)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        self.skipped = (checkpoint.get(ENTRY) or {}).get('skipped', 0) if runner._resume else 0

    def _parse_losses(self, original: Callable[..., Any], losses: dict[str, Any]) -> Any:
        """Remember single losses, of which the optimizer sees the sum."""
        loss, values = original(losses)
        self._losses = {name: value.detach() for name, value in values.items()}
        return loss, values

    def _backward(self, wrapper: OptimWrapper, original: Callable[..., None], loss: Tensor, **kwargs: Any) -> None:
        if torch.isfinite(loss).all():
            original(loss, **kwargs)
            return
        told = self._told('the loss')
        if get_world_size() > 1:  # the others are about to exchange gradients
            self._bad_losses.append(told)
            original(loss * torch.nan, **kwargs)
            _copy(self._statistics, self._kept)  # before they are averaged over the processes, or saved
            return
        self._handle(wrapper, [told])
        wrapper._inner_count += 1  # what a backward pass would count

    def _step(self, wrapper: OptimWrapper, original: Callable[..., None], **kwargs: Any) -> None:
        gradients = [p.grad for group in wrapper.optimizer.param_groups for p in group['params'] if p.grad is not None]
        if not gradients:  # all of them were left out
            return
        if hasattr(wrapper, 'loss_scaler'):
            bad = self._bad_losses_anywhere()
            if bad:
                self._handle(wrapper, bad)
            else:
                original(**kwargs)
            return
        by_norm = wrapper.clip_grad_kwargs and wrapper.clip_func is _clip_finite
        try:
            if not by_norm and not torch.isfinite(whole(nn.utils.get_total_norm(gradients))):
                raise _NotFinite
            original(**kwargs)
        except _NotFinite:
            bad = self._bad_losses_anywhere()
            self._handle(wrapper, bad or [self._told('the norm of the gradients')])

    def _bad_losses_anywhere(self) -> list[str]:
        """What there is to tell of losses, in all processes, since the last step; alone, they have been dealt with."""
        gathered = all_gather_object(self._bad_losses) if get_world_size() > 1 else []
        return [told for of_process in gathered for told in of_process]

    def _handle(self, wrapper: OptimWrapper, told: list[str]) -> None:
        """Leave a step out, as if it had not been; or stop."""
        where = f'iteration {self._runner.iter + 1}'
        self._bad_losses = []
        rates = some_of(sorted({rate for rates in wrapper.get_lr().values() for rate in rates}), 3)
        text = f'{"; ".join(told)} Learning rate: {rates}.'
        if self.skipped < self.most_skipped:
            self.skipped += 1
            _copy(self._statistics, self._kept)
            self._runner.logger.warning(f'Step {self.skipped} of at most {self.most_skipped} left out, {where}: {text}')
            return
        more = f', after {self.skipped} steps that were left out' if self.skipped else ''
        raise UserError(f'Stopped at {where}{more}, before it changed the weights: {text} {self._way_out(wrapper)}')

    def _told(self, what: str) -> str:
        values = ', '.join(f'{name} {float(value):.4g}' for name, value in self._losses.items())
        files = _files_of(self._batch)
        of = f' Files: {some_of(files, 16)}.' if files else ''
        return f'{what} is not finite ({values}).{of}'

    def _way_out(self, wrapper: OptimWrapper | OptimWrapperDict) -> str:
        try:
            last = find_checkpoint(Path(self._runner.work_dir))
        except UserError:
            there, start, weights = 'There is no checkpoint yet.', 'start anew', ''
        else:
            there, start = f'The last good checkpoint is {last}.', 'go on with --resume'
            weights = f', from its weights (--cfg-options load_from={last})'
        place = _place_of(wrapper, self._runner.optim_wrapper)
        clipping = _tighter_clipping(single_wrappers(wrapper)[0], place)
        return (
            f'\n{there} What helps: a look at these files and their annotations, or '
            f'--cfg-options {clipping}; then {start}. Or another run{weights} with a lower {place}.optimizer.lr or a '
            'longer warm-up. --skip-bad-steps N leaves out up to N such steps.'
        )


def _place_of(wrapper: OptimWrapper | OptimWrapperDict, whole: OptimWrapper | OptimWrapperDict) -> str:
    """Where a config has it; of several, the first where nobody knows which."""
    if not isinstance(whole, OptimWrapperDict):
        return 'optim_wrapper'
    names = [name for name, single in whole.items() if wrapper in (single, whole)]
    return f'optim_wrapper.{names[0]}'


def _tighter_clipping(wrapper: OptimWrapper, place: str) -> str:
    """An override that clips gradients, or a tenth of what they are clipped to now."""
    now = wrapper.clip_grad_kwargs or {}
    name = 'clip_value' if 'clip_value' in now else 'max_norm'
    return f'{place}.clip_grad.{name}={now[name] / 10 if name in now else 10:g}'


def _clip_finite(parameters: Any, **kwargs: Any) -> Tensor:
    norm = whole(nn.utils.clip_grad_norm_(parameters, **kwargs))
    if not torch.isfinite(norm):
        raise _NotFinite
    return norm


def single_wrappers(wrapper: OptimWrapper | OptimWrapperDict) -> list[OptimWrapper]:
    """The one, or those of a model that several optimizers train."""
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def is_between_steps(wrapper: OptimWrapper | OptimWrapperDict) -> bool:
    """Whether no gradients wait for more of them."""
    return all(single.should_update() for single in single_wrappers(wrapper))


def _running_statistics(model: nn.Module) -> Iterator[Tensor]:
    """What a forward pass changes, and what one with infinite inputs spoils."""
    for name, value in model.named_buffers():
        if name.endswith(('running_mean', 'running_var', 'num_batches_tracked')):
            yield value


def _copy(to: list[Tensor], of: list[Tensor]) -> None:
    if to:  # torch refuses empty lists, which a model without batch norm has
        torch._foreach_copy_(to, of)


def _not_finite(model: nn.Module, checkpoint: dict[str, Any]) -> list[str]:
    """Weights, running statistics and moments of the optimizer that are not finite.

    Other buffers may be infinite, as masks are.
    """
    learned = {name for name, _ in model.named_parameters()}
    bad = [
        name
        for name, value in checkpoint['state_dict'].items()
        if (name in learned or is_statistic(name)) and not torch.isfinite(value).all()
    ]
    if not all(torch.isfinite(value).all() for _, value in named_tensors(checkpoint.get('optimizer'), 'optimizer')):
        bad.append('state of the optimizer')
    return bad


def is_statistic(name: str) -> bool:
    """Whether an entry of a state dict is the running mean or variance of a norm."""
    return name.endswith(('running_mean', 'running_var'))


def named_tensors(node: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Tensors in nested dicts and lists, by their place."""
    if isinstance(node, Tensor):
        yield name, node
    elif isinstance(node, (dict, list, tuple)):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from named_tensors(child, f'{name}.{key}')


def _files_of(batch: Any) -> list[str]:
    samples = batch.get('data_samples', ()) if isinstance(batch, dict) else ()
    return [str(sample.img_path) for sample in samples if getattr(sample, 'img_path', None)]
