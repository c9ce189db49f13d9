"""What ``--fuse`` and ``--compile`` of the tools do to a model with its weights."""

from __future__ import annotations

from torch import nn

from ..backbones.base import DenseBackbone
from .fuse import fuse


def speed_up(model: nn.Module, fused: bool, compiled: bool) -> nn.Module:
    """Prepare a loaded model for inference.

    Args:
        model: detector or segmentor, on its device.
        fused: replace it by a fused copy.
        compiled: let ``torch.compile`` work on the backbones (heads choose by their results what to compute next),
            for any image size: one compilation serves them all.

    Returns:
        ``model``, or the fused copy.

    Raises:
        UserError: no EfficientFormer backbone in ``model``, see :func:`.fuse.fuse`.
    """
    if fused:
        model = fuse(model)
    if compiled:
        for module in model.modules():
            if isinstance(module, DenseBackbone):
                module.compile(dynamic=True)
    return model
