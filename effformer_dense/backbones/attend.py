"""Attention with a relative-position bias: which way it is computed.

Letters: ``B`` batch, ``n`` heads, ``h, w`` grid of keys, ``h', w'`` grid of queries, ``d`` key width, ``e``
value width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from .chunked import Operands, attend_in_chunks, attend_in_chunks_backward, queries_per_chunk
from .relpos import BiasValues, no_autocast


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
        q, k, v: shapes (B, h', w', n, d), (B, h, w, n, d), (B, h, w, n, e).
        bias: added after ``mix_scores``.
        scale: factor of the products.
        mix_scores, mix_weights: talking heads, shape (n, n), both or none.
        chunk: queries per chunk; None for as many as :func:`.chunked.queries_per_chunk` finds good.

    Returns:
        Shape (B, h', w', n, e); in chunks, laid out in memory as ``v``.
    """
    if is_exporting() or (torch.is_grad_enabled() and _fits_one_chunk(q, k, chunk)):
        return _attend_whole(q, k, v, bias, scale, mix_scores, mix_weights)
    options = bias.stride, bias.per_pair, scale, chunk or 0
    return _ChunkedAttention.apply(q, k, v, bias.values, mix_scores, mix_weights, options)


def _fits_one_chunk(q: Tensor, k: Tensor, chunk: int | None) -> bool:
    return q.shape[:3].numel() <= (chunk or queries_per_chunk(k))


def is_exporting() -> bool:
    """Whether a graph is recorded that must hold nothing but standard operators."""
    exporting = getattr(torch.compiler, 'is_exporting', torch.compiler.is_compiling)  # older torch has the second
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
    grid = q.shape[1:3]
    q, k, v = (x.flatten(1, 2).transpose(1, 2) for x in (q, k, v))  # (B, n, tokens, width)
    scores = q @ k.transpose(2, 3) * scale  # (B, n, Q, N)
    if mix_scores is not None:
        scores = _mix(mix_scores, scores)
    weights = (scores + bias.everything()).softmax(dim=3)
    if mix_weights is not None:
        weights = _mix(mix_weights, weights)
    return (weights.to(v.dtype) @ v).transpose(1, 2).unflatten(1, grid)


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    return (matrix.to(x.dtype) @ x.flatten(2)).unflatten(2, x.shape[2:])


class _ChunkedAttention(torch.autograd.Function):
    """Keeps the operands alone; the backward pass computes everything else again."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor,
        mix_scores: Tensor | None,
        mix_weights: Tensor | None,
        options: tuple[int, bool, float, int],
    ) -> Tensor:
        tensors = q, k, v, bias, mix_scores, mix_weights
        ctx.save_for_backward(*tensors)
        ctx.options = options
        *geometry, chunk = options
        with no_autocast(q):
            return attend_in_chunks(Operands(*tensors, *geometry), chunk)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        *geometry, chunk = ctx.options
        with no_autocast(grad):
            found = attend_in_chunks_backward(Operands(*tensors, *geometry), chunk, grad)
        # From the number type of the sums to that of each operand.
        cast = (
            None if tensor is None else gradient.to(tensor.dtype)
            for tensor, gradient in zip(tensors, found, strict=True)
        )
        return (*cast, None)
