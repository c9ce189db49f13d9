"""In what order maps lie in memory between a neck and its heads, on a CPU.

Convolutions of oneDNN, and Winograd's, are fastest with all channels of a place together (channels-last), and so is
RoIAlign. Others of mmdet's and mmsegmentation's networks ask for views that only the usual order has, and mmcv's own
RoIAlign reads every memory as if it were in the usual order: what is not known to read maps right gets that.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones.tracing import is_recording
from ..mmcv_ops import is_compiled

#: Networks that read maps by their shape alone; RoIAlign does where mmcv's own is not compiled.
_KNOWN = {'FPN', 'FPNHead', 'RPNHead', 'StandardRoIHead'}


def reads_any_order(model: nn.Module) -> bool:
    """Whether the neck and all heads of a detector or segmentor take maps in any order."""
    networks = {name: child for name, child in model.named_children() if name == 'neck' or name.endswith('head')}
    return 'neck' in networks and not is_compiled() and {type(child).__name__ for child in networks.values()} <= _KNOWN


def use_channels_last(model: nn.Module) -> None:
    """Let a neck compute, and hand out, channels-last maps if whoever gets them takes them; and mask heads, too."""
    if not reads_any_order(model):
        return
    networks: list[Any] = [model.neck]
    mask_head = getattr(getattr(model, 'roi_head', None), 'mask_head', None)
    if type(mask_head).__name__ == 'FCNMaskHead':
        networks.append(mask_head)
    for network in networks:
        network.forward = MethodType(_on_channels_last, network)


def _on_channels_last(self: nn.Module, maps: Tensor | tuple[Tensor, ...], *args: Any, **kwargs: Any) -> Any:
    if not is_recording():
        maps = _channels_last(maps) if isinstance(maps, Tensor) else tuple(map(_channels_last, maps))
    return type(self).forward(self, maps, *args, **kwargs)


def _channels_last(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)
