"""Options of training that become entries of the config."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.config import Config

from effformer_dense.engine.training.chosen import averages, set_chosen, shards
from effformer_dense.errors import UserError
from effformer_dense.options import TrainOptions


def _config(**changes: Any) -> Config:
    return Config({'optim_wrapper': dict(type='OptimWrapper', accumulative_counts=4), **changes})


def test_options_reach_the_config() -> None:
    cfg = _config(custom_hooks=[dict(type='SyncBuffersHook')])
    set_chosen(cfg, TrainOptions())
    assert cfg.optim_wrapper.accumulative_counts == 4 and not averages(cfg)
    set_chosen(cfg, TrainOptions(accumulate=2, ema=0.75, seed=5))
    assert cfg.optim_wrapper.accumulative_counts == 2 and cfg.randomness.seed == 5
    assert cfg.custom_hooks[1:] == [dict(type='EMAHook', momentum=0.25)] and averages(cfg)
    with pytest.raises(UserError, match='leave out --ema'):
        set_chosen(cfg, TrainOptions(ema=0.5))


def test_sharding_reaches_the_config() -> None:
    cfg = _config(launcher='pytorch')
    set_chosen(cfg, TrainOptions())
    assert not shards(cfg)
    set_chosen(cfg, TrainOptions(fsdp=True))
    assert cfg.model_wrapper_cfg == dict(type='ShardedModel') and shards(cfg)
    set_chosen(cfg, TrainOptions(fsdp=True))  # as the config says already


@pytest.mark.parametrize(
    ('changes', 'way_out'),
    [
        (dict(launcher='none'), r'this is one: torchrun .* --launcher pytorch --fsdp'),
        (dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel')), "wraps the model in 'MMDistr.* leave out --f"),
        (dict(strategy=dict(type='DDPStrategy')), 'strategy in the config .* with --fsdp each keeps its part'),
        (dict(find_unused_parameters=True), 'find_unused_parameters .* train without --fsdp'),
        (dict(compile=True), 'compile in the config does not go with --fsdp'),
        (dict(compile=dict(backend='inductor')), 'compile in the config does not go with --fsdp'),
    ],
)
def test_what_does_not_go_with_sharding_is_refused(changes: dict[str, Any], way_out: str) -> None:
    with pytest.raises(UserError, match=way_out):
        set_chosen(_config(**{'launcher': 'pytorch', **changes}), TrainOptions(fsdp=True))


@pytest.mark.parametrize(('option', 'value'), [('accumulate', 0), ('ema', 1.0), ('ema', 0.0)])
def test_values_that_make_no_sense(option: str, value: float) -> None:
    with pytest.raises(UserError, match=f'--{option} {value} is not'):
        TrainOptions(**{option: value})


@pytest.mark.parametrize(
    ('changes', 'way_out'),
    [
        (dict(optim_wrapper=dict(type='AmpOptimWrapper')), 'On a CPU, --amp trains in bfloat16'),
        (dict(activation_checkpointing=['backbone', 'neck']), r'model\.backbone\.with_cp=True'),
        (dict(activation_checkpointing='backbone'), r'model\.backbone\.with_cp=True'),
        (dict(strategy=dict(type='FSDPStrategy')), r'strategy in the config .* docs/distributed\.md'),
        (dict(model_wrapper_cfg=dict(type='MMFullyShardedDataParallel')), r'model_wrapper_cfg in the config'),
    ],
)
def test_what_does_not_train_is_refused(changes: dict[str, Any], way_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(UserError, match=way_out):
        set_chosen(_config(**changes), TrainOptions())
