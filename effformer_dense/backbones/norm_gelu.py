"""Batch norm and GELU in training that keep one map between them instead of two.

By themselves both keep their input for the backward pass: that of the norm, and the normalised map. The second
follows from the first by one multiplication and one addition per value, so here the backward pass computes it again.
Hidden maps of MLPs are most of what training keeps, and this is a third of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .hooks import is_watched
from .tracing import is_recording


def is_lean(norm: nn.Module, activation: nn.Module, x: Tensor) -> TypeGuard[nn.BatchNorm2d]:
    """Whether :func:`batch_norm_gelu` can stand for ``activation(norm(x))`` and saves something.

    Not for other layers, nor where somebody watches one of the two by hooks; and a compiler finds this by itself.
    """
    return (
        not is_recording()
        and type(norm) is nn.BatchNorm2d
        and _is_gelu(activation)
        and norm.affine
        and norm.momentum is not None
        and x.numel() > x.shape[1]  # one value per channel has no variance: the norm itself says so
        and torch.is_grad_enabled()
        and (x.requires_grad or norm.weight.requires_grad)
        and not is_watched(norm, activation)
    )


def batch_norm_gelu(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """``gelu(norm(x))`` with the side effects of ``norm(x)``; shape (B, C, H, W) to the same."""
    by_batch = norm.training or not norm.track_running_stats
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    out, *_ = _BatchNormGelu.apply(
        x, norm.weight, norm.bias, norm.running_mean, norm.running_var, by_batch, norm.momentum, norm.eps
    )
    return out


def activate(x: Tensor, activation: nn.Module, maker: nn.Module | None = None) -> Tensor:
    """``activation(x)`` of a map that nobody needs any more.

    GELU then overwrites it, in inference on a CPU: there every large map that is not made saves the system fetching
    its pages.

    Args:
        x: map.
        activation: what to apply.
        maker: module that made ``x``; somebody who watches it by hooks may hold the map.
    """
    makers = [activation] if maker is None else [activation, maker]
    overwrite = _is_gelu(activation) and may_overwrite(x, makers)
    return torch.ops.aten.gelu_(x) if overwrite else activation(x)


def may_overwrite(x: Tensor, makers: Iterable[nn.Module]) -> bool:
    """Whether a map that nobody needs any more can be overwritten, and that saves something: in inference on a CPU.

    Not if somebody watches one of its ``makers`` by hooks, and may hold it.
    """
    return x.device.type == 'cpu' and not torch.is_grad_enabled() and not is_recording() and not is_watched(*makers)


def _is_gelu(activation: nn.Module) -> bool:
    return type(activation) is nn.GELU and activation.approximate == 'none'


class _BatchNormGelu(torch.autograd.Function):
    """Returns the result, and the mean and inverse standard deviation of the batch (empty in evaluation)."""

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor | None,
        running_variance: Tensor | None,
        by_batch: bool,
        momentum: float,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        normed, mean, inverse_std = torch.native_batch_norm(
            x, weight, bias, running_mean, running_variance, by_batch, momentum, eps
        )
        return F.gelu(normed), mean, inverse_std

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
        x, weight, bias, running_mean, running_variance, ctx.by_batch, _, ctx.eps = inputs
        ctx.mark_non_differentiable(*output[1:])
        statistics = output[1:] if ctx.by_batch else (running_mean, running_variance)
        ctx.save_for_backward(x, weight, bias, *statistics)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, variance = ctx.saved_tensors  # of the batch: its inverse standard deviation
        if torch.is_grad_enabled():  # somebody may differentiate the gradient: leave that to torch's own operators
            running = (None, None) if ctx.by_batch else (mean, variance)

            def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
                return F.gelu(F.batch_norm(x, running[0], running[1], weight, bias, ctx.by_batch, 0.0, ctx.eps))

            return *torch.func.vjp(plain, x, weight, bias)[1](grad), None, None, None, None, None
        factor = weight * (variance if ctx.by_batch else (variance + ctx.eps).rsqrt())
        shift = bias - mean * factor
        normed = torch.addcmul(shift[:, None, None], x, factor[:, None, None]).to(x.dtype)
        grad = torch.ops.aten.gelu_backward.grad_input(grad, normed, grad_input=normed)
        batch, running = ((mean, variance), (None, None)) if ctx.by_batch else ((None, None), (mean, variance))
        wanted = ctx.needs_input_grad[:3]
        found = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, *running, *batch, ctx.by_batch, ctx.eps, wanted
        )
        return (*found, None, None, None, None, None)
