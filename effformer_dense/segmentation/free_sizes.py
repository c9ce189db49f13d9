"""mmsegmentation's functions with sizes that may be free: what a program for every size needs of them.

A recorded size is a symbol. ``int(size * 2.0)``, and a check that compares sizes in order to warn, make a number of it,
silently: the program is then right at the size of the example, and wrong at others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmseg.models.utils import Upsample
from mmseg.models.utils.wrappers import resize
from torch import Tensor
from torch.nn import functional as F

from ..deploy.free_sizes import FreePoolings


@contextmanager
def free_sizes() -> Iterator[None]:
    """While it is entered, mmsegmentation's necks and heads ask for no size. What they compute is the same."""
    quiet = (*resize.__defaults__[:-1], False)  # the last argument is whether to warn
    with _replaced(Upsample, 'forward', _enlarge), _replaced(resize, '__defaults__', quiet), FreePoolings():
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _enlarge(self: Upsample, x: Tensor) -> Tensor:
    """``Upsample.forward``."""
    return F.interpolate(x, self.size or _enlarged(self, x), mode=self.mode, align_corners=self.align_corners)


def _enlarged(upsample: Upsample, x: Tensor) -> list[int]:
    factor = upsample.scale_factor
    factors = factor if isinstance(factor, tuple) else (factor, factor)
    return [_times(side, by) for side, by in zip(x.shape[2:], factors, strict=True)]


def _times(side: int, factor: float) -> int:
    """``int(side * factor)``."""
    return side * int(factor) if float(factor).is_integer() else torch.sym_int(side * factor)
