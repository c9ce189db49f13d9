"""Inference copies: norms, layer scales and activations folded into the layers before them."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import nn

from ..backbones.base import DenseBackbone
from ..backbones.timm_features import TimmFeatures
from ..errors import UserError
from .fold_norms import fold_norms_outside
from .fuse_timm import fuse_timm
from .memory_order import use_channels_last
from .onednn import use_onednn
from .precision import check_precision, compute_in_bf16
from .winograd import use_winograd


def backbones_in(model: nn.Module) -> list[DenseBackbone | TimmFeatures]:
    """Backbones of this package in a model, itself included."""
    return [module for module in model.modules() if isinstance(module, DenseBackbone | TimmFeatures)]


def fuse(model: nn.Module, precision: str = 'fp32') -> nn.Module:
    """Copy a model for inference: equal outputs, less time and memory.

    In every backbone of this package in ``model``, batch norms and layer scales go into the convolutions before them;
    on a CPU, MLPs are computed in tiles, and convolutions with their activations are one operation of oneDNN.
    Elsewhere (necks, heads) batch norms are folded where that is proven (:mod:`.fold_norms`), and on a CPU wide 3 x 3
    convolutions are computed by Winograd's algorithm. Models of timm are fused by timm, and their batch norms folded
    (:mod:`.fuse_timm`). The copy is in evaluation mode, can be compiled and exported, and is not for training: load
    weights and move to the device first, then fuse.

    A block takes part by a method ``fused()``, which returns what stands for it in inference.

    Args:
        model: a backbone, or any module that holds one, such as a detector or a segmentor. It is not changed.
        precision: ``'fp32'`` leaves the precision of the model as it is. ``'bf16'`` computes backbone, neck and heads
            in bfloat16 (:mod:`.precision`); images and results stay in float32, and so do models of timm.

    Returns:
        The copy. Its ``state_dict`` has other keys.

    Raises:
        UserError: no backbone of this package in ``model``; another ``precision``, or one that its device lacks.
    """
    fused = copy.deepcopy(model).eval()
    backbones = backbones_in(fused)
    if not backbones:
        raise UserError(
            f'{type(model).__name__} holds no backbone of effformer_dense: fuse() knows how to fold '
            'EfficientFormerV1, EfficientFormerV2, EdgeViT and TimmFeatures, alone or inside a detector or segmentor.'
        )
    if precision == 'bf16' and isinstance(fused, TimmFeatures):
        raise UserError("precision 'bf16' is for networks of effformer_dense. For timm's, use torch.autocast.")
    check_precision(precision, next(backbones[0].parameters()).device)
    for backbone in backbones:
        if isinstance(backbone, TimmFeatures):
            fuse_timm(backbone)
            continue
        _fuse_children(backbone)
        if next(backbone.parameters()).device.type == 'cpu':
            use_onednn(backbone)
    fold_norms_outside(fused)
    if precision == 'bf16':
        compute_in_bf16(_unwrapped(fused))
    elif next(backbones[0].parameters()).device.type == 'cpu':
        use_winograd(fused)
        use_channels_last(_unwrapped(fused))
    return fused.requires_grad_(False)  # what was made on the way, too


def _unwrapped(module: nn.Module) -> nn.Module:
    """The network in wrappers that hold nothing else, as ``DistributedDataParallel`` and averages of weights do."""
    children = list(module.children())
    if len(children) == 1 and not isinstance(module, DenseBackbone | TimmFeatures | nn.Sequential):
        return _unwrapped(children[0])
    return module


def _fuse_children(module: nn.Module) -> None:
    """Replace modules by what their ``fused()`` returns, from the inside out: a block folds into folded layers."""
    for name, child in module.named_children():
        _fuse_children(child)
        fused: Callable[[], nn.Module] | None = getattr(child, 'fused', None)
        if fused is not None:
            setattr(module, name, fused())
