"""Hooks on layers, which whatever computes two layers as one would pass by."""

from __future__ import annotations

from torch import nn


def is_watched(*modules: nn.Module) -> bool:
    """Whether hooks change, or want to see, what goes in or comes out of one of them."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in modules)
