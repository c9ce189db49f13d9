"""Winograd's convolution against torch's, and where it is taken."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from effformer_dense.deploy import fuse
from effformer_dense.deploy.winograd import WinogradConv, use_winograd
from tests.helpers import TINY_V2, build

#: (B, H, W): several images in a chunk, several chunks of an image, odd sides, one pixel beyond whole tiles.
SIZES = [(13, 14, 14), (1, 40, 90), (2, 27, 45), (1, 97, 33), (3, 16, 20)]


def _conv(channels: int = 256, out_channels: int = 128, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias).requires_grad_(False)


def _counted(conv: WinogradConv, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Maps that Winograd's algorithm gets from now on."""
    seen: list[torch.Tensor] = []
    of_tiles = conv._of_tiles
    monkeypatch.setattr(conv, '_of_tiles', lambda x: seen.append(x) or of_tiles(x))
    return seen


@pytest.mark.parametrize('order', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('size', SIZES)
def test_equal_to_torchs_convolution(size, bias: bool, order, monkeypatch: pytest.MonkeyPatch) -> None:
    conv = _conv(bias=bias)
    fast = WinogradConv(conv)
    seen = _counted(fast, monkeypatch)
    x = torch.randn(size[0], 256, *size[1:]).contiguous(memory_format=order)
    expected = conv.double()(x.double())
    output = fast.float()(x)
    assert len(seen) == 1 and output.is_contiguous(memory_format=order) and output.shape == expected.shape
    deviation = (output - expected) / expected.std()
    assert deviation.square().mean().sqrt() < 1e-5 and deviation.abs().max() < 2e-4


def test_it_follows_its_weights() -> None:
    fast, other = WinogradConv(_conv()), _conv()
    x = torch.randn(1, 256, 40, 40)
    fast(x)
    other.weight.mul_(-2)
    fast.load_state_dict(other.state_dict())
    torch.testing.assert_close(fast(x), other(x), rtol=0, atol=2e-4)
    assert torch.equal(copy.deepcopy(fast)(x), fast(x))


def test_where_it_is_not_worth_it_or_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = _conv()
    fast = WinogradConv(copy.deepcopy(conv))
    seen = _counted(fast, monkeypatch)
    few = torch.randn(1, 256, 8, 8)
    assert torch.equal(fast(few), conv(few))
    many = torch.randn(1, 256, 40, 40)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(fast(many), conv(many))
    wanted = many.clone().requires_grad_()
    assert torch.equal(fast(wanted), conv(many)) and not seen
    exported = torch.export.export(fast, (many,)).module()
    assert torch.equal(exported(many), conv(many)) and not seen


def test_fused_necks_and_heads_have_it_and_backbones_have_not() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = build(TINY_V2)
            self.neck = nn.ModuleList([_conv(), _conv(64, 64), nn.Conv2d(256, 256, 3, padding=2, dilation=2)])

    model = Model()
    fused = fuse(model)
    assert [type(layer) is WinogradConv for layer in fused.neck] == [True, False, False]
    assert not any(type(module) is WinogradConv for module in fused.backbone.modules())
    assert not any(type(module) is WinogradConv for module in model.modules())


def test_wide_convolutions_with_other_steps_stay() -> None:
    holder = nn.Sequential(
        nn.Conv2d(256, 256, 3, stride=2, padding=1),
        nn.Conv2d(256, 256, 3, padding=1, groups=2),
        nn.Conv2d(256, 256, 3, padding=1, padding_mode='reflect'),
        nn.Conv2d(256, 256, 3),
        nn.Conv2d(256, 256, 1),
    )
    use_winograd(holder)
    assert all(type(layer) is nn.Conv2d for layer in holder)
