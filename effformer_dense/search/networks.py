"""The ordinary backbone of a row."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from mmengine.registry import MODELS

from ..backbones.base import DenseBackbone
from ..rows import to_arch
from ..variants import Variant


def build_backbone(row: Variant, **options: Any) -> DenseBackbone:
    """Built where torch builds by default: with ``torch.device('meta')`` around it, it costs nothing."""
    return MODELS.build(dict(type=row.family, arch=to_arch(row), **options))


@lru_cache(maxsize=4096)
def parameters_of(row: Variant) -> int:
    """Parameters of a row's backbone."""
    with torch.device('meta'):
        return sum(parameter.numel() for parameter in build_backbone(row).parameters())
