"""Learning rates from the last layer of a backbone to the first."""

from __future__ import annotations

import pytest
from mmengine.optim import build_optim_wrapper
from torch import nn

from effformer_dense import TimmFeatures
from effformer_dense.errors import UserError
from tests.helpers import TINY_EDGEVIT, TINY_V1, TINY_V2, build


class _Model(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(3, 2)


def _rates(model: nn.Module, **paramwise) -> dict[str, float]:
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            constructor='LayerDecay',
            optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
            paramwise_cfg=paramwise,
        ),
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert all(len(group['params']) == 1 for group in wrapper.optimizer.param_groups)
    return {names[id(group['params'][0])]: group['lr'] for group in wrapper.optimizer.param_groups}


@pytest.mark.parametrize('row', [TINY_V1, TINY_V2, TINY_EDGEVIT], ids=lambda row: row.key)
def test_each_layer_learns_slower_than_the_next(row) -> None:
    model = _Model(build(row))
    rates = _rates(model, layer_decay=0.5)
    layers = model.backbone.layers()
    assert sorted(name for layer in layers for name in layer) == sorted(dict(model.backbone.named_parameters()))
    blocks = sum(row.depths)
    assert len(layers) == 1 + blocks + bool(model.backbone.out_norms)
    for place, layer in enumerate(layers):
        for name in layer:
            assert rates[f'backbone.{name}'] == pytest.approx(1e-3 * 0.5 ** (len(layers) - place)), name
    assert rates['head.weight'] == rates['head.bias'] == pytest.approx(1e-3)
    down = [n for n in rates if n.startswith('backbone.stages.1.downsample.')]
    first = [n for n in rates if n.startswith('backbone.stages.1.blocks.0.')]
    assert down and len({rates[n] for n in down + first}) == 1, 'a step down belongs to the block after it'


def test_timms_order_and_mmengines_own_rules() -> None:
    model = _Model(TimmFeatures('test_vit'))
    rates = _rates(model, layer_decay=0.5, custom_keys={'head': dict(lr_mult=3.0)})
    assert rates['head.weight'] == pytest.approx(3e-3)
    assert rates['backbone.model.pos_embed'] < rates['backbone.model.blocks.0.attn.qkv.weight']
    assert rates['backbone.model.blocks.0.attn.qkv.weight'] < rates['backbone.model.blocks.5.attn.qkv.weight'] < 1e-3
    last = max(rate for name, rate in rates.items() if name.startswith('backbone.resamples'))
    assert last == pytest.approx(5e-4)


def test_frozen_layers_are_left_out() -> None:
    rates = _rates(_Model(build(TINY_V2, frozen_stages=1)), layer_decay=0.9)
    assert not any(name.startswith(('backbone.stem', 'backbone.stages.0')) for name in rates)
    assert any(name.startswith('backbone.stages.1') for name in rates)


@pytest.mark.parametrize('paramwise', [{}, dict(layer_decay=0), dict(layer_decay=1.5), dict(layer_decay='0.8')])
def test_a_factor_is_needed(paramwise: dict) -> None:
    with pytest.raises(UserError, match=r'LayerDecay needs the factor from layer to layer.*layer_decay=0\.8'):
        _rates(_Model(build(TINY_V2)), **paramwise)


def test_backbones_that_tell_no_order_are_refused() -> None:
    with pytest.raises(UserError, match=r'Conv2d tells none: use a backbone of effformer_dense'):
        _rates(_Model(nn.Conv2d(3, 3, 1)), layer_decay=0.8)
    with_list = nn.Conv2d(3, 3, 1)
    with_list.layers = nn.ModuleList()  # as mmdet's PVT
    with pytest.raises(UserError, match='Conv2d tells none'):
        _rates(_Model(with_list), layer_decay=0.8)
