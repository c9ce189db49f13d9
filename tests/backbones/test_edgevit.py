"""EdgeViT: what its attention computes, sizes that its sampling grid does not divide, and the options of backbones."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from effformer_dense import EdgeViT
from effformer_dense.backbones.edgevit import PatchEmbedding, SparseAttention
from effformer_dense.deploy import fuse
from effformer_dense.deploy.features import FeatureGraph, Normalise
from effformer_dense.deploy.record import record
from tests.deploy.deviation import EXAMPLE_SIZE, SIZES, largest_deviation, picture
from tests.helpers import TINY_EDGEVIT, build, randomise, through_onnx


def _by_hand(mixer: SparseAttention, tokens: Tensor) -> Tensor:
    """Sampled cell by sampled cell, head by head; what reaches past the edge is never written."""
    _, height, width, channels = tokens.shape
    rate, heads = mixer.rate, mixer.num_heads
    sampled = [(row, column) for row in range(0, height, rate) for column in range(0, width, rate)]
    q, k, v = mixer.qkv(torch.stack([tokens[0, row, column] for row, column in sampled])).chunk(3, dim=1)
    mixed = []
    for q_head, k_head, v_head in zip(*(part.chunk(heads, dim=1) for part in (q, k, v)), strict=True):
        mixed.append((q_head @ k_head.T / (channels // heads) ** 0.5).softmax(dim=1) @ v_head)
    values = torch.cat(mixed, dim=1)
    spread = torch.empty_like(tokens)
    for (top, left), value in zip(sampled, values, strict=True):
        for row in range(top, min(top + rate, height)):
            for column in range(left, min(left + rate, width)):
                if mixer.propagate is None:
                    spread[0, row, column] = value
                else:
                    kernel = mixer.propagate.weight[:, 0, row - top, column - left]
                    spread[0, row, column] = value * kernel + mixer.propagate.bias
    return mixer.proj(mixer.norm(spread))


@pytest.mark.parametrize('size', [(8, 8), (7, 9), (9, 5), (1, 3)])
@pytest.mark.parametrize('rate', [1, 2, 4])
def test_sparse_attention_is_what_the_paper_says(rate: int, size: tuple[int, int]) -> None:
    mixer = SparseAttention(12, num_heads=3, rate=rate).double()
    for linear in (mixer.qkv, mixer.proj):
        nn.init.normal_(linear.weight)
    tokens = torch.randn(1, *size, 12, dtype=torch.float64)
    torch.testing.assert_close(mixer(tokens), _by_hand(mixer, tokens))


@pytest.mark.parametrize('size', [(8, 12), (9, 10), (5, 7)])
def test_patches_at_the_edge_are_filled_with_zeros(size: tuple[int, int]) -> None:
    embedding = PatchEmbedding(2, 5, side=4).double()
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    filled = F.pad(x, (0, -size[1] % 4, 0, -size[0] % 4))
    found = embedding(x)
    assert found.shape[2:] == (-(-size[0] // 4), -(-size[1] // 4))
    torch.testing.assert_close(found, embedding(filled))


@pytest.mark.parametrize('indices', [(0,), (1, 3)])
def test_out_indices_leave_no_idle_parameter(indices: tuple[int, ...]) -> None:
    net = randomise(build(TINY_EDGEVIT, out_indices=indices)).train()
    maps = net(torch.randn(2, 3, 70, 96))
    assert [map_.shape[1] for map_ in maps] == [TINY_EDGEVIT.widths[index] for index in indices]
    sum(map_.square().mean() for map_ in maps).backward()
    assert [n for n, p in net.named_parameters() if p.requires_grad and p.grad is None] == []


def test_frozen_stages_and_norm_eval() -> None:
    net = build(TINY_EDGEVIT, frozen_stages=2, norm_eval=True).train()
    assert {name.split('.')[1] for name, p in net.named_parameters() if p.requires_grad} == {'2', '3'}
    before = copy.deepcopy(net.state_dict())
    net(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_checkpointing_changes_no_gradient() -> None:
    plain = randomise(build(TINY_EDGEVIT, drop_path_rate=0.3)).train()
    thrifty = build(TINY_EDGEVIT, drop_path_rate=0.3, with_cp=True).train()
    thrifty.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 64, 96)
    for net in (plain, thrifty):
        torch.manual_seed(1)
        sum(f.square().mean() for f in net(images)).backward()
    for (name, p), q in zip(plain.named_parameters(), thrifty.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=name)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(thrifty.state_dict()[name], value, msg=name)


def test_norm_cfg_is_that_of_the_norms_before_convolutions() -> None:
    net = build(TINY_EDGEVIT, norm_cfg=dict(type='GN', num_groups=1, eps=1e-3))
    norms = [module for module in net.modules() if isinstance(module, nn.GroupNorm)]
    assert len(norms) == 2 * sum(TINY_EDGEVIT.depths[:3]) and all(norm.eps == 1e-3 for norm in norms)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


@torch.no_grad()
def _deviation(net: nn.Module, other: nn.Module, images: Tensor) -> float:
    return max(float((a - b).abs().max() / a.std()) for a, b in zip(net(images), other(images), strict=True))


@pytest.mark.parametrize('norm', [dict(type='BN'), dict(type='BN', affine=False), dict(type='GN', num_groups=2)])
def test_fused_features_are_equal_whatever_the_norm(norm: dict) -> None:
    net = randomise(build(TINY_EDGEVIT, norm_cfg=norm, out_norm=True)).eval()
    fused = fuse(net)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert _deviation(net, fused, torch.randn(2, 3, 97, 131)) < 1e-4
    assert _deviation(fused, fuse(fused), torch.randn(1, 3, 64, 64)) == 0
    assert _deviation(net.double(), fuse(net), torch.randn(1, 3, 64, 90, dtype=torch.float64)) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize('fused', [False, True], ids=['plain', 'fused'])
def test_one_file_serves_every_size(fused: bool, tmp_path: Path) -> None:
    net = randomise(build(TINY_EDGEVIT)).eval()
    graph = FeatureGraph(fuse(net) if fused else net, Normalise((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    example = {'image': picture(*EXAMPLE_SIZE)}
    program = record(graph, example).module()
    run = through_onnx(graph, example, graph.outputs, tmp_path / 'net.onnx')
    for size in [*SIZES, (333, 517)]:
        assert largest_deviation(lambda image: program(image=image), graph, size) < 1e-5, size
        found = lambda image: [torch.from_numpy(map_) for map_ in run({'image': image.numpy()}).values()]  # noqa: E731
        assert largest_deviation(found, graph, size) < 1e-5, size


def test_compiled_whole() -> None:
    net = randomise(build(TINY_EDGEVIT)).eval()
    compiled = torch.compile(net, fullgraph=True, backend='aot_eager')
    assert _deviation(net, compiled, torch.randn(1, 3, 97, 131)) < 1e-5


def test_unknown_names_get_the_choices() -> None:
    with pytest.raises(ValueError, match=r'arch must be one of xxs, xs, s; got .xss.'):
        EdgeViT('xss')
    with pytest.raises(TypeError, match='bias_resize'):
        EdgeViT('xs', bias_resize='bicubic')
