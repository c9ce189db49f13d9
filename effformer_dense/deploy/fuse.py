"""Inference copies: norms, layer scales and activations folded into the convolutions, MLPs computed in strips."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..backbones.base import DenseBackbone
from ..backbones.efficientformer_v1 import PoolingBlock, TokenBlock
from ..backbones.efficientformer_v2 import AttentionBlock, FfnBlock
from ..backbones.layers import ConvNorm, LayerScale
from ..errors import UserError
from .fused_blocks import Add, FusedMlp, Residual, StripMlp
from .onednn import OneDnnConv, OneDnnLinear

_Linear = TypeVar('_Linear', nn.Conv2d, nn.Linear)


def fuse(model: nn.Module) -> nn.Module:
    """Copy a model for inference: equal outputs, less time and memory.

    In every EfficientFormer backbone of ``model``, batch norms and layer scales go into the convolutions before them;
    on a CPU, MLPs are computed in strips, and convolutions with their activations are one operation of oneDNN.
    Elsewhere (necks, heads) batch norms are folded by mmcv. The copy is in evaluation mode and in the same precision,
    can be compiled and exported, and is not for training: load weights and move to the device first, then fuse.

    Args:
        model: a backbone, or any module that holds one, such as a detector or a segmentor. It is not changed.

    Returns:
        The copy. Its ``state_dict`` has other keys.

    Raises:
        UserError: no EfficientFormer backbone in ``model``.
    """
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    backbones = [module for module in fused.modules() if isinstance(module, DenseBackbone)]
    if not backbones:
        raise UserError(
            f'{type(model).__name__} holds no EfficientFormer backbone: fuse() knows how to fold '
            'EfficientFormerV1 and EfficientFormerV2, alone or inside a detector or segmentor.'
        )
    for backbone in backbones:
        _fold_norms(backbone)
        stages: Any = backbone.stages
        for stage in stages:
            stage.blocks = nn.ModuleList(_fuse_block(block) for block in stage.blocks)
    if fused is not backbones[0]:
        from mmcv.cnn import fuse_conv_bn  # whoever has a detector or segmentor has mmcv

        fused = fuse_conv_bn(fused)
    return fused


def _fold_norms(module: nn.Module) -> None:
    """Replace each ConvNorm with batch norm by one convolution, with its activation if it has one."""
    for name, child in module.named_children():
        if isinstance(child, ConvNorm) and isinstance(child.norm, _BatchNorm) and child.norm.track_running_stats:
            conv = _fold_batch_norm(child.conv, child.norm)
            setattr(module, name, OneDnnConv(conv, getattr(child, 'activation', None)))
        else:
            _fold_norms(child)


def _fold_batch_norm(conv: nn.Conv2d, norm: _BatchNorm) -> nn.Conv2d:
    assert norm.running_var is not None and norm.running_mean is not None
    # In double precision: the quotient must not round twice.
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * factor
    if norm.affine:
        factor = factor * norm.weight
        shift = shift * norm.weight + norm.bias
    return _scale_output(conv, factor, shift)


@torch.no_grad()
def _scale_output(linear: _Linear, factor: Tensor, shift: Tensor | float = 0.0) -> _Linear:
    """Change ``linear``, which has a bias, so that it gives ``factor * output + shift`` per channel."""
    assert linear.bias is not None
    shape = (-1, *(1,) * (linear.weight.dim() - 1))
    linear.weight.copy_(linear.weight.double() * factor.view(shape))
    linear.bias.copy_(linear.bias.double() * factor + shift)
    return linear


def _fuse_block(block: nn.Module) -> nn.Module:
    if isinstance(block, AttentionBlock):
        return nn.Sequential(_fuse_attention(block), _fuse_mlp(block))
    if isinstance(block, (FfnBlock, PoolingBlock)):
        return _fuse_mlp(block)
    return _fuse_tokens(block) if isinstance(block, TokenBlock) else block


def _fuse_attention(block: Any) -> Residual:
    """The attention of an :class:`AttentionBlock`."""
    return Residual(block.token_mixer, _fold_into(block.token_mixer.proj, block.layer_scale_1))


def _fuse_tokens(block: Any) -> nn.Module:
    """A :class:`TokenBlock`, changed in place."""
    block.layer_scale_1 = _fold_into(block.token_mixer.proj, block.layer_scale_1)
    block.layer_scale_2 = _fold_into(block.mlp.fc2, block.layer_scale_2)
    if block.norm1.weight.device.type == 'cpu':
        _replace_linears(block.token_mixer, block.mlp)
    return block


def _replace_linears(mixer: Any, mlp: Any) -> None:
    """Those of a :class:`TokenAttention` and a :class:`TokenMlp` by oneDNN's, the activation with them."""
    if not isinstance(mlp.fc1, nn.Linear):
        return  # fused before
    mixer.qkv, mixer.proj = OneDnnLinear(mixer.qkv), OneDnnLinear(mixer.proj)
    mlp.fc1, mlp.fc2 = OneDnnLinear(mlp.fc1, mlp.activation), OneDnnLinear(mlp.fc2)
    mlp.activation = nn.Identity()


def _fuse_mlp(block: Any) -> FusedMlp:
    """Of an :class:`FfnBlock` or a :class:`PoolingBlock`; an :class:`AttentionBlock` has the MLP of the first."""
    pooling = block.layer_scale_1.weight if isinstance(block, PoolingBlock) else None
    layers = (block.mlp.fc1, block.mlp.mid, block.mlp.fc2)
    folded = all(layer is None or isinstance(layer, nn.Conv2d) for layer in layers)
    mlp = StripMlp if folded and block.layer_scale_2.weight.device.type == 'cpu' else FusedMlp
    return mlp(block.mlp, _fold_into(block.mlp.fc2, block.layer_scale_2), pooling)


def _fold_into(last: nn.Module, scale: LayerScale | Add) -> LayerScale | Add:
    """Fold a layer scale into the linear layer before it; with a norm between that could not be folded, keep it."""
    if not isinstance(scale, LayerScale):
        return scale
    if isinstance(last, nn.Conv2d):
        _scale_output(last, scale.weight.double())
    elif isinstance(last, nn.Linear):
        _scale_output(last, scale.weight.double())
    else:
        return scale
    return Add()
