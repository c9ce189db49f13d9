"""Batch norms of necks and heads, folded into the convolutions before them where that is proven.

By whom a layer is called, its place in a module does not tell: heads of RTMDet share a convolution among levels that
have norms of their own, others put an activation between two neighbours. So two ways to write the pair are known,
mmcv's ``ConvModule`` and neighbours in a ``Sequential``, and a layer that is held in two places stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from torch import nn

from ..backbones.base import DenseBackbone
from ..backbones.folding import can_fold, fold_norm
from ..backbones.hooks import is_watched
from ..backbones.timm_features import TimmFeatures


def fold_norms_outside(model: nn.Module) -> None:
    """Change a model in evaluation mode: fold batch norms everywhere but in backbones, which fold their own.

    In the place of such a norm is an identity, so that who asks for it by its name finds a module.
    """
    shared = _shared(model)
    for parent in _outside(model):
        for conv_name, norm_name in _pairs(parent):
            conv: Any = parent.get_submodule(conv_name)
            norm = parent.get_submodule(norm_name)
            if _is_plain(conv) and can_fold(norm) and not is_watched(norm) and not shared & {id(conv), id(norm)}:
                if conv.bias is None:
                    conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels), requires_grad=False)
                setattr(parent, norm_name, nn.Identity())
                fold_norm(conv, norm)


def _outside(module: nn.Module) -> Iterator[nn.Module]:
    """Modules that are no part of a backbone, each once."""
    inside = {
        id(part)
        for backbone in module.modules()
        if isinstance(backbone, DenseBackbone | TimmFeatures)
        for part in backbone.modules()
    }
    return (part for part in module.modules() if id(part) not in inside)


def _shared(model: nn.Module) -> set[int]:
    """Modules that several others hold, or whose parameters other modules have as well."""
    holders = Counter(id(child) for parent in model.modules() for child in parent.children())
    owners = Counter(id(own) for module in model.modules() for own in module.parameters(recurse=False))
    return {
        id(module)
        for module in model.modules()
        if holders[id(module)] > 1 or any(owners[id(own)] > 1 for own in module.parameters(recurse=False))
    }


def _pairs(parent: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of convolutions and of the norms that get their outputs, and nobody else does."""
    if type(parent) in _sequences():
        yield from pairwise(name for name, _ in parent.named_children())
    elif type(parent) in _conv_modules():
        module: Any = parent
        place = module.order.index('conv') + 1
        if module.with_norm and module.order[place : place + 1] == ('norm',):
            module.turn_on_efficient_conv_bn_eval(False)  # which folds in every call
            yield 'conv', module.norm_name


def _sequences() -> set[type[nn.Module]]:
    from mmengine.model import Sequential

    return {nn.Sequential, Sequential}


def _conv_modules() -> set[type[nn.Module]]:
    if find_spec('mmcv') is None:  # a backbone can be used without it
        return set()
    from mmcv.cnn import ConvModule

    return {ConvModule}


def _is_plain(module: nn.Module) -> bool:
    """Whether a module is a convolution by its weight as it stands: not a standardised or a deformable one."""
    kinds = {nn.Conv2d}
    if find_spec('mmcv') is not None:
        from mmcv.cnn.bricks.wrappers import Conv2d

        kinds.add(Conv2d)
    return type(module) in kinds and not is_watched(module)
