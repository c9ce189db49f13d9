"""Batch norms of necks and heads: equal outputs, whoever shares layers or puts something between them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from effformer_dense.config.home import CONFIGS
from effformer_dense.deploy import fuse
from effformer_dense.deploy.precision import lacks_bf16
from effformer_dense.errors import UserError
from effformer_dense.variants import Variant
from tests.helpers import build, randomise

HEADS = sorted(path.stem for path in (CONFIGS / 'heads').glob('*_shapes.py'))


class _Net(nn.Module):
    """A backbone and a head on its last map."""

    def __init__(self, variant: Variant, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.decode_head = build(variant), head

    def forward(self, images: Tensor) -> Tensor:
        return self.decode_head(self.backbone(images)[-1])


class _Levels(nn.Module):
    """One convolution and a norm for each level, as in RTMDet's head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(ConvModule(channels, 8, 3, norm_cfg=dict(type='BN')) for _ in range(3))
        for level in self.levels[1:]:
            level.conv = self.levels[0].conv

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([level(x) for level in self.levels], 1)


class _Tied(nn.Module):
    """Two convolutions of one weight, of which one has a norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Sequential(nn.Conv2d(channels, 8, 1), nn.BatchNorm2d(8)), nn.Conv2d(channels, 8, 1)
        self.second.weight = self.first[0].weight

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) + self.second(x)


class _Bottleneck(nn.Module):
    """Neighbours of which only ``forward`` knows in what order they are called."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.bn(x))


def _heads(channels: int) -> dict[str, tuple[nn.Module, int]]:
    """Heads, and how many of their norms can be folded."""
    norm: dict[str, Any] = dict(norm_cfg=dict(type='BN'))
    between = nn.Sequential(nn.Conv2d(channels, 8, 1), nn.ReLU(), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1))
    shared = ConvModule(channels, channels, 1, **norm)
    hooked = nn.Sequential(nn.Conv2d(channels, 8, 1), nn.BatchNorm2d(8))
    hooked[0].register_forward_hook(lambda module, inputs, output: output.abs())
    return {
        'neighbours': (nn.Sequential(nn.Conv2d(channels, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()), 1),
        'module': (ConvModule(channels, 8, 3, **norm, padding=1, padding_mode='reflect'), 1),
        'folds in every call': (ConvModule(channels, 8, 3, **norm, efficient_conv_bn_eval=True), 1),
        'one layer twice': (nn.Sequential(shared, shared), 1),
        'activation between': (between, 0),
        'norm first': (ConvModule(channels, 8, 1, **norm, order=('norm', 'act', 'conv')), 0),
        'activation, convolution, norm': (ConvModule(channels, 8, 1, **norm, order=('act', 'conv', 'norm')), 1),
        'convolution, activation, norm': (ConvModule(channels, 8, 1, **norm, order=('conv', 'act', 'norm')), 0),
        'standardised': (ConvModule(channels, 8, 3, **norm, conv_cfg=dict(type='ConvWS')), 0),
        'spectral norm': (ConvModule(channels, 8, 3, **norm, with_spectral_norm=True), 0),
        'transposed': (ConvModule(channels, 8, 3, **norm, conv_cfg=dict(type='deconv')), 0),
        'no statistics': (nn.Sequential(nn.Conv2d(channels, 8, 1), nn.BatchNorm2d(8, track_running_stats=False)), 0),
        'no weights': (nn.Sequential(nn.Conv2d(channels, 8, 1), nn.BatchNorm2d(8, affine=False)), 1),
        'watched': (hooked, 0),
        'levels': (_Levels(channels), 0),
        'tied': (_Tied(channels), 0),
        'attributes': (_Bottleneck(channels), 0),
    }


@pytest.mark.parametrize('kind', list(_heads(8)))
@torch.no_grad()
def test_outputs_are_equal(tiny: Variant, kind: str) -> None:
    head, num_folded = _heads(tiny.widths[-1])[kind]
    net = randomise(_Net(tiny, head)).eval()
    images = torch.randn(2, 3, 96, 130)
    fused = fuse(net)
    before, after = net(images), fused(images)
    assert float((before - after).abs().max() / before.std()) < 1e-4
    assert _num_norms(net.decode_head) - _num_norms(fused.decode_head) == num_folded
    assert not any(parameter.requires_grad for parameter in fused.parameters())


def _num_norms(module: nn.Module) -> int:
    return sum(isinstance(part, _BatchNorm) for part in module.modules())


@pytest.mark.parametrize('name', HEADS)
@torch.no_grad()
def test_every_head_that_has_a_config(name: str) -> None:
    model = _built(CONFIGS / 'heads' / f'{name}.py')
    images = torch.randn(1, 3, 96, 128)
    fused = fuse(model)
    for before, after in zip(_outputs(model, images), _outputs(fused, images), strict=True):
        assert float((before - after).abs().max() / before.std()) < 1e-3


def _built(config: Path) -> nn.Module:
    cfg = Config.fromfile(config)
    scope = DefaultScope.get_instance('fold norms', scope_name=cfg.default_scope)
    from mmengine.registry import MODELS

    with DefaultScope.overwrite_default_scope(scope.scope_name):
        cfg.model.backbone.init_cfg = None
        return randomise(MODELS.build(cfg.model)).eval()


def _outputs(model: nn.Module, images: Tensor) -> list[Tensor]:
    """Maps of the neck and outputs of the heads that take nothing but them."""
    maps = model.extract_feat(images)
    heads = [getattr(model, name, None) for name in ('bbox_head', 'rpn_head', 'decode_head', 'auxiliary_head')]
    found = [
        part for head in heads if isinstance(head, nn.Module) and not _asks_for_more(head) for part in [head(maps)]
    ]
    return [*maps, *_tensors(found)]


def _asks_for_more(head: nn.Module) -> bool:
    """Heads of transformers take queries, and samples with sizes."""
    return type(head).__name__ in ('DINOHead', 'Mask2FormerHead')


def _tensors(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [one for part in value for one in _tensors(part)]


class _Wrapper(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


@pytest.mark.skipif(lacks_bf16(torch.device('cpu')) is not None, reason='the processor has no bfloat16')
def test_wrapped_models_compute_in_bf16(tiny: Variant) -> None:
    net = _Net(tiny, nn.Sequential(nn.Conv2d(tiny.widths[-1], 8, 1), nn.BatchNorm2d(8)))
    plain, wrapped = fuse(net, 'bf16'), fuse(_Wrapper(copy.deepcopy(net)), 'bf16')
    halves = [sum(one.dtype == torch.bfloat16 for one in model.parameters()) for model in (plain, wrapped)]
    assert halves[0] == halves[1] > 0
    other = nn.ModuleDict({'one': net, 'two': nn.Linear(2, 2)})
    with pytest.raises(UserError, match=r'no backbone, neck or head among one, two'):
        fuse(other, 'bf16')
