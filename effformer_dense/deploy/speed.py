"""What ``--fuse``, ``--precision`` and ``--compile`` of the tools do to a model with its weights."""

from __future__ import annotations

import torch
from torch import nn

from ..backbones.attention import DownsamplingAttention, MapAttention, TokenAttention
from ..backbones.base import DenseBackbone
from ..backbones.fused import TiledMlp
from ..backbones.timm_features import TimmFeatures
from ..errors import UserError
from .fuse import backbones_in, fuse


def speed_up(model: nn.Module, fused: bool, compiled: bool, precision: str = 'fp32') -> nn.Module:
    """Prepare a loaded model for inference.

    Args:
        model: detector or segmentor, on its device.
        fused: replace it by a fused copy.
        compiled: let ``torch.compile`` work on the backbones (heads choose by their results what to compute next),
            for any image size: one compilation serves them all.
        precision: ``'bf16'`` replaces it by a fused copy that computes in bfloat16.

    Returns:
        ``model``, or the fused copy.

    Raises:
        UserError: see :func:`.fuse.fuse`; or there is no backbone of this package to be compiled.
    """
    if fused or precision != 'fp32':
        model = fuse(model, precision)
    if compiled:
        backbones = backbones_in(model)
        if not backbones:
            raise UserError(
                f'{type(model).__name__} has no backbone of effformer_dense to be compiled: EfficientFormerV1, '
                'EfficientFormerV2, EdgeViT or TimmFeatures. Leave out --compile.'
            )
        for backbone in backbones:
            _compile(backbone)
    return model


def _compile(backbone: DenseBackbone | TimmFeatures) -> None:
    """Compile a backbone for any size, in pieces between its attention blocks and its tiled MLPs.

    Those do by themselves what a compiler does worse: chunks and tiles of sizes that it does not know. And each piece
    begins with sizes of its own; in one graph, a last map's are formulas of the picture's, and reasoning about these
    takes minutes.
    """
    for module in backbone.modules():
        if isinstance(module, TokenAttention | MapAttention | DownsamplingAttention | TiledMlp):
            module.forward = torch.compiler.disable(module.forward)  # type: ignore[method-assign]
    backbone.compile(dynamic=True)
