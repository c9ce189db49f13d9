"""Attention as one operator of a graph that ``torch.compile`` makes.

The compiler cannot make chunks of sizes that it does not know, and all scores at once would cost the memory that chunks
save. It sees two operators and their shapes; what runs is :func:`.native_attention.attend_forward` and :mod:`.chunked`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .chunked import Constants, Operands, attend_in_chunks_backward, empty_output
from .native_attention import attend_forward
from .relpos import no_autocast


def attend_compiled(operands: Operands) -> Tensor:
    """:func:`.attend.attend` in a graph of ``torch.compile``."""
    constants = operands.constants
    return _attend(*operands.tensors, constants.scale, constants.stride, constants.bias_per_pair, constants.chunk)  # type: ignore[call-arg]


@torch.library.custom_op('effformer_dense::attend', mutates_args=())
def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor,
    mix_scores: Tensor | None,
    mix_weights: Tensor | None,
    scale: float,
    stride: int,
    bias_per_pair: bool,
    chunk: int | None,
) -> Tensor:
    constants = Constants(scale, stride, bias_per_pair, chunk)
    return attend_forward(Operands(q, k, v, bias, mix_scores, mix_weights, constants))


@_attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *_: object) -> Tensor:
    return empty_output(q, v)


@torch.library.custom_op('effformer_dense::attend_backward', mutates_args=())
def _attend_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor,
    mix_scores: Tensor | None,
    mix_weights: Tensor | None,
    scale: float,
    stride: int,
    bias_per_pair: bool,
    chunk: int | None,
) -> list[Tensor]:
    """Gradients of the tensors that are given."""
    constants = Constants(scale, stride, bias_per_pair, chunk)
    operands = Operands(q, k, v, bias, mix_scores, mix_weights, constants)
    with no_autocast(grad):
        found = attend_in_chunks_backward(operands, grad)
    pairs = zip(operands.tensors, found, strict=True)
    return [gradient.to(tensor.dtype) for tensor, gradient in pairs if tensor is not None and gradient is not None]


@_attend_backward.register_fake
def _(grad: Tensor, *arguments: object) -> list[Tensor]:
    return [torch.empty_like(tensor) for tensor in arguments[: len(Operands.TENSORS)] if isinstance(tensor, Tensor)]


def _keep(ctx, inputs: tuple, output: Tensor) -> None:
    count = len(Operands.TENSORS)
    ctx.save_for_backward(*inputs[:count])
    ctx.constants = inputs[count:]


def _gradients(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors
    found = iter(_attend_backward(grad, *tensors, *ctx.constants))
    return *(None if tensor is None else next(found) for tensor in tensors), *(None for _ in ctx.constants)


_attend.register_autograd(_gradients, setup_context=_keep)
