"""In which precision the stand-ins compute."""

from __future__ import annotations

import torch
from torch import Tensor


def computable(*tensors: Tensor) -> tuple[Tensor, ...]:
    """``tensors`` in the type of the first, or in float32 where that is shorter.

    torchvision's ops take half precision on some devices only and bfloat16 on none, and the coordinates of boxes lose
    whole pixels in them. Results are rounded once, at the end.
    """
    dtype = tensors[0].dtype if tensors[0].dtype == torch.float64 else torch.float32
    return tuple(tensor.to(dtype) for tensor in tensors)
