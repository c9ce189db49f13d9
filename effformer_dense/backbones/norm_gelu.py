"""Batch norm and GELU in training that keep one map between them instead of two.

By themselves both keep their input for the backward pass: that of the norm, and the normalised map. The second
follows from the first by one multiplication and one addition per value, so here the backward pass computes it again.
Hidden maps of MLPs are most of what training keeps, and this is a third of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable


def is_lean(norm: nn.Module, activation: nn.Module, x: Tensor) -> bool:
    """Whether :func:`batch_norm_gelu` can stand for ``activation(norm(x))`` and saves something.

    Not for other layers, nor where somebody watches one of the two by hooks; and a compiler finds this by itself.
    """
    return (
        type(norm) is nn.BatchNorm2d
        and _is_gelu(activation)
        and norm.affine
        and norm.momentum is not None
        and x.numel() > x.shape[1]  # one value per channel has no variance: the norm itself says so
        and torch.is_grad_enabled()
        and (x.requires_grad or norm.weight.requires_grad)
        and not _is_watched(norm, activation)
        and not _is_recorded()
    )


def batch_norm_gelu(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """``gelu(norm(x))`` with the side effects of ``norm(x)``; shape (B, C, H, W) to the same."""
    by_batch = norm.training or not norm.track_running_stats
    if norm.training and norm.track_running_stats:
        norm.num_batches_tracked.add_(1)
    return _BatchNormGelu.apply(
        x, norm.weight, norm.bias, norm.running_mean, norm.running_var, by_batch, norm.momentum, norm.eps
    )


def activate(x: Tensor, activation: nn.Module, maker: nn.Module | None = None) -> Tensor:
    """``activation(x)`` of a map that nobody needs any more.

    GELU then overwrites it, in inference on a CPU: there every large map that is not made saves the system fetching
    its pages.

    Args:
        x: map.
        activation: what to apply.
        maker: module that made ``x``; somebody who watches it by hooks may hold the map.
    """
    overwrite = (
        _is_gelu(activation)
        and x.device.type == 'cpu'
        and not torch.is_grad_enabled()
        and not _is_watched(activation, *([] if maker is None else [maker]))
        and not _is_recorded()
    )
    return torch.ops.aten.gelu_(x) if overwrite else activation(x)


def _is_recorded() -> bool:
    """Whether a graph is made of the operators, by a compiler or a tracer."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def _is_gelu(activation: nn.Module) -> bool:
    return type(activation) is nn.GELU and activation.approximate == 'none'


def _is_watched(*modules: nn.Module) -> bool:
    """Whether hooks want to see what goes in or comes out."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in modules)


class _BatchNormGelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        by_batch: bool,
        momentum: float,
        eps: float,
    ) -> Tensor:
        normed, mean, inverse_std = torch.native_batch_norm(
            x, weight, bias, running_mean, running_var, by_batch, momentum, eps
        )
        # In evaluation torch leaves the last two empty.
        statistics = (mean, inverse_std) if by_batch else (running_mean, running_var)
        ctx.save_for_backward(x, weight, bias, *statistics)
        ctx.by_batch, ctx.eps = by_batch, eps
        return F.gelu(normed)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, spread = ctx.saved_tensors
        factor = weight * (spread if ctx.by_batch else (spread + ctx.eps).rsqrt())
        shift = bias - mean * factor
        normed = torch.addcmul(shift[:, None, None], x, factor[:, None, None]).to(x.dtype)
        grad = torch.ops.aten.gelu_backward.grad_input(grad, normed, grad_input=normed)
        batch, running = ((mean, spread), (None, None)) if ctx.by_batch else ((None, None), (mean, spread))
        wanted = ctx.needs_input_grad[:3]
        found = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, *running, *batch, ctx.by_batch, ctx.eps, wanted
        )
        return (*found, None, None, None, None, None)
