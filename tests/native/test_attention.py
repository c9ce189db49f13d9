"""Attention in C++: what the definition gives, by every build that this machine can run."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from effformer_dense import EfficientFormerV2
from effformer_dense.backbones import native_attention
from effformer_dense.backbones.attend import attend, attend_whole
from effformer_dense.backbones.chunked import Operands
from effformer_dense.backbones.native_attention import attend_forward, attend_natively, is_native
from effformer_dense.backbones.relpos import bias_values
from effformer_dense.deploy.fuse import fuse
from effformer_dense.native.library import build_path, library, open_library

RUNNABLE = {'AVX512': ['AVX512', 'AVX2'], 'AVX2': ['AVX2']}.get(torch.backends.cpu.get_cpu_capability(), ['NEON'])
BUILDS = [name for name in RUNNABLE if build_path(name).exists()]
pytestmark = pytest.mark.skipif(not BUILDS, reason='the C++ is not compiled here')
HEADS = 8
#: Largest difference in the output's standard deviations; torch's operators come as near.
CLOSE = 5e-5


@pytest.fixture(params=BUILDS)
def build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    opened = open_library(build_path(request.param))
    monkeypatch.setattr(native_attention, 'library', lambda: opened)
    return request.param


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def _operands(
    size: tuple[int, int],
    stride: int = 1,
    talking: bool = False,
    *,
    batch: int = 1,
    heads: int = HEADS,
    widths: tuple[int, int] = (32, 128),
    mode: str = 'geometric',
    pairs: bool = False,
) -> Operands:
    h, w = size
    queries = -(-h // stride), -(-w // stride)
    q = torch.randn(batch, *queries, heads, widths[0])
    k, v = (torch.randn(batch, h, w, heads, width) for width in widths)
    bias = bias_values(torch.randn(heads, 7, 7), size, mode, stride)
    mixes = (torch.randn(heads, heads), torch.randn(heads, heads)) if talking else (None, None)
    return Operands.with_bias(q, k, v, bias.expanded(2**30) if pairs else bias, widths[0] ** -0.5, mixes)


def _changed(operands: Operands, change: Callable[[Tensor], Tensor]) -> Operands:
    return Operands.of([None if x is None else change(x) for x in operands.tensors], operands.constants)


def _error(operands: Operands) -> float:
    """Largest difference to the definition in double precision, in its standard deviations."""
    assert is_native(operands)
    exact = attend_whole(_changed(operands, Tensor.double))
    return ((attend_natively(operands) - exact).abs().max() / exact.std()).item()


@torch.no_grad()
@pytest.mark.parametrize('pairs', [False, True])
@pytest.mark.parametrize('talking', [False, True])
@pytest.mark.parametrize(
    ('size', 'stride'),
    [((7, 7), 1), ((25, 42), 1), ((42, 25), 1), ((19, 31), 2), ((1, 1), 1), ((1, 40), 2), ((33, 2), 1)],
)
def test_equals_the_definition(
    build: str, threads: int, size: tuple[int, int], stride: int, talking: bool, pairs: bool
) -> None:
    batch = 1 if math.prod(size) > 500 else 3
    # A single key makes all outputs of a head the values: their deviation is that of the values.
    assert _error(_operands(size, stride, talking, batch=batch, pairs=pairs)) < CLOSE


@torch.no_grad()
@pytest.mark.parametrize('widths', [(16, 64), (5, 64), (1, 192)])
@pytest.mark.parametrize('heads', [1, 3])
def test_other_widths_and_heads(build: str, heads: int, widths: tuple[int, int]) -> None:
    assert _error(_operands((9, 14), heads=heads, widths=widths, batch=2)) < CLOSE


@torch.no_grad()
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(build: str, dtype: torch.dtype) -> None:
    operands = _changed(_operands((9, 14), talking=True), lambda x: x.to(dtype))
    assert is_native(operands)
    exact = attend_natively(_changed(operands, Tensor.float))
    assert torch.equal(attend_natively(operands), exact.to(dtype))


@torch.no_grad()
def test_matrix_as_published(build: str) -> None:
    assert _error(_operands((9, 14), mode='matrix', talking=True)) < CLOSE


@torch.no_grad()
@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), st.booleans(), st.integers(1, 3))
def test_any_grid(height: int, width: int, stride: int, talking: bool, batch: int) -> None:
    torch.manual_seed(height * 41 + width)
    assert _error(_operands((height, width), stride, talking, batch=batch)) < CLOSE


@torch.no_grad()
def test_operands_that_are_parts_of_others(build: str) -> None:
    """V1's queries, keys and values are parts of one map."""
    qkv = torch.randn(2, 9, 11, HEADS, 32 + 32 + 128)
    bias = bias_values(torch.randn(HEADS, 7, 7), (9, 11))
    assert _error(Operands.with_bias(*qkv.split([32, 32, 128], dim=4), bias, 0.2)) < CLOSE


