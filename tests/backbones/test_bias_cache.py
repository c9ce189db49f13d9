"""Evaluation after any change of weights equals that of a fresh model with those weights."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from effformer_dense.variants import V2, Variant
from tests.helpers import build, randomise


def _tables(net: nn.Module) -> list[nn.Parameter]:
    return [parameter for name, parameter in net.named_parameters() if name.endswith('bias.table')]


def _training_step(net: nn.Module) -> nn.Module:
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    sum(feature.square().mean() for feature in net(torch.randn(2, 3, 64, 64))).backward()
    optimizer.step()
    return net.eval()


def _ema_swap(net: nn.Module) -> nn.Module:
    """As MMEngine's EMA hook does: no version counter moves."""
    for table in _tables(net):
        table.data.copy_(torch.randn_like(table))
    return net


def _new_storage(net: nn.Module) -> nn.Module:
    for table in _tables(net):
        table.data = torch.randn_like(table)
    return net


@torch.no_grad()
def _in_place(net: nn.Module) -> nn.Module:
    for table in _tables(net):
        table.add_(torch.randn_like(table))
    return net


@torch.no_grad()
def _talking_heads(net: nn.Module) -> nn.Module:
    """They are folded into what is kept of V2's biases."""
    for name, parameter in net.named_parameters():
        if 'talking_head' in name:
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net


def _load_state_dict(net: nn.Module) -> nn.Module:
    net.load_state_dict(randomise(copy.deepcopy(net), seed=3).state_dict())
    return net


CHANGES: dict[str, Callable[[nn.Module], nn.Module]] = {
    'training step': _training_step,
    'EMA swap': _ema_swap,
    'new storage': _new_storage,
    'in place': _in_place,
    'talking heads': _talking_heads,
    'load_state_dict': _load_state_dict,
    '.to(float64)': lambda net: net.to(torch.float64),
    '.half().float()': lambda net: net.half().float(),
    '.bfloat16()': lambda net: net.bfloat16(),
    'deep copy, then EMA swap': lambda net: _ema_swap(copy.deepcopy(net)),
    'pickle, then EMA swap': lambda net: _ema_swap(pickle.loads(pickle.dumps(net))),
}


@pytest.mark.parametrize('change', CHANGES)
@pytest.mark.parametrize('mode', ['bicubic', 'bilinear', 'geometric', 'matrix'])
def test_no_change_of_weights_meets_a_stale_bias(tiny: Variant, mode: str, change: str) -> None:
    grid = 3  # of the first of the sizes, whose table needs no resizing
    net = randomise(build(tiny, bias_resize=mode, bias_grid=grid, drop_path_rate=0.0)).eval()
    sizes = [(96, 96), (67, 33)]

    def features(model: nn.Module) -> list[Tensor]:
        dtype = next(model.parameters()).dtype
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            images = [torch.randn(1, 3, *size, generator=generator).to(dtype) for size in sizes]
            return [feature for image in images for feature in model(image)]

    before = features(net)
    changed = CHANGES[change](net)
    fresh = build(tiny, bias_resize=mode, bias_grid=grid).to(next(changed.parameters()).dtype).eval()
    fresh.load_state_dict(changed.state_dict())
    after = features(changed)
    assert all(torch.equal(a, b) for a, b in zip(after, features(fresh), strict=True))
    if change != 'talking heads' or tiny.family == V2:
        assert any(not torch.equal(a.float(), b.float()) for a, b in zip(before, after, strict=True)), 'nothing changed'
