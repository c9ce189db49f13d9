"""Attention with a relative-position bias: which way it is computed.

Letters: ``B`` batch, ``n`` heads, ``h, w`` grid of keys, ``h', w'`` grid of queries, ``d`` key width, ``e``
value width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .chunked import Constants, Operands, attend_in_chunks_backward
from .compiled import attend_compiled
from .native_attention import attend_forward
from .recorded import attend_recorded
from .relpos import no_autocast
from .tracing import is_recording, wants_standard_operators


def attend(operands: Operands) -> Tensor:
    """``mix_weights(softmax(mix_scores(scale * q @ k) + bias)) @ v``, the mixes being matrices over heads.

    Exact, whichever way it is computed. In chunks of queries: nothing of size queries x keys is held, and the backward
    pass computes the scores again; the forward pass on a CPU is our own C++ where it is compiled. Whole: where
    gradients are wanted and the scores are few, and, with standard operators only, where a graph is exported
    (:func:`.recorded.attend_recorded`).

    Returns:
        Shape (B, h', w', n, e); in chunks, laid out in memory as ``v``.
    """
    if wants_standard_operators():
        return attend_recorded(operands)
    if is_recording():
        return attend_compiled(operands)
    if not torch.is_grad_enabled():
        return attend_forward(operands)
    if operands.are_kept:
        return attend_whole(operands)
    return _ChunkedAttention.apply(operands.constants, *operands.tensors)


def attend_whole(operands: Operands) -> Tensor:
    """The definition: all scores at once."""
    q, k, v = (x.flatten(1, 2).transpose(1, 2) for x in (operands.q, operands.k, operands.v))  # (B, n, tokens, width)
    scores = q @ k.transpose(2, 3) * operands.constants.scale  # (B, n, Q, N)
    if operands.mix_scores is not None:
        scores = _mix(operands.mix_scores, scores)
    weights = (scores + operands.bias_values.everything()).softmax(dim=3)
    if operands.mix_weights is not None:
        weights = _mix(operands.mix_weights, weights)
    out = (weights.to(v.dtype) @ v).transpose(1, 2)  # (B, Q, n, e)
    if operands.v.stride(4) == 1:  # channels-last maps: else all that follows would be channels-first
        out = out.contiguous()
    return out.unflatten(1, operands.q.shape[1:3])  # (B, h', w', n, e)


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    return (matrix.to(x.dtype) @ x.flatten(2)).unflatten(2, x.shape[2:])


class _ChunkedAttention(torch.autograd.Function):
    """Keeps the operands alone; the backward pass computes everything else again."""

    @staticmethod
    def forward(constants: Constants, q: Tensor, *others: Tensor | None) -> Tensor:
        return attend_forward(Operands.of((q, *others), constants))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.constants, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, *_ChunkedAttentionBackward.apply(ctx.constants, grad, *ctx.saved_tensors)


class _ChunkedAttentionBackward(torch.autograd.Function):
    """Gradients of the operands, in chunks too; to be differentiated again, all scores at once."""

    @staticmethod
    def forward(constants: Constants, grad: Tensor, *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
        with no_autocast(grad):
            found = attend_in_chunks_backward(Operands.of(tensors, constants), grad)
        # From the number type of the sums to that of each operand.
        return tuple(
            None if tensor is None or gradient is None else gradient.to(tensor.dtype)
            for tensor, gradient in zip(tensors, found, strict=True)
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor | None, ...]) -> None:
        ctx.constants, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        grad, *tensors = ctx.saved_tensors
        given = [index for index, tensor in enumerate(tensors) if tensor is not None]

        def gradients(grad: Tensor, *operands: Tensor) -> tuple[Tensor, ...]:
            whole = lambda *some: attend_whole(Operands.of(_spread(some, given), ctx.constants))  # noqa: E731
            return torch.func.vjp(whole, *operands)[1](grad)

        with no_autocast(grad):
            found = torch.func.vjp(gradients, grad, *(tensors[i] for i in given))[1](tuple(grads[i] for i in given))
        return None, found[0], *_spread(found[1:], given)


def _spread(values: tuple[Tensor, ...], places: list[int]) -> list[Tensor | None]:
    """The six tensors of :class:`.chunked.Operands`, None where there is none."""
    spread: list[Tensor | None] = [None] * len(Operands.TENSORS)
    for place, value in zip(places, values, strict=True):
        spread[place] = value
    return spread