@torch.no_grad()
@pytest.mark.parametrize('talking', [False, True])
def test_no_number_stays_no_number(build: str, talking: bool) -> None:
    """Of one query, whose outputs alone are lost."""
    operands = _operands((5, 9), talking=talking)
    operands.q[0, 2, 3] = math.nan
    lost = attend_natively(operands).isnan().flatten(3).all(3)
    assert lost[0, 2, 3] and lost.sum() == 1


@torch.no_grad()
def test_scores_far_apart(build: str) -> None:
    """Weights of 1 and of 0, and scores that single precision holds only just."""
    operands = _operands((6, 10))
    far = Operands.with_bias(operands.q * 1e4, operands.k * 1e4, operands.v, operands.bias_values, 1.0)
    torch.testing.assert_close(attend_natively(far), attend_whole(far), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_values_outside_lose_nothing(build: str) -> None:
    """What lies around the operands in memory is neither read into the result nor written."""
    operands = _operands((3, 5), batch=2)

    def framed(x: Tensor) -> Tensor:
        if x.dim() != 5:
            return x
        frame = torch.full((4, *x.shape[1:]), math.nan)
        frame[1:3] = x
        return frame[1:3]

    torch.testing.assert_close(attend_natively(_changed(operands, framed)), attend_natively(operands))


def test_declines_what_it_does_not_take() -> None:
    operands = _operands((6, 7), talking=True)
    assert is_native(operands)
    assert not is_native(_changed(operands, Tensor.double))
    assert not is_native(_changed(operands, lambda x: x.to('meta')))
    assert not is_native(_operands((6, 7), widths=(32, 24)))
    assert not is_native(_operands((6, 7), talking=True, heads=4))
    channels_first = _changed(
        operands, lambda x: x.permute(0, 3, 4, 1, 2).contiguous().permute(0, 3, 4, 1, 2) if x.dim() == 5 else x
    )
    assert not is_native(channels_first)
    with FlopCounterMode(display=False) as counter, torch.no_grad():  # who counts operators wants to see them
        assert not is_native(operands)
        attend_forward(operands)
    assert counter.get_total_flops() > 0


def test_gradients_are_those_of_the_definition() -> None:
    """Its forward pass is followed by the backward pass of chunks."""
    operands = _operands((60, 40), 2)
    assert not operands.are_kept
    results = []
    for way in (attend, attend_whole):
        leaves = _changed(operands, lambda x: x.detach().clone().requires_grad_())
        way(leaves).square().sum().backward()
        results.append([x.grad for x in leaves.tensors if x is not None])
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@torch.inference_mode()
def test_networks_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        native_attention, 'attend_natively', lambda operands: calls.append(1) or attend_natively(operands)
    )
    model = fuse(EfficientFormerV2(arch='s0').eval())
    image = torch.randn(1, 3, 130, 71)
    with_it = model(image)
    assert len(calls) == 5
    monkeypatch.setattr(native_attention, 'library', lambda: None)
    for ours, theirs in zip(with_it, model(image), strict=True):
        assert (ours - theirs).abs().max() < 1e-4 * theirs.std()
    assert len(calls) == 5


def test_is_the_build_for_this_processor() -> None:
    opened = library()
    assert opened is not None and opened.attention_panel() == open_library(build_path(BUILDS[0])).attention_panel()
