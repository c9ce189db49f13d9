"""Models of timm: created so that they take images of any size, and the maps that they give."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..errors import MissingPackageError, UserError, choice_error
from .base import STRIDES

#: Arguments by which models of timm take any size: vision transformers; windows; and those that need none. Tried in
#: this order, for a model that knows an argument may be right without it at its own size alone.
_ANY_SIZE: tuple[dict[str, Any], ...] = (dict(dynamic_img_size=True), dict(strict_img_size=False), {})
#: Numbers of which sides may have to be multiples; the first that a model is right with is taken.
_MULTIPLES = (1, 4, 8, 16, 32, 64, 56, 112, 128, 224, 256)
#: (height, width) of images that show it: odd, and neither filled up to a square nor to the size of any classifier.
_TRIED_SIZES = ((97, 289), (417, 131))
EXAMPLES = 'resnet50, mobilenetv4_conv_medium, repvit_m1_1, swin_tiny_patch4_window7_224, vit_small_patch16_224'


@dataclass(frozen=True)
class Level:
    """A map that a model gives.

    Attributes:
        index: which, as timm counts.
        channels, stride: of the map.
    """

    index: int
    channels: int
    stride: int


def build(name: str, img_size: tuple[int, int] | None, arguments: dict[str, Any]) -> tuple[nn.Module, int]:
    """Create a model, by the first arguments with which it takes any size.

    Args:
        name: as in ``timm.list_models()``.
        img_size: (height, width) of all images; None for any.
        arguments: further ones of ``timm.create_model``.

    Returns:
        The model, and of how many px sides have to be multiples.

    Raises:
        UserError: a name that timm has not, or a model that gives no maps, or none of these sizes or strides.
        MissingPackageError: timm is not installed.
    """
    if img_size is not None:
        try:
            model = create(name, {**arguments, 'img_size': img_size})
        except TypeError as error:
            raise UserError(
                f"timm's {name} does not take img_size, or not model_args={arguments!r}: {error}. A model that takes "
                'images of any size needs no img_size.'
            ) from error
        check_strides(name, model)
        if not is_right(model, img_size, 1):
            raise UserError(f"timm's {name} gives no maps of {img_size[0]} x {img_size[1]} px.")
        return model, 1
    for more in _ANY_SIZE:
        try:
            model = create(name, {**more, **arguments})
        except TypeError as error:  # it has no such argument
            if not more:
                raise UserError(f"timm's {name} does not take model_args={arguments!r}: {error}") from error
            continue
        check_strides(name, model)
        for multiple in _MULTIPLES:
            if all(is_right(model, size, multiple) for size in _TRIED_SIZES):
                return model, multiple
    raise UserError(
        f"timm's {name} does not take images of any size. Name the one that all of yours have after resizing, as "
        f'img_size=(HEIGHT, WIDTH), or take a model that does, such as {EXAMPLES}.'
    )


def create(name: str, arguments: dict[str, Any], pretrained: bool = False) -> nn.Module:
    """timm's ``create_model``, for models that give maps.

    Raises:
        UserError: a name that timm has not, or a model that gives no maps.
        MissingPackageError: timm is not installed.
        TypeError: an argument that the model has not.
    """
    timm = _timm()
    if not timm.is_model(name):
        near = difflib.get_close_matches(name.split('.')[0], timm.list_models(), n=4) or EXAMPLES.split(', ')
        raise choice_error('Name of a timm model', name, near)
    model = timm.create_model(name, pretrained=pretrained, **arguments)
    if not hasattr(model, 'forward_intermediates') or not getattr(model, 'feature_info', None):
        raise UserError(f"timm's {name} gives no feature maps. Others do, such as {EXAMPLES}.")
    return model


def check_strides(name: str, model: nn.Module) -> None:
    """Raises ``UserError`` for a model without a map of one of the four strides."""
    given = {level.stride for level in levels_of(model)}
    if not given & set(STRIDES):
        raise UserError(
            f"timm's {name} has maps of stride {', '.join(map(str, sorted(given)))}, and dense models want 4, 8, 16 "
            f'and 32. Others have one of these, such as {EXAMPLES}.'
        )


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise MissingPackageError('TimmFeatures needs timm, which is not installed: pip install timm') from error
    return timm


def infos(model: nn.Module) -> list[dict[str, Any]]:
    info: Any = model.feature_info
    return list(info if isinstance(info, list) else info.info)


def levels_of(model: nn.Module) -> list[Level]:
    return [Level(index, entry['num_chs'], int(entry['reduction'])) for index, entry in enumerate(infos(model))]


def maps_of(model: nn.Module, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
    """Maps (B, C, h, w) in the order of ``indices``, which may name one twice."""
    once = sorted(set(indices))
    maps = model.forward_intermediates(  # type: ignore[operator]
        images, indices=once, output_fmt='NCHW', intermediates_only=True
    )
    return [maps[once.index(index)] for index in indices]


def rounded_up(side: int, multiple: int) -> int:
    return (side + multiple - 1) // multiple * multiple


def is_right(model: nn.Module, size: tuple[int, int], multiple: int) -> bool:
    """Whether every map of an image, filled up, has ``ceil(side / stride)`` cells. Nothing is computed."""
    height, width = (rounded_up(side, multiple) for side in size)
    levels = [level for level in levels_of(model) if level.stride in STRIDES]
    shapes = [(-(-height // level.stride), -(-width // level.stride)) for level in levels]
    given = [*model.named_parameters(), *model.named_buffers()]
    state = {name: torch.empty_like(value, device='meta') for name, value in given}
    forward = _Forward(model, [level.index for level in levels])
    training = {module: module.training for module in model.modules()}
    model.train()  # in evaluation some keep what they have computed
    try:
        image = torch.empty(2, 3, height, width, device='meta')
        with torch.no_grad():
            maps = functional_call(forward, {f'model.{name}': value for name, value in state.items()}, (image,))
    except (RuntimeError, AssertionError, ValueError, IndexError, TypeError):
        return False
    finally:
        for module, mode in training.items():
            module.training = mode
    return [tuple(map_.shape[2:]) for map_ in maps] == shapes


class _Forward(nn.Module):
    """``forward_intermediates`` as a module, for :func:`torch.func.functional_call`."""

    def __init__(self, model: nn.Module, indices: Sequence[int]) -> None:
        super().__init__()
        self.model, self.indices = model, indices

    def forward(self, images: Tensor) -> list[Tensor]:
        return maps_of(self.model, images, self.indices)
