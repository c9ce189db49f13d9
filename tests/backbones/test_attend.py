"""Attention in chunks: equal to the whole, in both directions, and bounded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from effformer_dense.backbones.attend import _ChunkedAttention, attend, attend_whole
from effformer_dense.backbones.chunked import Operands, equal_parts
from effformer_dense.backbones.relpos import BiasValues, bias_values
from effformer_dense.variants import Variant
from tests.helpers import build, randomise

HEADS, KEY_DIM, VALUE_DIM = 4, 3, 5


def _operands(size: tuple[int, int], stride: int, batch: int, mode: str, talking: bool, **kind) -> tuple[list, list]:
    """Arguments of attend(): tensors that want gradients, and (bias of a table, mixes)."""
    h, w = size
    queries = (-(-h // stride), -(-w // stride))
    q = torch.randn(batch, *queries, HEADS, KEY_DIM, **kind)
    k, v = (torch.randn(batch, h, w, HEADS, width, **kind) for width in (KEY_DIM, VALUE_DIM))
    table = torch.randn(HEADS, 3, 3, **kind)
    mixes = [torch.randn(HEADS, HEADS, **kind) for _ in range(2)] if talking else [None, None]
    return [q, k, v, table], mixes


def _run(
    way, tensors: list[Tensor], mixes: list, size: tuple[int, int], stride: int, mode: str, chunk: int | None = None
) -> Tensor:
    *qkv, table = tensors
    return way(Operands.with_bias(*qkv, bias_values(table, size, mode, stride), 0.7, tuple(mixes), chunk))


def _in_chunks(operands: Operands) -> Tensor:
    """Also where :func:`attend` would take the whole."""
    return _ChunkedAttention.apply(operands.constants, *operands.tensors)


@pytest.mark.parametrize('chunk', [1, 3, 7, 30, 1000, None])
@pytest.mark.parametrize('talking', [False, True])
@pytest.mark.parametrize(('size', 'stride'), [((5, 7), 1), ((7, 4), 2), ((1, 1), 1), ((1, 9), 2)])
@pytest.mark.parametrize('mode', ['bicubic', 'matrix'])
def test_chunks_equal_the_whole(
    size: tuple[int, int], stride: int, talking: bool, mode: str, chunk: int | None
) -> None:
    tensors, mixes = _operands(size, stride, 3, mode, talking, dtype=torch.float64)
    with torch.no_grad():
        whole = _run(attend_whole, tensors, mixes, size, stride, mode)
        parts = _run(attend, tensors, mixes, size, stride, mode, chunk)
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize('chunk', [1, 5, 24])
@pytest.mark.parametrize('talking', [False, True])
@pytest.mark.parametrize(('size', 'stride'), [((2, 3), 1), ((4, 3), 2)])
@pytest.mark.parametrize('mode', ['bilinear', 'matrix'])
def test_gradients_are_right(size: tuple[int, int], stride: int, talking: bool, mode: str, chunk: int) -> None:
    tensors, mixes = _operands(size, stride, 2, mode, talking, dtype=torch.float64, requires_grad=True)
    inputs = [*tensors, *(mix for mix in mixes if mix is not None)]

    def run(*inputs: Tensor) -> Tensor:
        return _run(_in_chunks, inputs[:4], inputs[4:] or (None, None), size, stride, mode, chunk)

    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


def test_layout_in_memory_is_that_of_the_values() -> None:
    q, v = torch.randn(2, 3, 4, HEADS, 3), torch.randn(2, 3, 4, HEADS, 5)
    channels_first = v.permute(0, 3, 4, 1, 2).contiguous().permute(0, 3, 4, 1, 2)
    bias = BiasValues(torch.zeros(HEADS, 5, 7), (3, 4))
    with torch.no_grad():
        last, first = (attend(Operands.with_bias(q, q, values, bias, 1.0)) for values in (v, channels_first))
    assert last.stride(4) == 1 and first.stride(3) != 1
    torch.testing.assert_close(last, first)


class _LargestTensor(TorchDispatchMode):
    """Notes the largest tensor that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor) and 'as_strided' not in str(func) and 'unfold' not in str(func):
                self.numel = max(self.numel, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


@pytest.mark.parametrize('train', [False, True])
def test_nothing_of_size_queries_by_keys_is_held(train: bool) -> None:
    tensors, mixes = _operands((40, 40), 1, 1, 'bicubic', True, requires_grad=train)
    with _LargestTensor() as largest, torch.set_grad_enabled(train):
        out = _run(attend, tensors, mixes, (40, 40), 1, 'bicubic', 40)
        if train:
            out.sum().backward()
    assert largest.numel == 40 * 1600 * HEADS, 'the scores of one chunk of 40 queries'


@pytest.mark.parametrize('mode', ['bicubic', 'matrix'])
def test_chunk_argument_changes_no_feature_and_no_gradient(tiny: Variant, mode: str) -> None:
    whole = randomise(build(tiny, bias_resize=mode, attention_chunk=10**6, norm_eval=True, drop_path_rate=0.0)).train()
    parts = build(tiny, bias_resize=mode, attention_chunk=5, norm_eval=True, drop_path_rate=0.0).train()
    parts.load_state_dict(whole.state_dict())
    images = torch.randn(2, 3, 97, 131)
    for net in (whole.double(), parts.double()):
        sum(feature.square().mean() for feature in net(images.double())).backward()
    for (name, p), other in zip(whole.named_parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(p.grad, other.grad, msg=name)
    with torch.no_grad():
        for a, b in zip(whole(images.double()), parts(images.double()), strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.bfloat16, 2e-2), (torch.float16, 2.5e-3)])
@pytest.mark.parametrize('talking', [False, True])
def test_half_precision_operands_give_half_precision_and_right_gradients(
    dtype: torch.dtype, tolerance: float, talking: bool
) -> None:
    """As under autocast: q, k, v in half precision, table and mixes in single. Half of the tolerance was seen."""
    tensors, mixes = _operands((6, 8), 1, 2, 'bicubic', talking)
    half = [t.to(dtype).requires_grad_() for t in tensors[:3]] + [tensors[3].clone().requires_grad_()]
    full = [t.detach().float().requires_grad_() for t in half]
    with torch.autocast('cpu', dtype=dtype):
        out = _run(attend, half, mixes, (6, 8), 1, 'bicubic', 11)
    expected = _run(attend_whole, full, mixes, (6, 8), 1, 'bicubic')
    assert out.dtype == dtype
    assert (out.float() - expected).abs().max() < tolerance * expected.abs().max()
    out.float().square().mean().backward()
    expected.square().mean().backward()
    for a, b in zip(half, full, strict=True):
        assert a.grad.dtype == a.dtype
        assert (a.grad.float() - b.grad).abs().max() < tolerance * b.grad.abs().max()


def test_a_training_step_under_autocast(tiny: Variant) -> None:
    net = randomise(build(tiny, attention_chunk=3, drop_path_rate=0.0)).train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        features = net(torch.randn(2, 3, 64, 66))
    sum(feature.float().square().mean() for feature in features).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_equal_parts() -> None:
    assert equal_parts(10, 4) == [slice(0, 3), slice(3, 6), slice(6, 10)]
    assert equal_parts(3, 0) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert equal_parts(3, 99) == [slice(0, 3)]
    assert equal_parts(0, 4) == []


def test_empty_batches(tiny: Variant) -> None:
    net = build(tiny).eval()
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            maps = net(torch.zeros(0, 3, 64, 96))
        assert [tuple(one.shape) for one in maps] == [
            (0, width, 16 >> stage, 24 >> stage) for stage, width in enumerate(tiny.widths)
        ]
