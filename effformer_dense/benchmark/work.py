"""Counting what a step has to compute and to move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from .cases import PRECISIONS, Case
from .subjects import build_subject
from .yardstick import Work

_ATEN = torch.ops.aten
#: Layers whose operands and results are counted as traffic.
_LAYERS = {_ATEN.convolution, _ATEN.conv2d, _ATEN.conv_transpose2d, _ATEN.linear, _ATEN.addmm, _ATEN.mm}


def count_work(case: Case) -> Work:
    """Count a step of the model as it is before fusing and compiling.

    A training step counts as three forward passes, as is usual; torch's counter overstates the backward pass of
    depth-wise convolutions.
    """
    plain = replace(case, mode='eager', precision='fp32', train=False)
    if not case.is_whole:
        plain = replace(plain, device='meta')  # shapes are enough, nothing is computed
    step = build_subject(plain).step
    with FlopCounterMode(display=False, custom_mapping=_PRODUCTS) as operations, _Traffic() as traffic:
        step()
    passes = 3 if case.train else 1
    size = PRECISIONS[case.precision].itemsize / torch.float32.itemsize
    return Work(passes * operations.get_total_flops(), passes * size * traffic.bytes)


def count_operations(network: nn.Module, images: Tensor) -> float:
    """Operations of a forward pass; both may be on the meta device. A multiply-accumulate is two."""
    with FlopCounterMode(display=False, custom_mapping=_PRODUCTS) as operations, torch.inference_mode():
        network(images)
    return float(operations.get_total_flops())


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of operands and results of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        kwargs = kwargs or {}
        if func.overloadpacket not in _LAYERS:
            with self:  # in inference mode, operations made of others arrive whole
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if func.overloadpacket in _LAYERS:
            self.bytes += sum(leaf.nbytes for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor))
        return result


def _product_flops(_total: object, left: tuple, right: tuple, **_: object) -> int:
    return 2 * left[0] * left[1] * left[2] * right[2]


def _onednn_product_flops(left: tuple, right: tuple, *_: object, **__: object) -> int:
    return 2 * left[0] * left[1] * right[0]


#: What attention in chunks uses and torch's counter does not know.
_PRODUCTS: dict[Any, Callable] = {_ATEN.baddbmm_: _product_flops}
if torch.backends.mkldnn.is_available():
    _PRODUCTS[torch.ops.mkldnn._linear_pointwise] = _onednn_product_flops
