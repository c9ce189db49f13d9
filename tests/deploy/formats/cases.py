"""Modules, pictures and deviations for the tests of formats."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from effformer_dense.deploy.features import FeatureGraph, Normalise
from effformer_dense.deploy.record import record
from effformer_dense.variants import Variant
from tests.helpers import build, randomise


class Pyramid(nn.Module):
    """A file of a moment, with labels."""

    outputs = ('half', 'labels')

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.tensor([0.5, 2.0, 1.0]))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        half = nn.functional.avg_pool2d(image, 2) * self.table.square()[:, None, None]
        return half, half.argmax(1).to(torch.uint8)


class Foreign(nn.Module):
    """With an operator that hardly any format has."""

    outputs = ('values',)

    def forward(self, image: Tensor) -> Tensor:
        return torch.special.bessel_j0(image)


def picture(height: int, width: int) -> Tensor:
    """Noise from 0 to 255, the same for each size."""
    generator = torch.Generator().manual_seed(height * 10_000 + width)
    return 255 * torch.rand(1, 3, height, width, generator=generator)


def features(row: Variant) -> FeatureGraph:
    """A backbone whose every part speaks."""
    return FeatureGraph(randomise(build(row)), Normalise((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))).eval()


def fixed(module: nn.Module, height: int, width: int) -> ExportedProgram:
    """Program for one size, recorded on another picture than the one that is compared."""
    return record(module, {'image': picture(height, width).flip(3)}, dynamic=False)


@torch.no_grad()
def deviations(module: nn.Module, image: Tensor, found: Mapping[str, Tensor]) -> dict[str, float]:
    """Largest difference of each output from double precision, in its standard deviations."""
    wanted = copy.deepcopy(module).double()(image.double())
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    assert [found_.shape for found_ in found.values()] == [map_.shape for map_ in wanted]
    pairs = zip(found.items(), wanted, strict=True)
    return {name: float((value.double() - map_).abs().max() / map_.double().std()) for (name, value), map_ in pairs}
