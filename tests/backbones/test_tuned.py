"""Layers whose batch norms keep their statistics: one convolution, with the gradients of both."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from effformer_dense.backbones import layers
from effformer_dense.backbones.folding import tuned
from effformer_dense.backbones.layers import ConvNorm, ConvNormAct
from effformer_dense.variants import Variant
from tests.helpers import build, randomise

BN = dict(type='BN')
LAYERS = {
    '1 x 1': lambda norm: ConvNorm(6, 5, norm),
    'depth-wise, with activation': lambda norm: ConvNormAct(6, 6, norm, kernel_size=3, groups=6),
    'with stride': lambda norm: ConvNorm(6, 8, norm, kernel_size=3, stride=2),
    'scaled': lambda norm: ConvNorm(6, 5, norm),
}


def _results(layer: nn.Module, x: Tensor, *scale: Tensor) -> list[Tensor]:
    """Output, and gradients of input, scale and parameters."""
    inputs = [one.clone().requires_grad_() for one in (x, *scale)]
    out = layer(*inputs)
    wanted = [*inputs, *layer.parameters()]
    return [out, *torch.autograd.grad((out * out.detach().cos()).sum(), wanted)]


@pytest.mark.parametrize('norm', [BN, dict(type='BN', affine=False)])
@pytest.mark.parametrize('kind', LAYERS)
def test_outputs_and_gradients_are_equal(kind: str, norm: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = randomise(LAYERS[kind](norm)).double().eval()
    x = torch.randn(2, 6, 9, 7, dtype=torch.float64)
    scale = [torch.randn(layer.conv.out_channels, dtype=torch.float64)] if kind.endswith('scaled') else []
    found = _results(layer, x, *scale)
    monkeypatch.setattr(layers, 'folds_in_training', lambda *_: False)
    for one, other in zip(found, _results(layer, x, *scale), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_whole_networks_in_training_with_frozen_norms(tiny: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    net = randomise(build(tiny, norm_eval=True)).double().train()
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]

    def results() -> list[Tensor]:
        torch.manual_seed(0)
        stages = net(images)
        return [*stages, *torch.autograd.grad(sum(stage.square().mean() for stage in stages), parameters)]

    calls: list[nn.Module] = []
    monkeypatch.setattr(layers, 'tuned', lambda conv, *given: calls.append(conv) or tuned(conv, *given))
    found = results()
    assert len(calls) == sum(isinstance(module, ConvNorm) for module in net.modules())
    monkeypatch.setattr(layers, 'folds_in_training', lambda *_: False)
    for one, other in zip(found, results(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_norms_that_learn_and_layers_that_are_watched_stay_two() -> None:
    layer = randomise(ConvNorm(6, 5, BN))
    x = torch.randn(2, 6, 8, 8)
    before = layer.norm.running_mean.clone()
    layer.train()(x)
    assert not torch.equal(layer.norm.running_mean, before)
    seen: list[Tensor] = []
    layer.eval().norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert torch.equal(layer(x), seen[0])


def test_half_precision_and_copies() -> None:
    layer = randomise(ConvNormAct(6, 5, BN)).eval()
    x = torch.randn(2, 6, 8, 8)
    half = copy.deepcopy(layer).bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), layer(x), rtol=0.05, atol=0.05)
    with torch.autocast('cpu', torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
