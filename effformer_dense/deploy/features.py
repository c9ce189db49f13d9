"""A backbone as a graph: picture in, feature maps out, normalisation inside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..backbones.base import DenseBackbone
from ..backbones.timm_features import TimmFeatures


class Normalise(nn.Module):
    """Pictures (B, 3, H, W), RGB from 0 to 255, to what a network was trained on.

    Args:
        mean, std: of R, G, B.
        to_bgr: the network takes blue first.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_bgr: bool = False) -> None:
        super().__init__()
        self.register_buffer('mean', torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.to_bgr = to_bgr

    def forward(self, image: Tensor) -> Tensor:
        normal = (image - self.mean) / self.std
        return normal.flip(1) if self.to_bgr else normal


class FeatureGraph(nn.Module):
    """A picture to the maps of a backbone, as :class:`effformer_dense.runtime.metadata.Metadata` describes them.

    Attributes:
        outputs: names of the maps, ``stage1`` to ``stage4`` where all are asked for.
    """

    def __init__(self, backbone: DenseBackbone | TimmFeatures, normalise: Normalise) -> None:
        super().__init__()
        self.normalise = normalise
        self.backbone = backbone
        self.outputs = tuple(f'stage{index + 1}' for index in backbone.out_indices)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.backbone(self.normalise(image))
