"""Inference copies of timm's models: their own fusing, then batch norms folded where they follow a convolution.

Which norm follows which convolution stands in code that is not ours, and the order in which a module holds its layers
need not be the one in which it calls them. So one forward pass is watched, and what was folded must give the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..backbones.folding import can_fold, fold_norm
from ..backbones.timm_features import TimmFeatures

#: Largest deviation of a map that folding may make, in standard deviations.
_TOLERANCE = 1e-4
_SIDE_PX = 64


def fuse_timm(backbone: TimmFeatures) -> None:
    """Change a backbone, in evaluation mode, into one for inference with equal maps.

    Raises:
        RuntimeError: its maps would change: a model whose layers do more than they show.
    """
    from timm.utils.model import reparameterize_model

    dtype = next(backbone.parameters()).dtype
    if dtype in (torch.float16, torch.bfloat16):  # whose rounding would hide what is wrong
        backbone.float()
    images = _images(backbone)
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # of 10 bits
        wanted = backbone(images)
        backbone.model = reparameterize_model(backbone.model, inplace=True).requires_grad_(False)
        for conv, norm_name in _pairs(backbone, images):
            _fold(backbone, conv, norm_name)
        found = backbone(images)
    for before, after in zip(wanted, found, strict=True):
        if not torch.allclose(before, after, rtol=0, atol=_TOLERANCE * float(before.std())):
            raise RuntimeError(f'{backbone.model_name} cannot be fused: its maps would change.')
    backbone.to(dtype)


def _images(backbone: TimmFeatures) -> Tensor:
    like = next(backbone.parameters())
    height, width = backbone.img_size or (_SIDE_PX, _SIDE_PX)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, height, width, generator=generator).to(like)


def _pairs(backbone: TimmFeatures, images: Tensor) -> list[tuple[nn.Conv2d, str]]:
    """Convolutions, and the names of the norms that get just what they give; both are called once."""
    outputs: list[tuple[Tensor, nn.Conv2d]] = []  # held, so that no other tensor gets the identity of one
    inputs: list[tuple[Tensor, str]] = []
    calls: Counter[nn.Module] = Counter()

    def note_conv(module: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        calls[module] += 1
        outputs.append((output, module))

    names = {module: name for name, module in backbone.named_modules()}

    def note_norm(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        calls[module] += 1
        inputs.append((args[0], names[module]))

    hooks = [module.register_forward_hook(note_conv) for module in names if type(module) is nn.Conv2d]
    hooks += [module.register_forward_pre_hook(note_norm) for module in names if can_fold(module)]
    try:
        backbone(images)
    finally:
        for hook in hooks:
            hook.remove()
    convs = {id(output): conv for output, conv in outputs}
    pairs = [(convs[id(given)], name) for given, name in inputs if id(given) in convs]
    return [(conv, name) for conv, name in pairs if calls[conv] == calls[backbone.get_submodule(name)] == 1]


def _fold(backbone: TimmFeatures, conv: nn.Conv2d, norm_name: str) -> None:
    """Put a norm into the convolution before it; timm's norms with an activation leave that behind."""
    norm = backbone.get_submodule(norm_name)
    assert isinstance(norm, _BatchNorm)
    if conv.bias is None:
        conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels), requires_grad=False)
    fold_norm(conv, norm)
    rest = [part for part in (getattr(norm, 'drop', None), getattr(norm, 'act', None)) if part is not None]
    parent, _, name = norm_name.rpartition('.')
    setattr(backbone.get_submodule(parent), name, nn.Sequential(*rest) if rest else nn.Identity())
