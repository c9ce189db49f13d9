"""Batch norm and GELU in one: what the two modules give, with less kept for the backward pass."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from effformer_dense.backbones import norm_gelu
from effformer_dense.backbones.layers import ConvNormAct
from effformer_dense.backbones.norm_gelu import activate, batch_norm_gelu, is_lean
from tests.helpers import TINY_V2, build, randomise


def _norm(dtype: torch.dtype = torch.float64, **options) -> nn.BatchNorm2d:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(5, **options).to(dtype)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    if norm.track_running_stats:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return norm


def _gradients(norm: nn.BatchNorm2d, x: Tensor, seed: Tensor, lean: bool) -> list[Tensor]:
    x = x.detach().clone().requires_grad_()
    out = batch_norm_gelu(norm, x) if lean else nn.functional.gelu(norm(x))
    out.backward(seed)
    return [out.detach(), x.grad, norm.weight.grad, norm.bias.grad]


@pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])
@pytest.mark.parametrize('options', [{}, dict(momentum=0.3, eps=1e-2), dict(track_running_stats=False)])
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_equals_the_two_modules(training: bool, options: dict, memory_format: torch.memory_format) -> None:
    norm = _norm(**options).train(training)
    other = copy.deepcopy(norm)
    x = torch.randn(3, 5, 7, 6, dtype=torch.float64).to(memory_format=memory_format)
    seed = torch.randn_like(x)
    for ours, theirs in zip(_gradients(norm, x, seed, True), _gradients(other, x, seed, False), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(norm.buffers(), other.buffers(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])
def test_gradient_by_finite_differences(training: bool) -> None:
    norm = _norm(momentum=0.0).train(training)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    inputs = (x, norm.weight, norm.bias)
    assert torch.autograd.gradcheck(lambda x, *_: batch_norm_gelu(norm, x), inputs)
    assert torch.autograd.gradgradcheck(lambda x, *_: batch_norm_gelu(norm, x), inputs)


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.bfloat16, 8e-3), (torch.float16, 1.5e-3)])
def test_half_precision_maps_with_single_precision_norms(dtype: torch.dtype, tolerance: float) -> None:
    """As autocast has it. Half of the tolerance was seen."""
    norm = _norm(torch.float32)
    x, seed = torch.randn(2, 2, 5, 8, 8).to(dtype)
    found = _gradients(norm, x, seed, True)
    wanted = _gradients(_norm(torch.float32), x.float(), seed.float(), False)
    assert found[0].dtype == found[1].dtype == dtype
    for ours, exact in zip(found, wanted, strict=True):
        assert (ours.float() - exact).abs().max() < tolerance * exact.abs().max()


def test_frozen_parameters_get_no_gradient() -> None:
    norm = _norm(torch.float32).requires_grad_(False)
    x = torch.randn(2, 5, 4, 4, requires_grad=True)
    batch_norm_gelu(norm, x).sum().backward()
    assert x.grad is not None and norm.weight.grad is None


def test_what_it_stands_for() -> None:
    norm, gelu, x = _norm(torch.float32), nn.GELU(), torch.randn(2, 5, 4, 4, requires_grad=True)
    assert is_lean(norm, gelu, x)
    assert not is_lean(norm, nn.ReLU(), x)
    assert not is_lean(norm, nn.GELU(approximate='tanh'), x)
    assert not is_lean(nn.GroupNorm(1, 5), gelu, x)
    assert not is_lean(nn.SyncBatchNorm(5), gelu, x)
    assert not is_lean(nn.BatchNorm2d(5, affine=False), gelu, x)
    assert not is_lean(nn.BatchNorm2d(5, momentum=None), gelu, x)
    assert not is_lean(norm, gelu, x[:1, :, :1, :1])
    with torch.no_grad():
        assert not is_lean(norm, gelu, x)
    for module in (norm, gelu):
        handle = module.register_forward_hook(lambda *_: None)
        assert not is_lean(norm, gelu, x)
        handle.remove()
    assert is_lean(norm, gelu, x)


def test_inference_overwrites_what_nobody_watches() -> None:
    layer, images = ConvNormAct(4, 6, dict(type='BN')).eval(), torch.randn(2, 4, 8, 8)
    expected = layer.activation(layer.norm(layer.conv(images))).detach()
    held: list[Tensor] = []
    layer.norm.register_forward_hook(lambda *args: held.append(args[-1]))
    with torch.no_grad():
        assert torch.equal(layer(images), expected)
        assert torch.equal(nn.functional.gelu(held[0]), expected)
        layer.norm._forward_hooks.clear()
        seen: list[Tensor] = []
        layer.activation.register_forward_hook(lambda *args: seen.append(args[-1]))
        assert torch.equal(layer(images), expected) and torch.equal(seen[0], expected)
        layer.activation._forward_hooks.clear()
        fresh = torch.randn(2, 3)
        assert activate(fresh, layer.activation) is fresh


def test_keeps_one_map_less() -> None:
    kept: list[int] = []

    def count(tensor: Tensor) -> Tensor:
        kept.append(tensor.untyped_storage().data_ptr() if tensor.dim() == 4 else 0)
        return tensor

    layer, x = ConvNormAct(4, 6, dict(type='BN')), torch.randn(2, 4, 8, 8)
    for lean, maps in ((True, 2), (False, 3)):
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            out = layer(x) if lean else layer.activation(layer.norm(layer.conv(x)))
        out.sum().backward()
        weights = layer.conv.weight.untyped_storage().data_ptr()
        assert len(set(kept) - {0, weights}) == maps  # images, output of the convolution, normalised map


@pytest.mark.parametrize('with_cp', [False, True])
def test_backbone_learns_the_same(with_cp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients and running statistics of a whole network, with and without."""
    net = randomise(build(TINY_V2, with_cp=with_cp, drop_path_rate=0.0)).double().train()
    other = copy.deepcopy(net)
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    used = []
    original = norm_gelu._BatchNormGelu.apply
    monkeypatch.setattr(norm_gelu._BatchNormGelu, 'apply', lambda *a: used.append(1) or original(*a))
    sum(out.square().mean() for out in net(images)).backward()
    assert used
    monkeypatch.setattr('effformer_dense.backbones.layers.is_lean', lambda *_: False)
    sum(out.square().mean() for out in other(images)).backward()
    for (name, ours), theirs in zip(net.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-9, msg=name)
    for (name, ours), theirs in zip(net.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0, msg=name)
