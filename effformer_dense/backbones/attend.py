"""Attention with a relative-position bias: which way it is computed, and its operators.

Letters: ``B`` batch, ``n`` heads, ``Q`` queries, ``N`` keys, ``d`` key width, ``e`` value width.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from .chunked import Gradients, Operands, attend_in_chunks, empty_output, queries_per_chunk
from .relpos import BiasValues


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: BiasValues,
    scale: float,
    mix_scores: Tensor | None = None,
    mix_weights: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """``mix_weights(softmax(mix_scores(scale * q @ k) + bias)) @ v``, the mixes being matrices over heads.

    Exact, whichever way it is computed. In chunks of queries: nothing of size queries x keys is held, and the backward
    pass computes the scores again. Whole: where gradients are wanted and all scores fit one chunk anyway, and, with
    standard operators only, where a graph is exported.

    Args:
        q, k, v: shapes (B, n, Q, d), (B, n, N, d), (B, n, N, e).
        bias: added after ``mix_scores``.
        scale: factor of the products.
        mix_scores, mix_weights: talking heads, shape (n, n), both or none.
        chunk: queries per chunk; None for as many as :func:`.chunked.queries_per_chunk` finds good.

    Returns:
        Shape (B, n, Q, e); in chunks, laid out in memory as ``v``.
    """
    if _is_exporting() or (torch.is_grad_enabled() and _fits_one_chunk(q, k, chunk)):
        return _attend_whole(q, k, v, bias, scale, mix_scores, mix_weights)
    geometry = (*bias.size, bias.stride, bias.per_pair)
    return torch.ops.effformer_dense.attend(q, k, v, bias.values, mix_scores, mix_weights, *geometry, scale, chunk or 0)


def _fits_one_chunk(q: Tensor, k: Tensor, chunk: int | None) -> bool:
    if torch.compiler.is_compiling():
        return False  # whatever depends on a size is compiled once per answer
    return q.shape[0] * q.shape[2] <= queries_per_chunk(q, k, chunk or 0)


def _is_exporting() -> bool:
    exporting = getattr(torch.compiler, 'is_exporting', lambda: False)
    return torch.jit.is_tracing() or torch.onnx.is_in_onnx_export() or exporting()


def _attend_whole(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: BiasValues,
    scale: float,
    mix_scores: Tensor | None,
    mix_weights: Tensor | None,
) -> Tensor:
    scores = q @ k.transpose(2, 3) * scale  # (B, n, Q, N)
    if mix_scores is not None:
        scores = _mix(mix_scores, scores)
    weights = (scores + bias.everything()).softmax(dim=3)
    if mix_weights is not None:
        weights = _mix(mix_weights, weights)
    return weights.to(v.dtype) @ v


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    return (matrix.to(x.dtype) @ x.flatten(2)).unflatten(2, x.shape[2:])


@torch.library.custom_op('effformer_dense::attend', mutates_args=())
def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor,
    mix_scores: Tensor | None,
    mix_weights: Tensor | None,
    height: int,
    width: int,
    stride: int,
    per_pair: bool,
    scale: float,
    chunk: int,
) -> Tensor:
    grid = BiasValues(bias, (height, width), stride, per_pair)
    with _no_autocast(q):
        return attend_in_chunks(Operands(q, k, v, grid, mix_scores, mix_weights, scale), chunk)


@torch.library.custom_op('effformer_dense::attend_backward', mutates_args=())
def _attend_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor,
    mix_scores: Tensor | None,
    mix_weights: Tensor | None,
    height: int,
    width: int,
    stride: int,
    per_pair: bool,
    scale: float,
    chunk: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k, v, bias and the two mixes (empty tensors where there is no mix)."""
    grid = BiasValues(bias, (height, width), stride, per_pair)
    with _no_autocast(q):
        operands = Operands(q, k, v, grid, mix_scores, mix_weights, scale)
        gradients = Gradients(operands)
        for part in operands.chunks(chunk):
            gradients.add(part, grad)
    return gradients.results(bias, mix_scores, mix_weights)


def _no_autocast(like: Tensor) -> AbstractContextManager:
    return torch.autocast(like.device.type, enabled=False)


@_attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *_: object) -> Tensor:
    return empty_output(q, v)


@_attend_backward.register_fake
def _(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor,
    mix_scores: Tensor | None,
    mix_weights: Tensor | None,
    *_: object,
) -> tuple[Tensor, ...]:
    dtype = torch.promote_types(q.dtype, torch.float32)
    empty = bias.new_empty(0, dtype=dtype)
    mixes = [empty if mix is None else torch.empty_like(mix) for mix in (mix_scores, mix_weights)]
    return (
        *(torch.empty_like(x) for x in (q, k, v)),
        torch.empty_like(bias, memory_format=torch.contiguous_format),
        *mixes,
    )


def _keep_operands(ctx, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:6])
    ctx.geometry = inputs[6:]


def _differentiate(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
    operands = ctx.saved_tensors
    gradients = torch.ops.effformer_dense.attend_backward(grad, *operands, *ctx.geometry)
    found = [None if operand is None else gradient for operand, gradient in zip(operands, gradients, strict=True)]
    return (*found, *(None for _ in ctx.geometry))


_attend.register_autograd(_differentiate, setup_context=_keep_operands)
