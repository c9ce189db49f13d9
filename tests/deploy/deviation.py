"""How far a program or a file is from the network, in double precision."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

#: (height, width) that programs are recorded at.
EXAMPLE_SIZE = (160, 224)
#: None of them that of the example: the smallest, one cell more in a direction, odd, portrait and landscape.
SIZES = [(32, 32), (33, 64), (96, 64), (131, 77), (224, 224)]
#: Those that issue files are held to.
LARGE_SIZES = [(333, 517), (517, 333), (512, 512), (800, 1344)]


def picture(height: int, width: int) -> Tensor:
    """Noise from 0 to 255, the same for each size."""
    generator = torch.Generator().manual_seed(height * 10_000 + width)
    return 255 * torch.rand(1, 3, height, width, generator=generator)


@torch.no_grad()
def largest_deviation(call: Callable[[Tensor], Sequence[Tensor]], network: nn.Module, size: tuple[int, int]) -> float:
    """Over the maps of a picture, in standard deviations of each."""
    image = picture(*size)
    wanted = copy.deepcopy(network).double()(image.double())
    found = call(image)
    assert [map_.shape for map_ in found] == [map_.shape for map_ in wanted]
    pairs = zip(found, wanted, strict=True)
    return max(float((a.double() - b).abs().max() / b.std()) for a, b in pairs)
