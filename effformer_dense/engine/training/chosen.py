"""Options of training that are entries of the config."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.registry import HOOKS

from ...errors import UserError
from ...options import TrainOptions
from .sharding import ShardedModel


def set_chosen(cfg: Config, training: TrainOptions) -> None:
    """Write options into the config of a training.

    Raises:
        UserError: the config asks for what a CPU cannot do, has a moving average already, or something that does not go
            with an option.
    """
    if training.seed is not None:
        cfg.randomness = {**cfg.get('randomness', {}), 'seed': training.seed}
    if training.accumulate is not None:
        cfg.optim_wrapper.accumulative_counts = training.accumulate
    if training.ema is not None:
        if averages(cfg):
            raise UserError('The config has an EMAHook among its custom_hooks: leave out --ema, or take it out there.')
        hook = dict(type='EMAHook', momentum=1 - training.ema)
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    _check_supported(cfg)
    if training.fsdp:
        if cfg.get('launcher', 'none') == 'none':
            raise UserError(
                '--fsdp splits a model over several processes, and this is one: torchrun --nproc-per-node N -m '
                'effformer_dense train CONFIG --launcher pytorch --fsdp'
            )
        if cfg.get('model_wrapper_cfg') and not shards(cfg):
            raise UserError(
                f'model_wrapper_cfg in the config wraps the model in {cfg.model_wrapper_cfg.get("type")!r}, and --fsdp '
                'in another: take it out of the config, or leave out --fsdp.'
            )
        cfg.model_wrapper_cfg = dict(type=ShardedModel.__name__)
    if shards(cfg):
        _check_can_shard(cfg)
    if cfg.optim_wrapper.get('type') == 'AmpOptimWrapper' and not torch.cuda.is_available():
        raise UserError(
            "optim_wrapper.type 'AmpOptimWrapper' needs a GPU. On a CPU, --amp trains in bfloat16, as "
            "optim_wrapper=dict(type='Bf16OptimWrapper') in the config does anywhere."
        )


def _check_supported(cfg: Config) -> None:
    wrapper = cfg.get('model_wrapper_cfg') or {}
    sharded = [
        *(key for key in ('strategy', 'runner_type') if cfg.get(key)),
        *(['model_wrapper_cfg'] if 'FullySharded' in str(wrapper.get('type')) else []),
    ]
    if sharded:
        raise UserError(
            f'{sharded[0]} in the config asks for FSDP or another of the strategies of MMEngine, with which this '
            'package does not train: see docs/distributed.md. Take it out; several processes train by DDP, and with '
            '--fsdp each keeps its part of the model only.'
        )
    modules = cfg.get('activation_checkpointing') or []
    if 'backbone' in ([modules] if isinstance(modules, str) else modules):
        raise UserError(
            "activation_checkpointing='backbone' would leave the backbone untrained: MMEngine recomputes in a way that "
            'gives no gradients to a module whose input is a picture. Use model.backbone.with_cp=True.'
        )


def shards(cfg: Config) -> bool:
    """Whether several processes keep a part of the model each."""
    kind = (cfg.get('model_wrapper_cfg') or {}).get('type')
    return kind is ShardedModel or str(kind).rpartition('.')[2] == ShardedModel.__name__


def _check_can_shard(cfg: Config) -> None:
    if cfg.get('find_unused_parameters'):
        raise UserError(
            'find_unused_parameters in the config is for weights that some batches give no gradient: processes that '
            'split a model would wait for each other. Take it out, or train without --fsdp.'
        )
    compiled = cfg.get('compile') or False
    if compiled.get('disable') is not True if isinstance(compiled, dict) else compiled:
        raise UserError('compile in the config does not go with --fsdp: take out one of the two.')


def averages(cfg: Config) -> bool:
    """Whether a config keeps a moving average of the weights."""
    return any(_is_average(hook) for hook in cfg.get('custom_hooks') or [])


def _is_average(hook: Any) -> bool:
    kind = hook.get('type') if isinstance(hook, dict) else type(hook)
    kind = HOOKS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, EMAHook)
