"""Whether a training can go on from a checkpoint, asked before anything is written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import MODELS

from ...checkpoint.unwrap import weights_in
from ...checkpoint.whole_model import find_checkpoint, load_weights
from ...errors import UserError, some_of
from .chosen import averages
from .continuation import ENTRY
from .differences import flat_entries
from .numbers import is_statistic, named_tensors

#: Settings of optimizers that are about how they compute, and come and go with versions of torch.
_OF_TORCH = {'foreach', 'fused', 'capturable', 'differentiable', 'maximize', 'decoupled_weight_decay'}


def checkpoint_to_resume(cfg: Config, resume: str, processes: int) -> tuple[Path, dict[str, Any]]:
    """Checkpoint from which a training goes on.

    Args:
        cfg: checked config of the training.
        resume: 'auto' for the newest whole one in the work dir, or a file or work dir.
        processes: how many train.

    Returns:
        Its path and its meta data.

    Raises:
        UserError, MissingFileError: there is none, it is not readable, does not fit the config, holds no training, or
            numbers that are not finite, or another optimizer or number of processes has saved it.
    """
    path = find_checkpoint(Path(cfg.work_dir if resume == 'auto' else resume))
    model = MODELS.build(copy.deepcopy(cfg.model))  # mmdet writes into the config what it builds from
    state = load_weights(model, path)
    _check_is_training(path, state)
    _check_finite(path, state, {name for name, _ in model.named_parameters()})
    _check_processes(path, state, cfg, processes)
    if isinstance(state.get('ema_state_dict'), dict) and not averages(cfg):
        raise UserError(
            f'{path} was saved by a training that averages its weights, and this one does not: go on with the same '
            f'--ema, or start from the averaged weights: --cfg-options load_from={path}'
        )
    _check_optimizer(path, state, cfg, build_optim_wrapper(model, cfg.optim_wrapper))
    return path, state['meta']


def _check_is_training(path: Path, state: dict[str, Any]) -> None:
    meta = state.get('meta')
    position = [meta.get(key) for key in ('epoch', 'iter')] if isinstance(meta, dict) else [None]
    has_parts = all(isinstance(state.get(key), dict) for key in ('optimizer', 'message_hub'))
    if not has_parts or not all(isinstance(number, int) and number >= 0 for number in position):
        raise UserError(
            f'{path} holds weights only, no state of a training to go on from. '
            f'To start from its weights: --cfg-options load_from={path}'
        )


def _check_finite(path: Path, state: dict[str, Any], learned: set[str]) -> None:
    """No NaN and no infinity among weights, running statistics and what the optimizer remembers: it would spread."""
    weights = ((name, value) for name, value in weights_in(state).items() if name in learned or is_statistic(name))
    named = [*weights, *named_tensors(state['optimizer'], 'optimizer')]
    bad = [name for name, value in named if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise UserError(
            f'{path} has values that are not finite (NaN or infinity) in {len(bad)} of {len(named)} entries, such as '
            f'{some_of(bad, 2)}: the training had gone wrong before. Go on from an earlier checkpoint: --resume FILE.'
        )


def _check_processes(path: Path, state: dict[str, Any], cfg: Config, processes: int) -> None:
    """As many as before, or as many samples in all of them: iterations and learning rate mean the same then."""
    saved_by = state['meta'].get('world_size', processes)
    step, batch = (state.get(ENTRY) or {}).get('step'), cfg.get('train_dataloader', {}).get('batch_size')
    if saved_by == processes or (batch and step == batch * processes):
        return
    fitting = f', or train_dataloader.batch_size={step // processes}' if step and step % processes == 0 else ''
    raise UserError(
        f'{path} was saved by a training of {saved_by} processes, and this one has {processes}: batches, '
        f'iterations and learning rate would be others. Use {saved_by}{fitting}, or start from its weights: '
        f'--cfg-options load_from={path}'
    )


def _check_optimizer(path: Path, state: dict[str, Any], cfg: Config, wrapper: OptimWrapper | OptimWrapperDict) -> None:
    """The same kind of optimizer over the same weights: torch compares sizes alone, and what it remembers is taken."""
    try:
        reason = _other_kind(state, cfg, wrapper)
        if reason is None:
            wrapper.load_state_dict(state['optimizer'])
            return
    except (ValueError, KeyError) as error:
        reason = str(error)
    raise UserError(
        f'{path} was saved with another optimizer than the config has ({reason}). Use the config it was trained '
        f'with, or start from its weights: --cfg-options load_from={path}'
    )


def _other_kind(state: dict[str, Any], cfg: Config, wrapper: OptimWrapper | OptimWrapperDict) -> str | None:
    """How an optimizer shows to be of another class than the one that was saved; None if it does not."""
    before, now = _kind(state['meta'].get('cfg')), _kind(cfg.pretty_text)
    if before and now and before != now:
        return f'{before} before, {now} now'
    by_name = isinstance(wrapper, OptimWrapperDict)
    for name, single in wrapper.items() if by_name else [('', wrapper)]:
        saved = state['optimizer'][name] if by_name else state['optimizer']
        settings = set(single.optimizer.defaults) - _OF_TORCH
        missing = sorted(settings.difference(*saved['param_groups']))
        if missing:
            kind = type(single.optimizer).__name__
            return f'{kind} now, and it has nothing of {some_of(missing, 3)}'
    return None


def _kind(config: Any) -> str | None:
    """Name of the optimizer's class in the text of a config."""
    try:
        return flat_entries(config).get('optim_wrapper.optimizer.type')
    except (TypeError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
