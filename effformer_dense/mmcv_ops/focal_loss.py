"""Sigmoid focal loss (arXiv 1708.02002, section 3) and its derivative, per entry."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .precision import computable

_TINY = torch.finfo(torch.float32).tiny  # keeps logarithms finite


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``output``.

    Args:
        input: (N, C) logits.
        target: (N,) classes; C for none of them.
        weight: (C,) factors of the targets' classes, or empty.
        output: (N, C).
        gamma: how much entries that are right already count less.
        alpha: share of the positive entries; that of the others is 1 - alpha.
    """
    (logits,) = computable(input)
    p = logits.sigmoid()
    positive = alpha * (1 - p) ** gamma * p.clamp(min=_TINY).log()
    negative = (1 - alpha) * p**gamma * (1 - p).clamp(min=_TINY).log()
    output.copy_(-torch.where(_is_target(logits, target), positive, negative) * _factors(weight, target, logits))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``grad_input`` (N, C) with the derivative of each entry's loss; arguments as of the forward pass."""
    (logits,) = computable(input)
    p = logits.sigmoid()
    positive = alpha * (1 - p) ** gamma * (1 - p - gamma * p * p.clamp(min=_TINY).log())
    negative = (1 - alpha) * p**gamma * (gamma * (1 - p) * (1 - p).clamp(min=_TINY).log() - p)
    grad_input.copy_(-torch.where(_is_target(logits, target), positive, negative) * _factors(weight, target, logits))


def _is_target(logits: Tensor, target: Tensor) -> Tensor:
    return target[:, None] == torch.arange(logits.shape[1], device=logits.device)  # N, C


def _factors(weight: Tensor, target: Tensor, logits: Tensor) -> Tensor:
    """(N, 1); 1 for entries of no class."""
    if not weight.numel():
        return logits.new_ones(1, 1)
    return F.pad(weight.to(logits.dtype), (0, 1), value=1.0)[target][:, None]
