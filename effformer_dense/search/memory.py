"""How much memory a network needs for one picture: counted on the meta device, where nothing is computed."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..variants import Variant
from .latency import Conditions
from .networks import build_backbone

_MIB = 1 << 20
#: Of stages that were counted: the most bytes at once, and the size of the map that comes out.
_counted: dict[tuple, tuple[int, torch.Size]] = {}


@lru_cache(maxsize=4096)
def peak_mib(row: Variant, height: int, width: int) -> float:
    """Weights of a row's backbone, and the most that lives at once of what it makes of one picture.

    Counted in float32 from the sizes of all tensors, in the order in which the network makes and drops them: the same
    on every machine. What a runtime needs besides (buffers of its kernels, weights in another order) is not in it, nor
    what fusing saves.

    Args:
        row: the network.
        height, width: of the picture, px.

    Returns:
        MiB.
    """
    with torch.device('meta'), torch.no_grad():
        backbone = build_backbone(row).eval()
        size, kept, peak = torch.Size((1, 3, height, width)), 0, 0
        for part in (backbone.stem, *backbone.stages):
            most, size = _count(part, size)
            peak = max(peak, kept + most)
            kept += 4 * size.numel() if part is not backbone.stem else 0  # the backbone returns it
    weights = sum(value.nbytes for value in (*backbone.parameters(), *backbone.buffers()))
    return (weights + peak) / _MIB


def memory_of(conditions: Conditions) -> Callable[[Variant], float]:
    """:func:`peak_mib` of any row, under a latency table's conditions."""
    return partial(peak_mib, height=conditions.height, width=conditions.width)


def _count(part: nn.Module, size: torch.Size) -> tuple[int, torch.Size]:
    """Most bytes that live at once in a stage, its input among them, and the size of its output."""
    key = (size, *((name, value.shape) for name, value in part.state_dict().items()))
    if key not in _counted:
        given = torch.empty(size)
        with _Living() as living:
            made = part(given)
        _counted[key] = given.nbytes + living.peak, made.shape
    return _counted[key]


class _Living(TorchDispatchMode):
    """Counts the bytes of tensors that operators make, while anybody holds them.

    Attributes:
        peak: the most at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._known: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(value.untyped_storage()) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        made = operator(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, Tensor) and id(value.untyped_storage()) not in given:  # a view is nothing new
                self._take(value.untyped_storage())
        return made

    def _take(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return

        def drop(_: object) -> None:
            self._now -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, drop)
        self._now += size
        self.peak = max(self.peak, self._now)
