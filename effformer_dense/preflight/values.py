"""Values of a config that torch and MMEngine refuse late, in their own words, or not at all."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.config import Config

from ..config.load import DATALOADERS
from ..errors import UserError, choice_error


class Rule(NamedTuple):
    """What a value must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return (_is_whole(value) or isinstance(value, float)) and math.isfinite(value)  # type: ignore[arg-type]


def _whole(least: int) -> Rule:
    return Rule(f'a whole number of {least} or more', lambda value: _is_whole(value) and value >= least)


def _is_betas(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_finite(b) and 0 <= b < 1 for b in value)


_POSITIVE = Rule('a finite number above 0', lambda value: _is_finite(value) and value > 0)
_NOT_NEGATIVE = Rule('a finite number of 0 or more', lambda value: _is_finite(value) and value >= 0)
_LENGTH = Rule('a whole number of 1 or more', _whole(1).holds)
_END = Rule('a whole number of 1 or more, or inf', lambda value: value == math.inf or _LENGTH.holds(value))
_OR_NEVER = Rule('a whole number of 1 or more, or -1 for never', lambda value: _LENGTH.holds(value) or value == -1)

#: Entries by their place in the config; what is not there, or None, has a default.
_RULES: dict[str, Rule] = {
    **{f'{section}.batch_size': _whole(1) for section in DATALOADERS},
    **{f'{section}.num_workers': _whole(0) for section in DATALOADERS},
    'train_cfg.max_epochs': _whole(1),
    'train_cfg.max_iters': _whole(1),
    'train_cfg.val_interval': _whole(1),
    'optim_wrapper.accumulative_counts': _whole(1),
    'optim_wrapper.optimizer.lr': _POSITIVE,
    'optim_wrapper.optimizer.weight_decay': _NOT_NEGATIVE,
    'optim_wrapper.optimizer.momentum': _NOT_NEGATIVE,
    'optim_wrapper.optimizer.eps': _NOT_NEGATIVE,
    'optim_wrapper.optimizer.betas': Rule('two numbers from 0 to less than 1', _is_betas),
    'optim_wrapper.clip_grad.max_norm': _POSITIVE,
    'default_hooks.checkpoint.interval': _OR_NEVER,
    'default_hooks.logger.interval': _whole(1),
    'randomness.seed': Rule('a whole number from 0 to 2**32 - 1', lambda v: _is_whole(v) and 0 <= v < 2**32),
    'load_from': Rule('the name of a checkpoint', lambda value: isinstance(value, str) and bool(value)),
}
#: Entries that MMEngine takes all of, or none.
_TOGETHER = {
    'training': ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    'validation': ('val_dataloader', 'val_cfg', 'val_evaluator'),
    'testing': ('test_dataloader', 'test_cfg', 'test_evaluator'),
}
_SCHEDULE: dict[str, Rule] = {'begin': _whole(0), 'end': _END}


def check_values(cfg: Config) -> None:
    """Check numbers that decide about a run.

    Raises:
        UserError: one is of another type or out of range, named by its place.
    """
    for path, rule in _RULES.items():
        _check(path, _at(cfg, path), rule)
    for path, scheduler in _schedulers(cfg):
        if not isinstance(scheduler, Mapping):
            raise UserError(f"{path} must be a dict such as dict(type='MultiStepLR', ...); got {scheduler!r}.")
        for name, rule in _SCHEDULE.items():
            _check(f'{path}.{name}', scheduler.get(name), rule)
    level = cfg.get('log_level', 'INFO')
    if not isinstance(level, int) and not isinstance(logging.getLevelName(level), int):
        raise choice_error('log_level', level, ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'))
    for section in DATALOADERS:
        loader = cfg.get(section) or {}
        if loader.get('persistent_workers') and not loader.get('num_workers', 0):
            raise UserError(
                f'{section}.persistent_workers=True keeps loading processes, and num_workers=0 starts none: '
                f'set {section}.persistent_workers=False too.'
            )


def check_together(cfg: Config) -> None:
    """Check that of entries that belong together all are there, or none.

    Raises:
        UserError: some are missing.
    """
    for what, names in _TOGETHER.items():
        missing = [name for name in names if cfg.get(name) is None]
        if 0 < len(missing) < len(names):
            raise UserError(
                f'{" and ".join(missing)} {"is" if len(missing) == 1 else "are"} missing, or None: {what} takes '
                f'{", ".join(names)}, all of them or none ({" ".join(f"{name}=None" for name in names)}).'
            )


def _check(path: str, value: Any, rule: Rule) -> None:
    if value is not None and not rule.holds(value):
        raise UserError(f'{path} must be {rule.words}; got {value!r}.')


def _at(cfg: Config, path: str) -> Any:
    node: Any = cfg
    for part in path.split('.'):
        node = node.get(part) if isinstance(node, (Mapping, Config)) else None
    return node


def _schedulers(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Schedulers of the optimizer; a dict of them is of several optimizers and not looked into."""
    schedulers = cfg.get('param_scheduler') or []
    if not isinstance(schedulers, Mapping):
        listed = schedulers if isinstance(schedulers, (list, tuple)) else [schedulers]
        for index, scheduler in enumerate(listed):
            yield f'param_scheduler.{index}', scheduler
