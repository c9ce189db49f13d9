"""From a module to a graph of torch's own operators: the first step to every file format."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as symbolic

from ..variants import MAX_SIDE_PX, MIN_SIDE_PX
from .free_sizes import FreePoolings

#: Input whose height and width are free in a dynamic program.
IMAGE = 'image'
SIDES = {2: 'height', 3: 'width'}
#: Sides at which a program for any size is recorded: unequal, and neither a multiple of the other.
RECORDED_PX = (224, 288)


@torch.no_grad()
def record(module: nn.Module, inputs: Mapping[str, Tensor], dynamic: bool = True) -> ExportedProgram:
    """Record what a module computes.

    Args:
        module: takes tensors by name and returns a tensor or a tuple of them. It is recorded in evaluation mode, and
            left as it was.
        inputs: an example of each input. In a dynamic program ``image`` (1, 3, H, W) should have two sides that differ
            and that are no multiples of each other: what is equal in the example may be taken to be equal always.
        dynamic: one program for every height and width of ``image`` from 32 px; otherwise for those of the example.

    Returns:
        The program. It takes the inputs by name, as ``module`` does.
    """
    training = {name: part.training for name, part in module.named_modules()}
    shapes: dict[str, Any] = {name: {} for name in inputs}
    if dynamic:
        # The upper bound keeps products of sizes, and what is compared with them, within int64.
        shapes[IMAGE] = {axis: Dim(name, min=MIN_SIDE_PX, max=MAX_SIDE_PX) for axis, name in SIDES.items()}
    module.eval()
    try:
        # Otherwise sides of feature maps would be taken not to be 1 because those of the example are not, and a map of
        # stride 32 has a side of 1 below 33 px.
        patch = symbolic.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]  # torch adds it late
        with patch, FreePoolings() if dynamic else nullcontext():
            return torch.export.export(
                module,
                (),
                dict(inputs),
                dynamic_shapes=shapes,
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
    finally:
        for name, part in module.named_modules():
            part.training = training[name]
