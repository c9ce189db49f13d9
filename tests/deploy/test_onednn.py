"""Convolutions by oneDNN: equal results, and weights in its order that follow the weights."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from effformer_dense.deploy.onednn import OneDnnConv, OneDnnLinear

ONEDNN = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason='torch was built without oneDNN')


def _conv(activation: nn.Module | None = None, **options) -> OneDnnConv:
    torch.manual_seed(0)
    conv = nn.Conv2d(**{**dict(in_channels=6, out_channels=12, kernel_size=3, padding=1), **options})
    return OneDnnConv(conv.requires_grad_(False), activation)


def _plain(conv: OneDnnConv, x: Tensor) -> Tensor:
    out = nn.functional.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)
    return out if conv.activation is None else conv.activation(out)


@pytest.mark.parametrize('activation', [None, nn.GELU(), nn.ReLU(), nn.GELU(approximate='tanh'), nn.SiLU()], ids=str)
@pytest.mark.parametrize(
    'options', [{}, dict(kernel_size=1, padding=0), dict(groups=6), dict(stride=2), dict(bias=False)], ids=str
)
def test_equals_convolution_and_activation(activation: nn.Module | None, options: dict) -> None:
    conv = _conv(activation, **options)
    for size in [(2, 6, 9, 14), (1, 6, 90, 70), (2, 6, 9, 14)]:
        x = torch.randn(size)
        for images in (x, x.contiguous(memory_format=torch.channels_last)):
            torch.testing.assert_close(conv(images), _plain(conv, images), rtol=1e-5, atol=1e-5)


@ONEDNN
def test_weights_are_packed_for_the_first_size_and_for_one_that_comes_often(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = []
    original = torch.ops.mkldnn._reorder_convolution_weight
    monkeypatch.setattr(
        torch.ops.mkldnn, '_reorder_convolution_weight', lambda *a: packed.append(a[-1]) or original(*a)
    )
    conv = _conv(nn.GELU())
    for height in (16, 16, 8, 200):
        images = torch.randn(1, 6, height, 16)
        torch.testing.assert_close(conv(images), _plain(conv, images), rtol=1e-5, atol=1e-5)
    assert packed == [[1, 6, 16, 16]]
    for height in (13, 13, 12, 13, 13, 13, 13, 12, 13, 16):  # as tiles come, in turns or one after the other
        images = torch.randn(1, 6, height, 16)
        torch.testing.assert_close(conv(images), _plain(conv, images), rtol=1e-5, atol=1e-5)
    assert packed == [[1, 6, 16, 16], [1, 6, 13, 16]]


def _load(conv: OneDnnConv) -> None:
    conv.load_state_dict({name: 2 * value for name, value in conv.state_dict().items()})


def _load_assigning(conv: OneDnnConv) -> None:
    conv.load_state_dict({name: 2 * value for name, value in conv.state_dict().items()}, assign=True)


def _in_place(conv: OneDnnConv) -> None:
    with torch.no_grad():
        conv.weight.mul_(2)


def _in_place_inference(conv: OneDnnConv) -> None:
    with torch.inference_mode():
        conv.weight.mul_(2)


def _replace_data(conv: OneDnnConv) -> None:
    conv.weight.data = 2 * conv.weight.data


def _replace_parameter(conv: OneDnnConv) -> None:
    conv.weight = nn.Parameter(2 * conv.weight.detach(), requires_grad=False)


def _half_and_back(conv: OneDnnConv) -> None:
    conv.half().float()


def _double_and_back(conv: OneDnnConv) -> None:
    conv.double()
    with torch.no_grad():
        conv.weight.mul_(2)
    conv.float()


CHANGES = [
    _load,
    _load_assigning,
    _in_place,
    _in_place_inference,
    _replace_data,
    _replace_parameter,
    _half_and_back,
    _double_and_back,
]


@ONEDNN
@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.__name__.strip('_'))
@pytest.mark.parametrize('inference_mode', [False, True])
def test_packed_weights_follow_the_weights(change: Callable[[OneDnnConv], None], inference_mode: bool) -> None:
    conv, x = _conv(nn.GELU()), torch.randn(2, 6, 9, 14)
    with torch.inference_mode(inference_mode):
        before = conv(x).clone()
    assert conv._packed is not None
    change(conv)
    with torch.inference_mode(inference_mode):
        after = conv(x)
    torch.testing.assert_close(after, _plain(conv, x), rtol=1e-5, atol=1e-5)
    assert not torch.equal(before, after)


@ONEDNN
def test_copies_hold_no_packed_weights() -> None:
    conv, x = _conv(nn.GELU()), torch.randn(2, 6, 9, 14)
    conv(x)
    for other in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):
        assert other._packed is None
        _in_place(other)
        torch.testing.assert_close(other(x), _plain(other, x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(conv(x), _plain(conv, x), rtol=1e-5, atol=1e-5)


def test_made_in_inference_mode() -> None:
    x = torch.randn(2, 6, 9, 14)
    with torch.inference_mode():
        conv = _conv(nn.GELU())
        conv(x)
        conv.weight.mul_(2)
        torch.testing.assert_close(conv(x), _plain(conv, x), rtol=1e-5, atol=1e-5)


def test_where_onednn_is_not_meant() -> None:
    conv, x = _conv(nn.GELU()), torch.randn(2, 6, 9, 14)
    x.requires_grad_()
    conv(x).sum().backward()  # saliency maps of a fused model
    assert x.grad is not None
    assert conv.double()(x.double()).dtype == torch.float64
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert _conv(nn.GELU())(x).dtype == torch.bfloat16


def test_linear_layers_on_tokens() -> None:
    linear, tokens = nn.Linear(6, 10), torch.randn(2, 5, 7, 6)
    layer = OneDnnLinear(linear, nn.GELU()).requires_grad_(False)
    torch.testing.assert_close(layer(tokens), nn.functional.gelu(linear(tokens)), rtol=1e-5, atol=1e-5)
