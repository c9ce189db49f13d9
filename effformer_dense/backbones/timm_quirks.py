"""What layers of timm do that MMEngine, or torch, does not expect of layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def keep_activations(model: nn.Module) -> None:
    """After torch's ``convert_sync_batchnorm``: let norms that have an activation in them apply it again.

    The conversion makes plain ``SyncBatchNorm`` of them, which holds the activation and does not call it.
    """
    from timm.layers import SyncBatchNormAct

    for module in model.modules():
        if type(module) is nn.SyncBatchNorm and hasattr(module, 'act'):
            module.__class__ = SyncBatchNormAct


def forget_biases(model: nn.Module, *_: Any) -> None:
    """Drop attention biases that LeViT and EfficientViT of MSRA keep in evaluation, after their tables have changed."""
    for module in model.modules():
        kept = getattr(module, 'attention_bias_cache', None)
        if isinstance(kept, dict):
            kept.clear()


def track_once(model: nn.Module) -> None:
    """Let batch norms leave their statistics alone where layers are computed a second time, in the backward pass."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(_pause)
            module.register_forward_hook(_go_on, always_call=True)


def _pause(norm: _BatchNorm, _: tuple[Tensor, ...]) -> None:
    if norm.training and norm.track_running_stats and torch._C._current_graph_task_id() != -1:
        norm.paused_momentum, norm.momentum = norm.momentum, 0.0  # type: ignore[assignment]


def _go_on(norm: _BatchNorm, *_: Any) -> None:
    if hasattr(norm, 'paused_momentum'):
        norm.momentum = norm.paused_momentum  # type: ignore[assignment]
        del norm.paused_momentum
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.sub_(1)
