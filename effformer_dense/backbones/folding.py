"""Folding what is linear in evaluation, norms and layer scales, into the layer before it."""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .hooks import is_watched
from .tracing import is_recording


def folds_in_training(norm: nn.Module, conv: nn.Conv2d) -> TypeGuard[_BatchNorm]:
    """Whether :func:`tuned` can stand for the two: the norm keeps its statistics, and gradients are wanted.

    Not where somebody watches one of the two by hooks; and a compiler finds this by itself.
    """
    return (
        torch.is_grad_enabled()
        and not norm.training
        and can_fold(norm)
        and not is_recording()
        and not is_watched(conv, norm)
    )


def tuned(conv: nn.Conv2d, norm: _BatchNorm, x: Tensor, scale: Tensor | None = None) -> Tensor:
    """``scale * norm(conv(x))`` of a norm in evaluation mode, by one convolution whose weights have the norm in them.

    Gradients go through these weights to those of both: a pass over every map less, in both directions, and a map less
    to keep (arXiv 2305.11624, "Tune mode").

    Args:
        conv: with a bias.
        norm: batch norm that keeps statistics.
        x: (B, C, H, W).
        scale: factor per channel of the result, (C',).
    """
    assert norm.running_var is not None and norm.running_mean is not None and conv.bias is not None
    exact = torch.promote_types(norm.running_var.dtype, torch.float32)
    factor = (norm.running_var.to(exact) + norm.eps).rsqrt()
    shift = -norm.running_mean * factor
    if norm.affine:
        factor, shift = factor * norm.weight, shift * norm.weight + norm.bias
    if scale is not None:
        factor, shift = factor * scale, shift * scale
    weight, bias = conv.weight * factor[:, None, None, None], conv.bias * factor + shift
    return conv._conv_forward(x, weight.to(conv.weight.dtype), bias.to(conv.bias.dtype))


class FoldedConv(nn.Conv2d):
    """A convolution with its norm folded in, and its activation: (B, C, H, W) to (B, C', H', W'). For inference."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None = None) -> None:
        geometry: Any = dict(
            kernel_size=conv.kernel_size, stride=conv.stride, padding=conv.padding, dilation=conv.dilation
        )
        super().__init__(conv.in_channels, conv.out_channels, groups=conv.groups, device='meta', **geometry)
        self.weight, self.bias = conv.weight, conv.bias
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return x if self.activation is None else self.activation(x)


class FoldedLinear(nn.Linear):
    """A linear layer and its activation, on tokens (..., C) to (..., C'). For inference."""

    def __init__(self, linear: nn.Linear, activation: nn.Module | None = None) -> None:
        super().__init__(linear.in_features, linear.out_features, device='meta')
        self.weight, self.bias = linear.weight, linear.bias
        self.activation = activation

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = super().forward(tokens)
        return tokens if self.activation is None else self.activation(tokens)


def can_fold(norm: nn.Module) -> TypeGuard[_BatchNorm]:
    """Whether a norm is a linear map in evaluation: a batch norm that keeps statistics."""
    return isinstance(norm, _BatchNorm) and norm.track_running_stats


def fold_norm(conv: nn.Conv2d, norm: _BatchNorm) -> nn.Conv2d:
    """Change ``conv``, so that it gives ``norm(conv(x))`` of evaluation, and return it."""
    fold_scale(conv, *_factor_and_shift(norm))
    return conv


@torch.no_grad()
def fold_norm_before(norm: _BatchNorm, conv: nn.Conv2d) -> nn.Conv2d:
    """Change ``conv``, of 1 x 1 and with a bias, so that it gives ``conv(norm(x))`` of evaluation, and return it."""
    assert conv.bias is not None and conv.kernel_size == (1, 1)
    factor, shift = _factor_and_shift(norm)
    weight = conv.weight.double()
    conv.bias.copy_(conv.bias.double() + weight[:, :, 0, 0] @ shift)
    conv.weight.copy_(weight * factor[:, None, None])
    return conv


@torch.no_grad()
def fold_shortcut(conv: nn.Conv2d) -> nn.Conv2d:
    """Change ``conv``, depth-wise and with odd sides, so that it gives ``x + conv(x)``, and return it."""
    height, width = conv.kernel_size
    conv.weight[:, 0, height // 2, width // 2] += 1
    return conv


def _factor_and_shift(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """What a norm is in evaluation, per channel, in double precision: the quotient must not round twice."""
    assert norm.running_var is not None and norm.running_mean is not None
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * factor
    if norm.affine:
        factor = factor * norm.weight
        shift = shift * norm.weight + norm.bias
    return factor, shift


@torch.no_grad()
def fold_scale(linear: nn.Conv2d | nn.Linear, factor: Tensor, shift: Tensor | float = 0.0) -> None:
    """Change ``linear``, which has a bias, so that it gives ``factor * output + shift`` per channel."""
    assert linear.bias is not None
    factor = factor.double()
    shape = (-1, *(1,) * (linear.weight.dim() - 1))
    linear.weight.copy_(linear.weight.double() * factor.view(shape))
    linear.bias.copy_(linear.bias.double() * factor + shift)
