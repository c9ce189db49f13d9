"""Precision and determinism of the stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def computable(*tensors: Tensor) -> tuple[Tensor, ...]:
    """``tensors`` in the type of the first, or in float32 where that is shorter.

    torchvision's ops take half precision on some devices only and bfloat16 on none, and coordinates of boxes in half
    precision are off by whole pixels. Results are rounded once, at the end.
    """
    dtype = tensors[0].dtype if tensors[0].dtype == torch.float64 else torch.float32
    return tuple(tensor.to(dtype) for tensor in tensors)


@contextmanager
def as_deterministic_as_mmcv() -> Iterator[None]:
    """Let ops that add up in any order on a GPU warn where ``torch.use_deterministic_algorithms`` makes them raise.

    mmcv's do the same and say nothing; MMEngine's ``randomness=dict(deterministic=True)`` would stop a training here.
    """
    strict = torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
    if not strict:
        yield
        return
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True)
