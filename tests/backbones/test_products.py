"""Products of attention that oneDNN computes: the same, in every order in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from effformer_dense.backbones import products
from effformer_dense.backbones.attend import attend, attend_whole
from effformer_dense.backbones.chunked import Operands
from effformer_dense.backbones.products import bmm, for_products, prefers_onednn
from effformer_dense.backbones.relpos import bias_values
from effformer_dense.benchmark.work import _PRODUCTS

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason='torch was built without oneDNN')

ROWS, KEYS, WIDTH = 120, 230, 80  # just over the limit


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Size, torch.Size]]:
    """Shapes of what oneDNN multiplies."""
    seen: list[tuple[torch.Size, torch.Size]] = []
    multiply = torch.ops.mkldnn._linear_pointwise
    monkeypatch.setattr(
        torch.ops.mkldnn,
        '_linear_pointwise',
        lambda x, w, *rest: seen.append((x.shape, w.shape)) or multiply(x, w, *rest),
    )
    return seen


def _columns_first(matrices: Tensor) -> Tensor:
    return matrices.transpose(1, 2).contiguous().transpose(1, 2)


def _apart(matrices: Tensor) -> Tensor:
    """Rows of the matrices side by side, as heads lie in maps whose channels are last."""
    return matrices.transpose(0, 1).contiguous().transpose(0, 1)


@pytest.mark.parametrize('order', [Tensor.contiguous, _columns_first, _apart])
def test_every_order_in_memory(order, calls: list) -> None:
    x, matrices = torch.randn(3, ROWS, KEYS), torch.randn(3, KEYS, WIDTH)
    with torch.no_grad():
        found = bmm(x, for_products(ROWS, order(matrices)))
    torch.testing.assert_close(found, x @ matrices, rtol=1e-4, atol=1e-4)
    assert calls == [((ROWS, KEYS), (WIDTH, KEYS))] * 3


@torch.no_grad()
def test_only_what_is_apart_is_copied() -> None:
    matrices = torch.randn(3, KEYS, WIDTH)
    for kept in (matrices, _columns_first(matrices)):
        assert for_products(ROWS, kept) is kept
    assert for_products(ROWS, _apart(matrices)).is_contiguous()
    assert for_products(1, _apart(matrices)).stride(1) == 3 * WIDTH, 'torch multiplies it as it lies'


@pytest.mark.parametrize('kind', ['small', 'double', 'wants gradients'])
def test_torch_multiplies_the_rest(kind: str, calls: list) -> None:
    dtype = torch.float64 if kind == 'double' else torch.float32
    x, matrices = (
        torch.randn(2, 2 if kind == 'small' else ROWS, KEYS, dtype=dtype),
        torch.randn(2, KEYS, WIDTH, dtype=dtype),
    )
    with torch.set_grad_enabled(kind == 'wants gradients'):
        assert not prefers_onednn(x.shape[1], matrices)
        torch.testing.assert_close(bmm(x, matrices), torch.bmm(x, matrices))
    assert not calls


@pytest.mark.parametrize('talking', [False, True])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('chunk', [3, 20, 1000])
def test_attention_with_it(
    talking: bool, stride: int, chunk: int, monkeypatch: pytest.MonkeyPatch, calls: list
) -> None:
    monkeypatch.setattr(products, '_MIN_PRODUCTS', 1)
    heads, keys, queries = 4, (5, 7), (-(-5 // stride), -(-7 // stride))
    q, k, v = (torch.randn(2, *grid, heads, width) for grid, width in ((queries, 3), (keys, 3), (keys, 6)))
    mixes = (torch.randn(heads, heads), torch.randn(heads, heads)) if talking else (None, None)
    bias = bias_values(torch.randn(heads, 3, 3), keys, 'bicubic', stride)
    operands = Operands.with_bias(q, k, v, bias, 0.7, mixes, chunk)
    with torch.no_grad():
        torch.testing.assert_close(attend(operands), attend_whole(operands), rtol=1e-4, atol=1e-5)
    assert calls and sum(x[0] for x, _ in calls) == 2 * heads * queries[0] * queries[1]


@torch.no_grad()
def test_its_operations_are_counted() -> None:
    x, matrices = torch.randn(2, ROWS, KEYS), torch.randn(2, KEYS, WIDTH)
    with FlopCounterMode(display=False, custom_mapping=_PRODUCTS) as counter:
        bmm(x, matrices)
    assert counter.get_total_flops() == 2 * 2 * ROWS * KEYS * WIDTH
