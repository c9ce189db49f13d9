"""Fused copies: equal features, whatever the size, the norm and the model around them."""

from __future__ import annotations

import copy
from functools import partialmethod

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from effformer_dense.backbones import fused as fused_blocks
from effformer_dense.backbones.base import DenseBackbone
from effformer_dense.deploy import fuse
from effformer_dense.deploy.speed import speed_up
from effformer_dense.variants import V2_VARIANTS, Variant
from tests.helpers import SIZES, TINY_EDGEVIT, TINY_V1, TINY_V2, build, randomise, variant_id


@torch.no_grad()
def _deviation(model: nn.Module, other: nn.Module, images: Tensor) -> float:
    """Largest difference over the stages, in standard deviations of each stage."""
    pairs = zip(model(images), other(images), strict=True)
    return max(float((a - b).abs().max() / a.std()) for a, b in pairs)


@pytest.mark.parametrize('tile_values', [1, 2**12, 2**21], ids=['rows', 'tiles', 'whole'])
def test_features_are_equal(variant: Variant, tile_values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if tile_values == 1 and variant.arch not in ('l1', 's0'):
        pytest.skip('row by row is slow; the smallest variants run it')
    monkeypatch.setattr(fused_blocks, 'MAX_TILE_VALUES', tile_values)
    net = randomise(build(variant)).eval()
    fused = fuse(net)
    for batch, *size in [(1, *size) for size in SIZES] if tile_values > 2**12 else [(2, 97, 131)]:
        assert _deviation(net, fused, torch.randn(batch, 3, *size)) < 1e-4


@pytest.mark.parametrize('mode', ['bilinear', 'matrix'])
def test_bias_modes(tiny: Variant, mode: str) -> None:
    net = randomise(build(tiny, bias_resize=mode, bias_grid=5)).eval()
    assert _deviation(net, fuse(net), torch.randn(1, 3, 160, 230)) < 1e-4


def test_the_original_is_left_alone_and_the_copy_is_for_inference(tiny: Variant) -> None:
    net = randomise(build(tiny)).train()
    before = copy.deepcopy(net.state_dict())
    fused = fuse(net)
    assert net.training and not fused.training
    assert not any(p.requires_grad for p in fused.parameters())
    assert not any(isinstance(m, _BatchNorm) for m in fused.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert sum(p.numel() for p in fused.parameters()) < sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    'norm', [dict(type='GN', num_groups=1), dict(type='SyncBN', eps=1e-3), dict(type='BN', affine=False)]
)
def test_other_norms(tiny: Variant, norm: dict) -> None:
    """Group norm cannot be folded, and layer scales before a norm neither: both stay."""
    net = randomise(build(tiny, norm_cfg=norm)).eval()
    assert _deviation(net, fuse(net), torch.randn(1, 3, 96, 130)) < 1e-4


@pytest.mark.parametrize('variant', [TINY_V1, TINY_V2, TINY_EDGEVIT], ids=variant_id)
def test_mmcvs_fusing_is_right_too(variant: Variant) -> None:
    """``fuse_conv_bn`` of mmdet's and mmsegmentation's own tools, which goes by the order of the layers."""
    from mmcv.cnn import fuse_conv_bn

    net = randomise(build(variant)).eval()
    assert _deviation(net, fuse_conv_bn(copy.deepcopy(net)), torch.randn(1, 3, 96, 130)) < 1e-4


def test_precision_is_kept(tiny: Variant) -> None:
    net = randomise(build(tiny)).eval()
    images = torch.randn(1, 3, 96, 130)
    assert _deviation(net.double(), fuse(net), images.double()) < 1e-10
    assert fuse(net.bfloat16())(images.bfloat16())[3].dtype == torch.bfloat16


def test_fused_again_and_deep_copied(tiny: Variant) -> None:
    fused = fuse(randomise(build(tiny)))
    images = torch.randn(1, 3, 64, 96)
    assert _deviation(fused, fuse(fused), images) == 0
    assert _deviation(fused, copy.deepcopy(fused), images) == 0


def test_exported_graph_gives_the_same(tiny: Variant) -> None:
    fused = fuse(randomise(build(tiny)))
    images = torch.randn(1, 3, 96, 160)
    with torch.no_grad():
        exported = torch.export.export(fused, (images,), strict=False)
        traced = torch.jit.trace(fused, images, check_trace=False)
    names = {str(node.target) for node in exported.graph.nodes if node.op == 'call_function'}
    assert all(name.startswith('aten.') or name == '<built-in function getitem>' for name in names), names
    assert _deviation(fused, exported.module(), images) < 1e-4
    assert _deviation(fused, traced, images) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize('fused', [False, True], ids=['plain', 'fused'])
def test_compiled_for_all_sizes_at_once(fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes of a validation set: after the first few, none is compiled for again."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    net = randomise(build(V2_VARIANTS['s0'])).eval()
    monkeypatch.setattr(DenseBackbone, 'compile', partialmethod(DenseBackbone.compile, backend='aot_eager'))
    compiled = speed_up(copy.deepcopy(net), fused=fused, compiled=True)
    graphs = []
    for size in [(256, 352), (352, 256), (333, 500), (500, 333), (320, 480), (384, 384), (301, 420), (427, 320)]:
        assert _deviation(net, compiled, torch.randn(1, 3, *size)) < 1e-4
        graphs.append(counters['stats']['unique_graphs'])
    print(f'Graphs after each size: {graphs}')
    assert graphs[0] <= 24 and graphs[-1] <= graphs[0] + 8
    assert graphs[3] == graphs[-1], graphs


def test_model_without_our_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match='Sequential holds no backbone of effformer_dense'):
        fuse(nn.Sequential(nn.Conv2d(3, 3, 1)))
